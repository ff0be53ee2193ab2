"""The words that a reader may not know, each with one definition.

``docs/glossary.md`` holds the same list; a test compares the two. In a report the first use of a
word in a section links to its definition.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from markupsafe import Markup, escape

TERMS: dict[str, str] = {
    "certificate": "A proof for one example: no change of the named kind and size, however it is "
    "found, alters its prediction.",
    "calibration error": "How far confidence and accuracy lie apart, averaged over bins of "
    "confidence (ECE); 0 = in every bin the confidence is right on average.",
    "collateral": "Share of the examples outside the classes aimed at that were right and become "
    "wrong.",
    "evaluate": "The part of the data on which every effect is measured. Neurons are ranked on "
    "fit, and every choice is made on select; no input is in two parts.",
    "head": "The last layer or layers, which turn the pooled position into one logit per class or "
    "label.",
    "margin": "How far the logit of a class lies below the largest other one, for one example.",
    "mean silencing": "A neuron is held at its average over fit: it says nothing about the input "
    "any more and keeps its level.",
    "plateau": "The largest share of neurons silenced up to which accuracy (of sets of labels, "
    "micro F1) stays within 2 points.",
    "pooled position": "The token that the head reads, such as [CLS] or the last token; or the "
    "mean over tokens.",
    "probe": "A linear classifier that reads the label from the activations of one layer. It shows "
    "what can be read there, not what the model uses.",
    "random control": "A random set with as many neurons in each layer as the set beside it. What "
    "it costs is what neurons cost that no ranking chose.",
    "ranking": "A score for every neuron; higher means more important by that score.",
    "recall": "Share of a class's examples that are predicted as that class.",
    "redirect": "To change a prediction to a chosen class. The redirect rate is the share of "
    "examples not predicted as it before that are predicted as it afterwards.",
    "zero silencing": "A neuron is set to 0: what it says goes, and so does its level, which some "
    "models rely on.",
}
"""Term → definition, in plain text."""

FORMS: dict[str, str] = {
    "certificate": "certificates?|guaranteed?|guarantees",
    "collateral": "collateral",
    "margin": "margins?",
    "mean silencing": "mean silencing|held at (?:its|their) (?:average|mean)",
    "plateau": "plateau",
    "pooled position": "pooled (?:position|row)",
    "probe": "probes?",
    "random control": "random controls?|random (?:ones|neurons|sets)",
    "ranking": "rankings?",
    "recall": "recall",
    "redirect": "redirect(?:s|ed|ing)?(?: rate)?",
    "zero silencing": "zero silencing|set to 0",
    "calibration error": "calibration errors?",
}
"""Term → how it may be written; terms that are everyday words are not linked."""

_ANY = re.compile(
    "|".join(f"(?P<t{i}>\\b(?:{form})\\b)" for i, form in enumerate(FORMS.values())), re.IGNORECASE
)
_NAMES = tuple(FORMS)


def anchor(term: str) -> str:
    """The term's place in the page.

    >>> anchor("pooled position")
    'term-pooled-position'
    """
    return f"term-{term.replace(' ', '-')}"


def linker() -> Callable[[str], Markup]:
    """A function that escapes text and links each term the first time it is given.

    Names between quotation marks come from the data and are left alone.
    """
    seen: set[str] = set()

    def link(text: str) -> Markup:
        out, at, quoted = [], 0, _quoted(text)
        for found in _ANY.finditer(text):
            term = _NAMES[int(str(found.lastgroup)[1:])]
            if term in seen or any(a <= found.start() < b for a, b in quoted):
                continue
            seen.add(term)
            out += [escape(text[at : found.start()]), _linked(term, found.group())]
            at = found.end()
        return Markup("").join([*out, escape(text[at:])])

    return link


def _linked(term: str, text: str) -> Markup:
    return Markup('<a class="term" href="#{}" title="{}">{}</a>').format(
        anchor(term), TERMS[term], text
    )


def _quoted(text: str) -> list[tuple[int, int]]:
    return [found.span() for found in re.finditer("“[^”]*”", text)]
