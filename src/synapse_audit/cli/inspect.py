"""``synapse-audit inspect``: what would be audited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from synapse_audit.classifier import Classifier


def inspect(
    model: Annotated[str, typer.Argument(help="Local folder or hub id.")],
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps.")] = "cpu",
) -> None:
    """Print family, layers, pooled position, head, label map and sites of a classifier."""
    from synapse_audit.stages import load_classifier

    for name, value in facts(load_classifier(model, device=device)).items():
        typer.echo(f"{name:<17}{value}")


def facts(classifier: Classifier) -> dict[str, str]:
    """Name → value, in the order shown."""
    from synapse_audit.classifier import POSITIONS
    from synapse_audit.operators import OPERATORS

    head = classifier.output_layer
    labels = ", ".join(f"{i} = {name}" for i, name in enumerate(classifier.classes))
    return {
        "model": classifier.name,
        "family": classifier.architecture,
        "parameters": f"{classifier.parameters_count:,}",
        "layers": f"{classifier.n_layers} blocks, and the embeddings as layer 0",
        "hidden size": str(head.in_features),
        "pooled position": POSITIONS[classifier.position],
        "causal": "yes: no token sees a later one" if classifier.causal else "no",
        "head": f"last linear layer {head.in_features} → {head.out_features}"
        + ("" if head.bias is None else " with bias"),
        "label map": labels,
        "sites": "block_output (layers 0 to "
        f"{classifier.n_layers}; positions pooled, all), "
        + ", ".join((*classifier.sites[1:], "head_weight", "logits")),
        "operators": ", ".join(OPERATORS),
        "routes": _routes(classifier),
        "notes": "; ".join(classifier.notes) or "none",
        "weights sha256": classifier.fingerprint(),
    }


def _routes(classifier: Classifier) -> str:
    """The routes that a run will try, and why others are out of the question."""
    from synapse_audit.sweep import supports_tap

    if not classifier.reads_one:
        stream = "no stream: the head reads several tokens"
    elif classifier.resumable:
        stream = "no stream: two attentions to a block"
    elif not supports_tap(classifier):
        stream = "no stream: attention outside transformers' registry"
    else:
        stream = "stream (every layer)" if classifier.causal else "stream (last two layers)"
    above = classifier.resumable
    suffix = f"suffix (from layer {above} on; full below)" if above else "suffix"
    return f"head, {suffix}, full, {stream}"
