"""What operators read at one site."""

from __future__ import annotations

from dataclasses import dataclass

from synapse_audit.artifacts import LayerStatistics


@dataclass(frozen=True)
class Site:
    """Statistics over ``fit``, per layer, layer 0 first."""

    pooled: tuple[LayerStatistics, ...]
    """Of the pooled position."""
    others: tuple[LayerStatistics, ...]
    """Of all other tokens that are no padding."""
