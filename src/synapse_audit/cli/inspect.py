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
    from synapse_audit.operators import OPERATORS
    from synapse_audit.sweep import supports_tap

    position = {"first": "first token ([CLS])", "last": "last token that is no padding"}
    head = classifier.output_layer
    routes = "head, stream, suffix, full" if supports_tap(classifier) else "head, full"
    labels = ", ".join(f"{i} = {name}" for i, name in enumerate(classifier.classes))
    return {
        "model": classifier.name,
        "family": classifier.architecture,
        "parameters": f"{classifier.parameters_count:,}",
        "layers": f"{classifier.n_layers} blocks, and the embeddings as layer 0",
        "hidden size": str(head.in_features),
        "pooled position": position[classifier.position],
        "head": f"last linear layer {head.in_features} → {head.out_features}"
        + ("" if head.bias is None else " with bias"),
        "label map": labels,
        "sites": "block_output (layers 0 to "
        f"{classifier.n_layers}; positions pooled, all), head_weight, logits",
        "operators": ", ".join(OPERATORS),
        "routes": routes,
        "weights sha256": classifier.fingerprint(),
    }
