"""One record per architecture, by kind."""

from synapse_audit.model.families.audio import AUDIO_FAMILIES
from synapse_audit.model.families.decoders import DECODERS
from synapse_audit.model.families.encoders import ENCODERS
from synapse_audit.model.families.vision import VISION_FAMILIES

__all__ = ["AUDIO_FAMILIES", "DECODERS", "ENCODERS", "VISION_FAMILIES"]
