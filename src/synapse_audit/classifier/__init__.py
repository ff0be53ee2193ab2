"""The host model behind one face, whatever its architecture."""

from synapse_audit.classifier.classifier import Classifier
from synapse_audit.classifier.encoded import Batch, Encoded, Inputs
from synapse_audit.classifier.family import FAMILIES, Family
from synapse_audit.classifier.loading import Reads
from synapse_audit.classifier.own import is_own, open_classifier
from synapse_audit.classifier.python_file import own_modules
from synapse_audit.classifier.reading import POSITIONS, Reading
from synapse_audit.classifier.rows import table_inputs
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
    "Inputs",
    "Reading",
    "Reads",
    "Window",
    "is_own",
    "logits_of",
    "open_classifier",
    "own_modules",
    "site_layers",
    "table_inputs",
    "vocabulary_size",
]
