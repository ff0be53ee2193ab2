"""The host model behind one face, whatever its architecture."""

from synapse_audit.classifier.classifier import Classifier
from synapse_audit.classifier.encoded import Batch, Encoded
from synapse_audit.classifier.family import FAMILIES, Family

__all__ = ["FAMILIES", "Batch", "Classifier", "Encoded", "Family"]
