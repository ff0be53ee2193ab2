"""What every route shares: the engine, and rewrites of states as they pass by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from synapse_audit.artifacts import Cell, Plan
from synapse_audit.interventions.operators import AnyRewrite, LayerRewrite, compile_rewrites
from synapse_audit.model import Classifier
from synapse_audit.model.hooks import OutputHook, hook_at_points
from synapse_audit.plan import make_plan
from synapse_audit.sweep.attention import available_routes
from synapse_audit.sweep.clean import CleanStates
from synapse_audit.sweep.intervening import rewrite_tokens
from synapse_audit.sweep.score import fields
from synapse_audit.sweep.site import Site
from synapse_audit.sweep.tap import Tap


@dataclass(frozen=True)
class Engine:
    """What every route needs besides the batch and the cells."""

    classifier: Classifier
    site: Site
    seed: int = 0
    tap: Tap | None = None
    benign: int | None = None
    """Output index of the class that means no alarm, where one was named."""
    special: tuple[int, ...] | None = None
    """Token numbers that even an empty text is given, which no attack touches; the classifier's
    own where None."""

    number_format: str = ""
    """Coarser than the model's own, where it is."""

    @property
    def fields(self) -> dict[str, type[np.generic]]:
        """Names and number formats of what is kept of every cell and example."""
        return fields(self.benign, several=self.classifier.decision.several)

    def plan(self, cells: Iterable[Cell], available: frozenset[str] | None = None) -> Plan:
        """The cells on the cheapest routes that this model has.

        Args:
            available: the fast routes that may be taken; None: every one that is worth a check
                (:func:`available_routes`).
        """
        model = self.classifier
        fast = available_routes(model, self.tap) if available is None else available
        return make_plan(
            cells, model.n_layers, fast, causal=model.causal, resumable=model.resumable
        )

    def rewrites(self, cells: Sequence[Cell]) -> dict[int, LayerRewrite]:
        """Layer → rewrites of the pooled row; all cells at one site."""
        statistics = self.site.at(cells[0].site).pooled
        return compile_rewrites(cells, statistics, seed=self.seed, device=self.classifier.device)

    def token_rewrites(self, cells: Sequence[Cell]) -> dict[int, LayerRewrite]:
        """Layer → rewrites of the other tokens; empty unless the cells touch all positions."""
        if any(cell.position != "all" for cell in cells):
            return {}
        statistics = self.site.at(cells[0].site).others
        return compile_rewrites(cells, statistics, seed=self.seed, device=self.classifier.device)


@contextmanager
def rows_rewritten(
    engine: Engine,
    clean: CleanStates,
    site: str,
    rewrites: Mapping[int, AnyRewrite],
    *,
    after: int = 0,
) -> Iterator[None]:
    """Rewrites pooled rows, (cells · examples, 1 token or none, width), as they pass the site.

    ``after``: the first block that runs is the one above this layer.
    """

    def at(rewrite: AnyRewrite) -> OutputHook:
        def hook(states: Tensor) -> Tensor:
            rows = states.reshape(-1, len(clean.examples), states.shape[-1])
            return rewrite(rows, clean.examples, clean.place).reshape(states.shape)

        return hook

    point = engine.classifier.point
    hooks = [(point(site, m), at(rewrite)) for m, rewrite in rewrites.items()]
    with hook_at_points(hooks, after=after):
        yield


@contextmanager
def tokens_rewritten(
    engine: Engine,
    clean: CleanStates,
    site: str,
    rewrites: Mapping[int, AnyRewrite],
    others: Mapping[int, AnyRewrite],
    *,
    after: int = 0,
) -> Iterator[None]:
    """Rewrites the tokens of one cell, (examples, tokens, width), as they pass the site.

    ``after``: the first block that runs is the one above this layer.
    """

    def at(layer: int) -> OutputHook:
        def hook(states: Tensor) -> Tensor:
            return rewrite_tokens(
                states, rewrites[layer], others.get(layer), clean.pooling, clean.examples
            )

        return hook

    point = engine.classifier.point
    hooks = [(point(site, layer), at(layer)) for layer in rewrites]
    with hook_at_points(hooks, after=after):
        yield
