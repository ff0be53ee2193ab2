"""What an audit found, as one self-contained HTML page, as Markdown or as JSON.

In: anything with the attributes of :class:`~synapse_audit.report.kit.contents.Result` (a loaded run
folder). Out: text. A new section is one function and one line of ``SECTIONS``.
"""

from __future__ import annotations

from collections.abc import Callable

from synapse_audit.errors import UsageError, choices
from synapse_audit.report.cover import cover
from synapse_audit.report.kit import saved
from synapse_audit.report.kit.chapters import Entry, chapters
from synapse_audit.report.kit.contents import Contents, Result
from synapse_audit.report.kit.markdown import as_markdown
from synapse_audit.report.kit.page import as_html
from synapse_audit.report.kit.structured import as_json
from synapse_audit.report.quoted.names import model_name
from synapse_audit.report.sections.advice import advice
from synapse_audit.report.sections.agreement import agreement
from synapse_audit.report.sections.attention import attention
from synapse_audit.report.sections.calibration import calibration
from synapse_audit.report.sections.certificates import certificates
from synapse_audit.report.sections.classes import classes
from synapse_audit.report.sections.clean import clean
from synapse_audit.report.sections.constants import constants
from synapse_audit.report.sections.detection import detection
from synapse_audit.report.sections.directions import directions
from synapse_audit.report.sections.fault_rate import fault_rate
from synapse_audit.report.sections.faults import faults
from synapse_audit.report.sections.guard import guard
from synapse_audit.report.sections.inputs import inputs
from synapse_audit.report.sections.label_fragility import label_fragility
from synapse_audit.report.sections.label_performance import label_calibration, labels
from synapse_audit.report.sections.label_probes import label_probes
from synapse_audit.report.sections.label_removal import label_layers, label_removal
from synapse_audit.report.sections.label_switching import label_certificates, switching
from synapse_audit.report.sections.layers import layers
from synapse_audit.report.sections.margins import margins
from synapse_audit.report.sections.matrix import matrix
from synapse_audit.report.sections.membership import membership
from synapse_audit.report.sections.method import method
from synapse_audit.report.sections.named_neurons import given
from synapse_audit.report.sections.operating import operating
from synapse_audit.report.sections.paper import paper
from synapse_audit.report.sections.pathways import pathways
from synapse_audit.report.sections.probes import probes
from synapse_audit.report.sections.profile import profile
from synapse_audit.report.sections.pushes import pushes
from synapse_audit.report.sections.redirect import redirect
from synapse_audit.report.sections.removal import removal
from synapse_audit.report.sections.seeds import seeds
from synapse_audit.report.sections.sites import sites
from synapse_audit.report.sections.slices import slices
from synapse_audit.report.sections.steering import steering
from synapse_audit.report.sections.sufficiency import sufficiency
from synapse_audit.report.sections.token_means import token_means
from synapse_audit.report.sections.typed import typed
from synapse_audit.report.sections.typed_guard import typed_guard

__all__ = ["FORMATS", "SECTIONS", "SET_SECTIONS", "contents", "render", "sections_of"]

STANDARD = {"preset": "standard"}

SECTIONS: dict[str, Entry] = {
    "clean": Entry("performance", clean),
    "operating": Entry("performance", operating, {"threshold": "CLASS=P"}),
    "calibration": Entry("performance", calibration),
    "detection": Entry("performance", detection, {"benign": "CLASS"}),
    "slices": Entry("performance", slices, {"slice_columns": ["COLUMN"]}),
    "removal": Entry("redundancy", removal),
    "layers": Entry("redundancy", layers, trimmed="single layers"),
    "sufficiency": Entry("redundancy", sufficiency),
    "probes": Entry("redundancy", probes),
    "token_means": Entry("redundancy", token_means, STANDARD),
    "sites": Entry("redundancy", sites, STANDARD, "sites inside blocks"),
    "attention": Entry("redundancy", attention, STANDARD, "attention heads"),
    "directions": Entry("redundancy", directions, STANDARD, "directions"),
    "constants": Entry("redundancy", constants),
    "pathways": Entry("redundancy", pathways),
    "given": Entry("redundancy", given, {"neurons": ["LAYER:SITE:INDEX"]}),
    "classes": Entry("fragile", classes),
    "matrix": Entry("fragile", matrix),
    "profile": Entry("tampering", profile),
    "redirect": Entry("tampering", redirect),
    "pushes": Entry("tampering", pushes, STANDARD),
    "faults": Entry("tampering", faults, STANDARD, "faults inside blocks"),
    "fault_rate": Entry("tampering", fault_rate, {"faults": 500}, "random faults"),
    "margins": Entry("tampering", margins),
    "inputs": Entry("tampering", inputs, STANDARD, "attacks on the input"),
    "typed": Entry("tampering", typed, {"attack": ["text"]}, kind="text"),
    "steering": Entry(
        "tampering", steering, STANDARD, "neurons moved toward a class, resampled or clamped"
    ),
    "certificates": Entry("guarantees", certificates),
    "advice": Entry("advice", advice),
    "guard": Entry("advice", guard),
    "typed_guard": Entry("advice", typed_guard, kind="text"),
    "seeds": Entry("trust", seeds, {"seeds": 3}),
    "agreement": Entry("trust", agreement),
    "membership": Entry("trust", membership, {"membership": "TRAIN-FILE"}),
    "paper": Entry("trust", paper, {"preset": "paper"}),
    "method": Entry("trust", method),
}
"""Anchor → chapter and section, in reading order."""

SET_SECTIONS: dict[str, Entry] = {
    "labels": Entry("performance", labels),
    "label_calibration": Entry("performance", label_calibration),
    "label_removal": Entry("redundancy", label_removal),
    "label_layers": Entry("redundancy", label_layers, trimmed="single layers"),
    "label_probes": Entry("redundancy", label_probes),
    "label_fragility": Entry("fragile", label_fragility),
    "switching": Entry("tampering", switching),
    "label_certificates": Entry("guarantees", label_certificates),
    "method": Entry("trust", method),
}
"""The same of runs with several labels per example."""

FORMATS: dict[str, Callable[[Contents], str]] = {
    "html": as_html,
    "md": as_markdown,
    "json": as_json,
}
"""Name and file ending → what writes the report so."""


def sections_of(result: Result) -> dict[str, Entry]:
    """The sections that a run of its kind can have."""
    return SET_SECTIONS if saved.several(result) else SECTIONS


def contents(result: Result) -> Contents:
    """Cover and chapters; a partial result gives what it has, and says what is missing."""
    found = chapters(sections_of(result), result)
    return Contents(model_name(result), cover(result), found)


def render(result: Result, format: str = "html") -> str:
    """The whole report as one text; as HTML it is one file that needs no network.

    Raises:
        UsageError: ``format`` is none of ``FORMATS``.
    """
    if format not in FORMATS:
        raise UsageError(f"format '{format}' given; {choices(format, FORMATS)}")
    return FORMATS[format](contents(result))
