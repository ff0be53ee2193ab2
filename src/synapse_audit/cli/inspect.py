"""``synapse-audit inspect``: what would be audited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from synapse_audit.cli.loading import (
    Attention,
    BaseModel,
    DeviceMap,
    NoMerge,
    Quantization,
    Revision,
)

if TYPE_CHECKING:
    from synapse_audit.classifier import Classifier


def inspect(
    model: Annotated[str, typer.Argument(help="Local folder or hub id.")],
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps.")] = "cpu",
    tokens: Annotated[
        str, typer.Option(help="What it is given: text, or ids where it has no tokenizer.")
    ] = "text",
    revision: Revision = None,
    attn_implementation: Attention = None,
    device_map: DeviceMap = None,
    quantization: Quantization = None,
    base_model: BaseModel = None,
    no_merge: NoMerge = False,
) -> None:
    """Print family, layers, pooled position, head, label map and sites of a classifier."""
    from synapse_audit.classifier import Classifier

    classifier = Classifier.load(
        model,
        device=device,
        tokens=tokens,
        revision=revision,
        attn_implementation=attn_implementation,
        device_map=device_map,
        quantization=quantization,
        base_model=base_model,
        merge_adapter=not no_merge,
    )
    for name, value in facts(classifier).items():
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
        "loaded": ", ".join(f"{name} {fact}" for name, fact in classifier.origin.items()),
        "inputs": classifier.reads,
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
