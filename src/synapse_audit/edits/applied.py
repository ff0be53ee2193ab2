"""Puts a head edit into the live model for the length of a ``with``, and takes it back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from synapse_audit.artifacts import HeadEdit
from synapse_audit.errors import UsageError


@contextmanager
def applied(layer: nn.Linear, edit: HeadEdit) -> Iterator[None]:
    """Adds ``edit`` to the layer's own parameters; afterwards they are bit for bit as before.

    The published "balanced push" edited a copy and did nothing: an edit that changes no bit of the
    layer is refused here.

    Raises:
        UsageError: the edit leaves every weight as it was, or edits a bias that is not there.
    """
    pairs = _pairs(layer, edit)
    saved = [parameter.detach().clone() for parameter, _ in pairs]
    try:
        with torch.no_grad():
            for parameter, change in pairs:
                parameter.add_(torch.from_numpy(change).to(parameter))
        if all(torch.equal(p, old) for (p, _), old in zip(pairs, saved, strict=True)):
            raise UsageError(
                "edit given that changes no weight; expected a change that is not zero"
            )
        yield
    finally:
        with torch.no_grad():
            for (parameter, _), old in zip(pairs, saved, strict=True):
                parameter.copy_(old)


def _pairs(layer: nn.Linear, edit: HeadEdit) -> list[tuple[Tensor, np.ndarray]]:
    pairs: list[tuple[Tensor, np.ndarray]] = [(layer.weight, edit.weight)]
    if layer.bias is not None:
        pairs.append((layer.bias, edit.bias))
    elif np.any(edit.bias):
        raise UsageError("edit given for a bias, but the head has none; expected weights only")
    return pairs
