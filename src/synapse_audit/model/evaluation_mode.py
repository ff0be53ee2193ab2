"""Evaluation mode for as long as a model is run, and its own mode before and after."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Switches dropout and the like off until the block ends, however it ends.

    Modules that were in evaluation mode anyway stay there, such as frozen norms.
    """
    training = [module for module in model.modules() if module.training]
    if not training:
        yield
        return
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
