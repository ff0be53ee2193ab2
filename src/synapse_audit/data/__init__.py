"""Labelled data: read it, check it, thin it, split it.

::

    file or hub id → Table     reading
    Table → Columns            columns
    Table, Columns → Pool      validating
    Pool → fewer rows          thinning: no repeats, the cap, weights
    LabelledData → Splits      splitting

In: the name of a file and the model's class names. Out: :class:`LabelledData` and its
:class:`Splits`, or one :class:`DataError` that says what to mend.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synapse_audit.artifacts import LabelledData
from synapse_audit.data.columns import choose_columns, require_columns
from synapse_audit.data.label_map import check_label_map
from synapse_audit.data.reading import read_table
from synapse_audit.data.splitting import split
from synapse_audit.data.tables import DATA, Pool
from synapse_audit.data.thinning import cap, class_weights, drop_repeats
from synapse_audit.data.validating import validate
from synapse_audit.errors import DataError

__all__ = ["check_label_map", "load_data", "split"]


def load_data(
    source: str,
    *,
    classes: Sequence[str],
    fit_data: str | None = None,
    text_column: str | None = None,
    text_pair_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    max_examples: int | None = None,
    seed: int = 0,
) -> LabelledData:
    """Reads labelled inputs for one model.

    Repeated inputs are dropped first (:func:`thinning.drop_repeats` says which copy stays, also
    where copies disagree on the label), then the cap is applied, then weights restore the class
    shares that the data has without repeats.

    Args:
        source: CSV, TSV, JSONL or Parquet file, or hub dataset (``org/name:config/split``).
        classes: the model's class names; position = output index. Labels are these names (case,
            spaces and hyphens aside) or, where they are not, indices into them. A class without
            a single row stays in ``classes`` and simply has no support.
        fit_data: a separate file to fit on. Rows whose input or group also occurs in ``source``
            are removed from it and counted in ``n_repeats``.
        text_column: guessed where not given, like ``label_column``.
        text_pair_column: second text, for models that read pairs.
        label_column: guessed where not given.
        group_column: rows with the same value never fall into different splits.
        max_examples: rows to keep at most; see :func:`thinning.cap`.
        seed: of the rows that the cap keeps.

    Raises:
        DataError: the data cannot be read, or cannot be audited; one line says why.
    """
    tables = [read_table(name) for name in (source, fit_data) if name is not None]
    columns = choose_columns(
        tables[0],
        text=text_column,
        pair=text_pair_column,
        label=label_column,
        group=group_column,
    )
    for table in tables[1:]:
        require_columns(table, columns)
    rows = validate(tables, columns, classes)
    whole = drop_repeats(rows)
    _require_two_classes(whole, classes, source)
    kept = cap(whole, max_examples, seed=seed)
    return LabelledData(
        inputs=kept.inputs,
        labels=kept.labels,
        classes=tuple(classes),
        weights=class_weights(whole, kept),
        origin=kept.origin,
        groups=kept.groups,
        sha256=rows.digest(classes),
        source=source if fit_data is None else f"{source} (fitted on {fit_data})",
        n_rows=len(rows.inputs),
        n_repeats=len(rows.inputs) - len(whole.inputs),
    )


def _require_two_classes(pool: Pool, classes: Sequence[str], source: str) -> None:
    present = np.unique(pool.labels[pool.origin == DATA])
    if len(present) < 2:
        raise DataError(
            f"'{source}' holds only class '{classes[present[0]]}'; expected at least two of the "
            f"model's classes: {', '.join(classes)}"
        )
