"""Rows of a table on their way into a model: one vector of numbers per example.

In: rows as ``load_data(..., columns=...)`` reads them, or arrays (columns,). Out: features and
batches with one tensor (examples, columns) of float32, and nothing done to the numbers: what scales
them is part of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from synapse_audit.artifacts import Signal
from synapse_audit.errors import DataError
from synapse_audit.model.families.record import TABLE
from synapse_audit.model.inputs.encoded import Encoded, Inputs
from synapse_audit.model.inputs.signals import stacking_collator


def table_inputs(columns: int, *, argument: str = "values") -> Inputs:
    """How rows of numbers become batches, for ``Classifier.wrap(module, inputs=...)``.

    Args:
        columns: how many numbers the model reads; every row must hold as many.
        argument: what the module's forward calls them.

    Its encoder raises DataError for a row of another length, or with what is no finite number.
    Limits: an example counts as ``columns`` tokens where batches are cut, whatever the model makes
    of it. A module is traced on standard normal numbers; other ``examples`` may be given to wrap.
    """

    def encode(inputs: Sequence[Any]) -> Encoded:
        rows = [_numbers(one, columns) for one in inputs]
        lengths = np.full(len(rows), columns, dtype=np.int64)
        return Encoded(tuple({argument: row} for row in rows), lengths, 0)

    return Inputs(
        encode,
        stacking_collator(),
        reads=f"rows of {columns} numbers",
        modality=TABLE,
        examples=tuple(np.random.default_rng(0).standard_normal((3, columns), dtype=np.float32)),
    )


def _numbers(given: Any, columns: int) -> Float[np.ndarray, " columns"]:
    if isinstance(given, str | tuple):
        raise DataError(
            "a text given to a model that reads rows of numbers; expected arrays, or rows as "
            "load_data(..., columns=...) reads them from tables"
        )
    name = given.name if isinstance(given, Signal) else "an input"
    row = np.asarray(given.content if isinstance(given, Signal) else given, dtype=np.float32)
    if row.shape != (columns,):
        held = f"{len(row)} numbers" if row.ndim == 1 else f"an array of shape {row.shape}"
        raise DataError(f"{name} holds {held}; expected {columns}, as many as the model reads")
    if not np.isfinite(row).all():
        raise DataError(f"{name} holds values that are no numbers; expected none")
    return row
