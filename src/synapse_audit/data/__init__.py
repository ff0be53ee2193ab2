"""Labelled data: read it, check it, thin it, split it.

::

    file or hub id → Table     reading (a folder with one sub-folder per class: folders; a data
                               frame: frames)
    Table → Columns            columns
    columns → slices           slices (parts of the data that get figures of their own)
    ids → texts of numbers     token_ids (where the text column holds token ids)
    columns → rows of numbers  rows (where several columns of numbers are the input)
    Table, Columns → Pool      validating (images, sounds, series of ``media``: signals)
    Pool → fewer rows          thinning: no repeats, the cap, weights
    rows → windows             windows (where a window is asked for)
    LabelledData → Splits      splitting

In: the name of a file and the model's class names. Out: :class:`LabelledData` and its
:class:`Splits`, or one :class:`DataError` that says what to fix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pandas as pd
from jaxtyping import Int

from synapse_audit.artifacts import LabelledData
from synapse_audit.config import DataFields, DataOptions
from synapse_audit.data.class_names import names_in_labels, two_names
from synapse_audit.data.columns import choose_columns, require_columns, the_input_column
from synapse_audit.data.frames import frame_table
from synapse_audit.data.label_map import check_label_map, exchanged_classes
from synapse_audit.data.labels import refuse_one_column_per_class
from synapse_audit.data.media import MEDIA, Medium
from synapse_audit.data.rows import ROW, TABLE, Rows, as_rows
from synapse_audit.data.several_labels import (
    LEAST_STRATUM,
    PRESENCE,
    SETS,
    OneOf,
    label_strata,
    with_presence,
    with_sets,
)
from synapse_audit.data.slices import read_slices
from synapse_audit.data.splitting import split, split_weights
from synapse_audit.data.table_files import read_table
from synapse_audit.data.tables import DATA, Pool, Table, listing
from synapse_audit.data.thinning import (
    MIN_KEPT,
    cap,
    class_weights,
    drop_repeats,
    require_two_classes,
)
from synapse_audit.data.token_ids import ids_as_texts, read_ids
from synapse_audit.data.validating import validate
from synapse_audit.data.windows import windowed
from synapse_audit.errors import DataError

__all__ = [
    "OneOf",
    "check_label_map",
    "exchanged_classes",
    "load_data",
    "read_ids",
    "split",
    "split_weights",
    "windowed",
]


Source = str | Path | pd.DataFrame
"""A file, a folder or a hub dataset by its name, or rows that are in memory already."""


def load_data(
    source: Source,
    reading: DataOptions = DataOptions(),  # noqa: B008 (frozen)
    *,
    classes: Sequence[str] | None = None,
    fit_data: Source | None = None,
    max_examples: int | None = None,
    seed: int = 0,
    vocabulary: int | None = None,
    modality: str = "text",
    one_of: OneOf | None = None,
    several: bool = False,
    unnamed: Sequence[bool] = (),
    **options: Unpack[DataFields],
) -> LabelledData:
    """Reads labelled inputs for one model.

    Repeated inputs are dropped first (:func:`thinning.drop_repeats` says which copy stays, also
    where copies disagree on the label), then the cap is applied, then weights restore the class
    shares that the data has without repeats.

    Args:
        source: CSV, TSV, JSONL or Parquet file, or hub dataset (``org/name:config/split``); for
            inputs that are no texts also a folder with one sub-folder per class. Or a data frame.
        reading: which columns hold what, whole; or
        options: fields of :class:`DataOptions` by name, such as ``text_column="body"``. With
            ``columns`` inputs are :class:`Signal`, each with a vector (columns,) of float32.
        classes: the model's class names; position = output index. Labels are these names (case,
            spaces and hyphens aside) or, where they are not, indices into them. A class without
            a single row stays in ``classes`` and simply has no support. None: the names that the
            labels hold, in alphabetical order, which need not be that of a model's outputs.
        fit_data: a separate file to fit on. Rows whose input or group also occurs in ``source``
            are removed from it and counted in ``n_repeats``.
        max_examples: rows to keep at most; see :func:`thinning.cap`.
        seed: of the rows that the cap keeps.
        vocabulary: how many tokens the model knows, where the text column holds token ids (lists
            of whole numbers, or numbers separated by spaces or commas); None: it holds texts.
        modality: what the model reads: ``text``, or one of :data:`media.MEDIA`. Inputs that are no
            texts are handed on as :class:`Signal`, not yet decoded.
        one_of: the one of several labels per row whose presence is the class.
        several: whether rows hold sets of labels: lists, ``a|b``, or a column of 0 and 1 per label.
        unnamed: which of two ``classes`` nobody named, so that the labels of the rows may.

    Raises:
        DataError: the data cannot be read, or cannot be audited; one line says why.
    """
    reading, medium = _with(reading, options), MEDIA.get(modality)
    inputs = _input_column(reading, medium)
    tables = [_table(one, medium) for one in (source, fit_data) if one is not None]
    tables, reading, classes = _with_labels(tables, reading, classes, one_of, several=several)
    if reading.columns or modality == TABLE:
        _check_columns(reading, inputs, modality, vocabulary)
        medium, read = ROW, _vectors(tables, reading)
    else:
        refuse_one_column_per_class(tables[0], reading.label_column, classes or ())
        read = _single_inputs(tables, reading, inputs, medium)
    read = _as_one_kind(read, vocabulary)
    names = _class_names(read, classes, unnamed)
    slices = read_slices(read.tables, reading.slice_columns)
    pool = validate(read.tables, read.columns, names, medium, sets=several)
    pool = replace(pool, slices=slices)
    data = _labelled(pool, names, tables[0].source, max_examples, seed)
    return replace(data, source=_sources(read.tables), columns=read.numbers)


def _input_column(reading: DataOptions, medium: Medium | None) -> str | None:
    """The column of the inputs, where one is named; of a contradiction, before a file is read."""
    pair = reading.text_pair_column
    return the_input_column(reading.text_column, reading.input_column, pair, medium)


def _with_labels(
    tables: list[Table],
    reading: DataOptions,
    classes: Sequence[str] | None,
    one_of: OneOf | None,
    *,
    several: bool,
) -> tuple[list[Table], DataOptions, Sequence[str] | None]:
    """The tables with one column of labels where rows have several, its name, and the classes."""
    if one_of is not None:
        tables = with_presence(tables, reading.label_column, one_of)
        return tables, replace(reading, label_column=PRESENCE), one_of.classes
    if not several:
        return tables, reading, classes
    if classes is None:
        raise DataError("several labels per row read without classes; expected the model's labels")
    tables = with_sets(tables, reading.label_column, classes)
    return tables, replace(reading, label_column=SETS), classes


def _table(source: Source, medium: Medium | None) -> Table:
    if isinstance(source, pd.DataFrame):
        return frame_table(source)
    return read_table(str(source), medium)


def _vectors(tables: Sequence[Table], reading: DataOptions) -> Rows:
    """The columns of numbers as one vector per row."""
    return as_rows(
        tables,
        list(reading.columns),
        label=reading.label_column,
        group=reading.group_column,
        slices=reading.slice_columns,
    )


def _single_inputs(
    tables: list[Table], reading: DataOptions, inputs: str | None, medium: Medium | None
) -> Rows:
    """One column of inputs (two where texts come in pairs), label and group."""
    chosen = choose_columns(
        tables[0],
        text=inputs,
        pair=reading.text_pair_column,
        label=reading.label_column,
        group=reading.group_column,
        medium=medium,
    )
    return Rows(tables, chosen)


def _as_one_kind(read: Rows, vocabulary: int | None) -> Rows:
    """The same rows, whose every table has the columns; token ids are written as texts."""
    for table in read.tables[1:]:
        require_columns(table, read.columns)
    if vocabulary is None:
        return read
    return read._replace(
        tables=[ids_as_texts(table, read.columns, vocabulary) for table in read.tables]
    )


def _class_names(
    read: Rows, classes: Sequence[str] | None, unnamed: Sequence[bool]
) -> Sequence[str]:
    """Those of the model, or of the labels where nobody named them."""
    names = names_in_labels(read.tables, read.columns) if classes is None else classes
    return two_names(read.tables, read.columns, names, unnamed) if any(unnamed) else names


def _labelled(
    rows: Pool, classes: Sequence[str], source: str, max_examples: int | None, seed: int
) -> LabelledData:
    """Rows without repeats, as many as asked for, with weights for those left out."""
    whole, least = drop_repeats(rows), MIN_KEPT
    if whole.sets is None:
        require_two_classes(whole.labels[whole.origin == DATA], classes, source)
    else:
        _require_two_sets(whole.sets[whole.origin == DATA], source)
        whole = replace(whole, labels=label_strata(whole.sets, len(classes), whole.origin))
        least = LEAST_STRATUM
    kept = cap(whole, max_examples, seed=seed, least=least)
    return LabelledData(
        inputs=kept.inputs,
        labels=kept.labels,
        classes=tuple(classes),
        weights=class_weights(whole, kept),
        origin=kept.origin,
        groups=kept.groups,
        sha256=rows.digest(classes),
        source=source,
        n_rows=len(rows.inputs),
        n_repeats=len(rows.inputs) - len(whole.inputs),
        notes=rows.notes,
        slices=kept.slices,
        sets=kept.sets,
    )


def _require_two_sets(sets: Int[np.ndarray, " rows"], source: str) -> None:
    if len(np.unique(sets)) < 2:
        raise DataError(
            f"'{source}' holds the same labels in every row; expected at least two sets"
        )


def _with(reading: DataOptions, options: DataFields) -> DataOptions:
    """The options with those fields changed; one column may be named without a list."""
    changed: dict[str, Any] = {**options}
    for name in ("columns", "slice_columns"):
        if name in changed:
            named = changed[name]
            changed[name] = (named,) if isinstance(named, str) else tuple(named)
    return replace(reading, **changed)


def _check_columns(
    reading: DataOptions, inputs: str | None, modality: str, vocabulary: int | None
) -> None:
    """Checks that columns of numbers are named, and nothing beside them."""
    columns, other = reading.columns, inputs or reading.text_pair_column
    if not columns:
        raise DataError(
            "no columns given; the model reads rows of numbers; expected --columns a,b,c in the "
            "model's order, or --columns '*' for all but label and group"
        )
    given = f"columns {listing(columns, most=3)} given"
    if modality in MEDIA:
        one = MEDIA[modality].one
        raise DataError(f"{given}; the model reads one {one} per example; expected --input-column")
    if other is not None or vocabulary is not None:
        what = "token ids" if other is None else f"the column '{other}' of inputs"
        raise DataError(f"{given}, and {what}; expected one of the two")


def _sources(tables: Sequence[Table]) -> str:
    """Where the rows came from, for the reader."""
    named = [f"{table.source}, {table.note}" if table.note else table.source for table in tables]
    return named[0] if len(named) == 1 else f"{named[0]} (fitted on {named[1]})"
