"""The host model behind one face, whatever its architecture."""

from synapse_audit.model.classifier import Classifier
from synapse_audit.model.discovery.head_alone import logits_of
from synapse_audit.model.families.known import FAMILIES, Family
from synapse_audit.model.inputs.encoded import Batch, Encoded, Inputs
from synapse_audit.model.inputs.input_format import InputFormat
from synapse_audit.model.inputs.table_rows import table_inputs
from synapse_audit.model.inputs.token_ids import vocabulary_size
from synapse_audit.model.inputs.windows import Window
from synapse_audit.model.pooling import POSITIONS, Pooling
from synapse_audit.model.sites import (
    ATTENTION_HEAD,
    BLOCK_OUTPUT,
    HEAD_INPUT,
    INNER,
    SITES,
    site_layers,
)
from synapse_audit.model.user_code.python_classifier import is_own, open_classifier
from synapse_audit.model.user_code.python_file import own_modules

__all__ = [
    "ATTENTION_HEAD",
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
    "InputFormat",
    "Inputs",
    "Pooling",
    "Window",
    "is_own",
    "logits_of",
    "open_classifier",
    "own_modules",
    "site_layers",
    "table_inputs",
    "vocabulary_size",
]
