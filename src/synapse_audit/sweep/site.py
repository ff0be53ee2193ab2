"""What operators read at a site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from synapse_audit.artifacts import LayerStatistics
from synapse_audit.errors import UsageError, choices
from synapse_audit.model import BLOCK_OUTPUT


@dataclass(frozen=True)
class Site:
    """Statistics over ``fit``, per layer, layer 0 first."""

    pooled: tuple[LayerStatistics, ...]
    """Of the pooled position."""
    others: tuple[LayerStatistics, ...]
    """Of all other tokens that are no padding."""
    elsewhere: Mapping[str, Site] = field(default_factory=dict)
    """The same at the sites besides the block output."""

    def at(self, name: str) -> Site:
        """The statistics of the site of that name; this one is the block output.

        Raises:
            UsageError: that site was not extracted.
        """
        if name == BLOCK_OUTPUT:
            return self
        if name not in self.elsewhere:
            raise UsageError(
                f"site '{name}' given; {choices(name, [BLOCK_OUTPUT, *self.elsewhere])}: "
                "only sites that were extracted can be rewritten"
            )
        return self.elsewhere[name]
