"""All architectures that are known in advance: one :class:`Family` record each.

Adding an architecture = one record in :mod:`synapse_audit.model.families`.
"""

from __future__ import annotations

from typing import Any

from synapse_audit.model.families import AUDIO_FAMILIES, DECODERS, ENCODERS, VISION_FAMILIES
from synapse_audit.model.families.record import Family
from synapse_audit.model.pooling import Position

__all__ = ["FAMILIES", "Family", "Position", "family_for", "family_of"]

FAMILIES: tuple[Family, ...] = (*ENCODERS, *DECODERS, *VISION_FAMILIES, *AUDIO_FAMILIES)


def family_of(model_type: str) -> Family | None:
    """The first record that serves a ``model_type``; None where there is none."""
    return next((family for family in FAMILIES if model_type in family.model_types), None)


def family_for(config: Any) -> Family | None:
    """The record that serves a configuration; None where there is none."""
    return next((family for family in FAMILIES if family.serves(config)), None)
