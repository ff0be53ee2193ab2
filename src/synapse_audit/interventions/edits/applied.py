"""Puts an edit into the live model for the length of a ``with``, and takes it back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from synapse_audit.artifacts import HeadEdit, ParameterEdit
from synapse_audit.errors import UsageError, choices


@contextmanager
def applied(
    model: nn.Module, output_layer: nn.Linear, edit: HeadEdit | ParameterEdit
) -> Iterator[None]:
    """Puts ``edit`` into the model's own parameters; afterwards they are bit for bit as before.

    The published "balanced push" edited a copy and did nothing: an edit that changes no bit of the
    model is refused here.

    Raises:
        UsageError: the edit leaves every weight as it was, edits a bias that is not there, or
            names a weight that the model does not have.
    """
    pairs = (
        _head_pairs(output_layer, edit) if isinstance(edit, HeadEdit) else _named_pairs(model, edit)
    )
    saved = [parameter.detach().clone() for parameter, _ in pairs]
    try:
        with torch.no_grad():
            for parameter, new in pairs:
                parameter.copy_(new)
        if all(_same_bits(p, old) for (p, _), old in zip(pairs, saved, strict=True)):
            raise UsageError(
                "edit given that changes no weight; expected a change that is not zero"
            )
        yield
    finally:
        with torch.no_grad():
            for (parameter, _), old in zip(pairs, saved, strict=True):
                parameter.copy_(old)


def _head_pairs(layer: nn.Linear, edit: HeadEdit) -> list[tuple[Tensor, Tensor]]:
    """(parameter, its new value)."""
    weight: Tensor = layer.weight
    rows = _own_rows(layer, edit)
    change, shift = edit.weight[rows], edit.bias[rows]
    pairs: list[tuple[Tensor, Tensor]] = [(weight, weight + torch.from_numpy(change).to(weight))]
    if layer.bias is not None:
        pairs.append((layer.bias, layer.bias + torch.from_numpy(shift).to(layer.bias)))
    elif np.any(shift):
        raise UsageError("edit given for a bias, but the head has none; expected weights only")
    return pairs


def _own_rows(layer: nn.Linear, edit: HeadEdit) -> slice:
    """The rows of an edit that the layer has: of one output, seen as (0, z), the second.

    Raises:
        UsageError: it also edits the first, which is no weight.
    """
    if layer.out_features != 1 or len(edit.weight) != 2:
        return slice(None)
    if np.any(edit.weight[0]) or np.any(edit.bias[0]):
        raise UsageError(
            "edit given for the row of class 0 of a head with one output, which has none; "
            "expected the negated edit of its one row (HeadView.edit)"
        )
    return slice(1, None)


def _named_pairs(model: nn.Module, edit: ParameterEdit) -> list[tuple[Tensor, Tensor]]:
    known = dict(model.named_parameters(remove_duplicate=False))
    pairs: list[tuple[Tensor, Tensor]] = []
    for change in edit.changes:
        if change.name not in known:
            raise UsageError(f"weight '{change.name}' given; {choices(change.name, known)}")
        parameter = known[change.name]
        new = parameter.detach().clone(memory_format=torch.contiguous_format)
        at = torch.from_numpy(change.index).to(new.device)
        new.view(-1)[at] = torch.from_numpy(change.after).to(new)
        pairs.append((parameter, new))
    return pairs


def _same_bits(one: Tensor, other: Tensor) -> bool:
    """Equal, a value that is not a number being equal to itself."""
    return torch.equal(one.nan_to_num(), other.nan_to_num()) and torch.equal(
        one.isnan(), other.isnan()
    )
