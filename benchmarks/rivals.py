"""The same cell through plain hooks, nnsight and pyvene: what the sweep is compared with.

Each gives the logits of one cell on one padded batch. Only mean and zero silencing of the pooled
row are written here; the pooled position is the first token (BERT).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from subjects import Subject
from torch import Tensor, nn

from synapse_audit.artifacts import Cell

Run = Callable[[Mapping[str, Tensor], Cell], Tensor]


def targets(subject: Subject, cell: Cell) -> dict[int, tuple[Tensor, Tensor]]:
    """Layer → (neurons, what they are set to)."""
    found = {}
    for layer, chosen in (cell.neurons.by_layer if cell.neurons else {}).items():
        ids = torch.from_numpy(chosen)
        mean = torch.from_numpy(subject.site.pooled[layer].mean)[ids]
        found[layer] = (ids, mean if cell.operator == "mean" else torch.zeros_like(mean))
    return found


def plain_hooks(subject: Subject) -> Run:
    """Forward hooks written as one would write them; a full pass per cell."""
    classifier = subject.classifier

    def at(ids: Tensor, values: Tensor) -> Callable[..., Any]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> Any:
            states = output[0] if isinstance(output, tuple) else output
            states[:, 0, ids] = values
            return output

        return hook

    @torch.inference_mode()
    def run(batch: Mapping[str, Tensor], cell: Cell) -> Tensor:
        with ExitStack() as stack:
            for layer, (ids, values) in targets(subject, cell).items():
                module = classifier.layer_module(layer)
                handle = module.register_forward_hook(at(ids, values))
                stack.callback(handle.remove)
            return classifier.model(**batch).logits

    return run


def nnsight_trace(subject: Subject) -> Run:
    """nnsight: the same assignment inside a trace."""
    from nnsight import NNsight

    wrapped = NNsight(subject.classifier.model)

    @torch.inference_mode()
    def run(batch: Mapping[str, Tensor], cell: Cell) -> Tensor:
        places = sorted(targets(subject, cell).items())
        with wrapped.trace(**batch):
            for layer, (ids, values) in places:
                if layer == 0:
                    wrapped.bert.embeddings.output[:, 0, ids] = values
                else:
                    wrapped.bert.encoder.layer[layer - 1].output[:, 0, ids] = values
            logits = wrapped.output.logits.save()
        return logits  # noqa: RET504 (nnsight binds it when the trace ends)

    return run


def pyvene_interventions(subject: Subject) -> Run:
    """pyvene: one intervention per block on position 0; the embeddings are not served.

    pyvene 0.1.8 has no table for BERT, so its own table is given one (a block's output).
    """
    import pyvene
    from pyvene.models import intervenable_modelcard as card
    from pyvene.models.constants import CONST_OUTPUT_HOOK

    model = copy.deepcopy(subject.classifier.model)
    card.type_to_module_mapping[type(model)] = {
        "block_output": ("bert.encoder.layer[%s]", CONST_OUTPUT_HOOK)
    }
    card.type_to_dimension_mapping[type(model)] = {"block_output": ("hidden_size",)}
    built: dict[str, Any] = {}

    def set_to(ids: Tensor, values: Tensor) -> Callable[..., Tensor]:
        def change(base: Tensor, source: Any) -> Tensor:
            changed = base.clone()
            changed[..., ids] = values
            return changed

        return change

    def intervenable(cell: Cell) -> Any:
        if cell.action not in built:
            parts = [
                pyvene.RepresentationConfig(
                    layer - 1, "block_output", "pos", 1, intervention=set_to(ids, values)
                )
                for layer, (ids, values) in sorted(targets(subject, cell).items())
            ]
            built.clear()
            built[cell.action] = pyvene.IntervenableModel(
                pyvene.IntervenableConfig(parts), model=model
            )
        return built[cell.action]

    @torch.inference_mode()
    def run(batch: Mapping[str, Tensor], cell: Cell) -> Tensor:
        _, outputs = intervenable(cell)(base=dict(batch), unit_locations={"base": 0})
        return outputs.logits

    return run


RIVALS: dict[str, Callable[[Subject], Run]] = {
    "plain hooks": plain_hooks,
    "nnsight": nnsight_trace,
    "pyvene": pyvene_interventions,
}


def missing(name: str) -> str | None:
    """Why a rival cannot take part; None where it can."""
    if name == "plain hooks":
        return None
    try:
        version(name)
    except PackageNotFoundError:
        return f"{name} is not installed"
    return None
