"""The host model behind one face, whatever its architecture."""

from synapse_audit.classifier.classifier import Classifier
from synapse_audit.classifier.encoded import Batch, Encoded
from synapse_audit.classifier.family import FAMILIES, Family
from synapse_audit.classifier.reading import POSITIONS, Reading
from synapse_audit.classifier.sites import BLOCK_OUTPUT, HEAD_INPUT, INNER, SITES, site_layers
from synapse_audit.classifier.tail import logits_of
from synapse_audit.classifier.token_ids import vocabulary_size
from synapse_audit.classifier.windows import Window

__all__ = [
    "BLOCK_OUTPUT",
    "FAMILIES",
    "HEAD_INPUT",
    "INNER",
    "POSITIONS",
    "SITES",
    "Batch",
    "Classifier",
    "Encoded",
    "Family",
    "Reading",
    "Window",
    "logits_of",
    "site_layers",
    "vocabulary_size",
]
