"""Where the parts of a module are: said by a record of its architecture, or looked for."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from synapse_audit.errors import UsageError
from synapse_audit.model.discovery.discover import Discovered, NamedParts, discover
from synapse_audit.model.families.record import Family
from synapse_audit.model.inputs.encoded import Inputs
from synapse_audit.model.placement import check_held
from synapse_audit.model.sites import Recorded, Stacks, recorded_parts


class Located(NamedTuple):
    """The parts of a module, and what tells where they are."""

    family: Family
    parts: Recorded
    discovered: Discovered | None = None
    """How they were found; None where a record named them."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of results should know of these parts."""
        if self.discovered is not None:
            return self.discovered.notes
        return (self.family.note,) if self.family.note else ()


def locate(
    module: nn.Module,
    *,
    name: str,
    n_classes: int,
    inputs: Inputs,
    family: Family | None,
    given: NamedParts,
) -> Located:
    """Looks the parts up in the record or, without one, finds those that are not ``given``.

    Raises:
        ModelError: a part is not where the record says, or cannot be found; weights are nowhere.
        UsageError: both a record and parts are given.
    """
    check_held(module, name)
    if family is None:
        found = discover(
            module,
            n_classes=n_classes,
            encoder=inputs.encoder,
            collator=inputs.collator,
            examples=inputs.examples,
            given=given,
        )
        parts = Recorded(Stacks(found.blocks, 0), found.embeddings, found.output_layer)
        return Located(found.family, parts, found)
    if given != NamedParts():
        raise UsageError(f"family {family.name} and parts given; expected one of the two")
    return Located(family, recorded_parts(module, family, name))
