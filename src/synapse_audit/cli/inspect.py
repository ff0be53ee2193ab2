"""``synapse-audit inspect``: what would be audited."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Unpack

import typer

from synapse_audit.cli.options import MODEL, given, spelled_out
from synapse_audit.cli.printing import printable, show
from synapse_audit.config import LoadingOptions

if TYPE_CHECKING:
    from torch import nn

    from synapse_audit.model import Classifier


@spelled_out
def inspect(
    model: Annotated[str, typer.Argument(help=MODEL)],
    tokens: Annotated[
        str, typer.Option(help="What it is given: text, or ids where it has no tokenizer.")
    ] = "text",
    **options: Unpack[LoadingOptions],
) -> None:
    """Print family, parts, pooled position, head, label map, sites and routes of a classifier."""
    from synapse_audit.config import Loading
    from synapse_audit.model import InputFormat, open_classifier

    loading = Loading(**given(options))
    classifier = open_classifier(model, loading, InputFormat(tokens))
    for name, value in facts(classifier).items():
        for i, line in enumerate(value.split("\n")):
            show(f"{'' if i else name:<17}{line}")


def facts(classifier: Classifier) -> dict[str, str]:
    """Name → value, in the order shown."""
    from synapse_audit.interventions.operators import OPERATORS
    from synapse_audit.model import POSITIONS, SITES

    head = classifier.output_layer
    labels = ", ".join(f"{i} = {printable(name)}" for i, name in enumerate(classifier.classes))
    absent = [site for site in SITES if site not in classifier.sites]
    return {
        "model": classifier.name,
        "family": classifier.architecture,
        "loaded": ", ".join(f"{name} {fact}" for name, fact in classifier.origin.items()),
        "inputs": classifier.reads,
        "parameters": f"{classifier.parameters_count:,}",
        "layers": f"{classifier.n_layers} blocks, and the embeddings as layer 0",
        "parts": "\n".join(_parts(classifier)),
        "hidden size": _width(classifier),
        "pooled position": POSITIONS[classifier.position],
        "causal": "yes: no token sees a later one" if classifier.causal else "no",
        "head": f"last linear layer {head.in_features} → {head.out_features}"
        + ("" if head.bias is None else " with bias"),
        "label map": labels,
        "sites": "block_output (layers 0 to "
        f"{classifier.n_layers}; positions pooled, all), "
        + ", ".join((*classifier.sites[1:], "head_weight", "logits"))
        + (f"; not there: {', '.join(absent)}" if absent else ""),
        "operators": ", ".join(OPERATORS),
        "routes": _routes(classifier),
        "notes": "\n".join(_notes(classifier)) or "none",
        "weights sha256": classifier.fingerprint(),
    }


def _parts(classifier: Classifier) -> list[str]:
    """Where each part is, and how sure that is."""
    found = classifier.discovered
    if found is not None:
        likely = [clue.part for clue in found.clues if clue.sure == "likely"]
        named = likely and "file_sha256" not in classifier.origin
        hint = "to name a part instead: --blocks, --position, --head"
        return [*map(str, found.clues), *([hint] if named else [])]
    start = _where(classifier.model, [classifier.embeddings])
    if classifier.embeddings_side == "input":
        start = f"input of {start}"
    parts = {
        "blocks": _where(classifier.model, classifier.blocks),
        "embeddings": start,
        "output_layer": _where(classifier.model, [classifier.output_layer]),
    }
    return [f"{name} = {path} (recorded)" for name, path in parts.items()]


def _where(model: nn.Module, modules: Sequence[nn.Module]) -> str:
    """Paths in the order the modules run, neighbours in one list together."""
    names = {id(module): name for name, module in model.named_modules()}
    paths = [names[id(module)] for module in modules]
    lists = []
    for parent, group in groupby(paths, key=lambda path: path.rpartition(".")[0]):
        called = list(group)
        first, last = called[0], called[-1].removeprefix(f"{parent}.")
        times = f", run {len(called)} times" if len(set(called)) < len(called) else ""
        lists.append((first if len(set(called)) == 1 else f"{first} to {last}") + times)
    return ", then ".join(lists)


def _width(classifier: Classifier) -> str:
    widths = classifier.widths
    if not widths:
        return "known once the model is run"
    if len(set(widths)) == 1:
        return str(widths[0])
    return f"{', '.join(map(str, widths))} (layers 1 to {len(widths)})"


def _notes(classifier: Classifier) -> list[str]:
    """What a reader should know besides the parts, which have their own lines."""
    parts = classifier.discovered.notes if classifier.discovered else ()
    return [note for note in classifier.notes if note not in parts]


def _routes(classifier: Classifier) -> str:
    """The routes that a run will try, and why others are out of the question."""
    from synapse_audit.sweep import supports_tap, why_no_tap

    if not classifier.reads_one:
        stream = "no stream: the head reads several tokens"
    elif classifier.resumable:
        stream = "no stream: two attentions to a block"
    elif not supports_tap(classifier):
        stream = f"no stream: {why_no_tap(classifier)}"
    else:
        stream = "stream (every layer)" if classifier.causal else "stream (last two layers)"
    above = classifier.resumable
    suffix = f"suffix (from layer {above} on; full below)" if above else "suffix"
    return f"head, {suffix}, full, {stream}"
