"""One record per architecture, by kind."""

from synapse_audit.classifier.records.audio import AUDIO_FAMILIES
from synapse_audit.classifier.records.decoders import DECODERS
from synapse_audit.classifier.records.encoders import ENCODERS
from synapse_audit.classifier.records.vision import VISION_FAMILIES

__all__ = ["AUDIO_FAMILIES", "DECODERS", "ENCODERS", "VISION_FAMILIES"]
