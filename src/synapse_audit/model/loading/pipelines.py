"""A ``transformers`` pipeline as it is: its model, its tokenizer, and where it cuts texts.

In: a text-classification pipeline. Out: :class:`Parts`, as a checkpoint gives them. The pipeline's
model is used and its tokenizer copied: nothing of the pipeline changes but a padding token that its
configuration lacks.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from synapse_audit.errors import ModelError, UsageError
from synapse_audit.model.inputs.input_format import InputFormat
from synapse_audit.model.loading.output_names import output_names, outputs
from synapse_audit.model.loading.parts import (
    Parts,
    check_config,
    find_family,
)
from synapse_audit.model.loading.problem_type import MULTI, problem_type
from synapse_audit.model.loading.text_inputs import text_inputs
from synapse_audit.model.placement import device_of

TASK = "text-classification"


def is_pipeline(given: Any) -> bool:
    """Whether something is a pipeline of transformers, by what it holds."""
    return all(hasattr(given, name) for name in ("task", "model", "tokenizer", "preprocess"))


def pipeline_parts(given: Any, reads: InputFormat, label: str | None = None) -> Parts:
    """What a pipeline holds; a copy of its model where one ``label`` of several is to be audited.

    Raises:
        ModelError: it does something else than classify texts.
        UsageError: token ids, or an input format that the model cannot read.
    """
    name = name_of(given)
    if given.task != TASK or given.tokenizer is None:
        raise ModelError(
            f"pipeline '{name}' is for {given.task}; expected one for {TASK}, or for others a "
            "saved model: Classifier.load(folder)"
        )
    config = given.model.config
    stated = getattr(config, "problem_type", None)
    sigmoid = label is not None or outputs(config) == 1 or stated == MULTI
    usual = "sigmoid" if sigmoid else "softmax"
    applied = str(given._postprocess_params.get("function_to_apply") or usual)
    applied = applied.rpartition(".")[2].lower()  # of a name, or of an enumeration
    if applied not in (usual, "none"):
        which = "expected sigmoid" if sigmoid else "one decision per class; expected softmax"
        raise ModelError(f"pipeline '{name}' applies {applied}, {which}")
    if reads.tokens != "text":
        raise UsageError(f"tokens '{reads.tokens}' given with a pipeline; expected text")
    check_config(name, config, label)
    family = find_family(config, named=False)
    inputs = text_inputs(
        name, deepcopy(given.tokenizer), given.model, family, _served(given, reads)
    )
    return Parts(
        model=given.model if label is None else deepcopy(given.model),
        classes=output_names(config),
        inputs=inputs,
        family=family,
        notes=("taken from a pipeline of transformers",),
        device=str(device_of(given.model)),
        origin={"problem_type": problem_type(name, config, label)}
        | ({"max_tokens": inputs.cut} if inputs.cut else {}),
    )


def name_of(given: Any) -> str:
    """Where a pipeline's model came from, if it says."""
    return str(getattr(given.model.config, "_name_or_path", "") or "pipeline")


def _served(given: Any, reads: InputFormat) -> InputFormat:
    """The format asked for, cut where the pipeline cuts if nobody says otherwise."""
    held = given._preprocess_params
    kept: dict[str, Any] = {**held, **held.get("tokenizer_kwargs", {})}
    cut = kept.get("max_length") if kept.get("truncation") else None
    if not isinstance(cut, int) or reads.max_tokens is not None or reads.window is not None:
        return reads
    return reads._replace(max_tokens=cut)
