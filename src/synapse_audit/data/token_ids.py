"""Token numbers in place of texts: system-call traces and whatever else is numeric already.

In: a column of lists of whole numbers (JSONL, Parquet) or of numbers written out and separated by
spaces or commas (CSV). Out: the same table with every sequence written in one way, single spaces
between its numbers, so that all that follows treats it as a text. Rows in messages count from 1,
without the header.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from synapse_audit.data.tables import Columns, Table, brief
from synapse_audit.errors import DataError

_SEPARATOR = re.compile(r"[\s,]+")
_NUMBER = re.compile(r"-?\d{1,18}", re.ASCII)


def ids_as_texts(table: Table, columns: Columns, vocabulary: int) -> Table:
    """The same table with the sequences of its text column written with single spaces.

    Args:
        vocabulary: how many tokens the model knows; they are numbered from 0.

    Raises:
        DataError: a row holds no sequence, something else than whole numbers, or a number that the
            model does not know; sequences in pairs. The message names the first such row.
    """
    if columns.pair is not None:
        raise DataError(
            f"text pair column '{columns.pair}' given with token ids; expected one sequence per row"
        )
    written = [
        _written(value, f"column '{columns.text}' of '{table.source}', row {row}", vocabulary)
        for row, value in enumerate(table.frame[columns.text].tolist(), start=1)
    ]
    return replace(table, frame=table.frame.assign(**{columns.text: written}))


def read_ids(text: str, vocabulary: int, where: str) -> list[int]:
    """The numbers of one sequence, brackets around it or not.

    Raises:
        DataError: no number, something that is none, or one outside 0 to ``vocabulary`` − 1.
    """
    pieces = [piece for piece in _SEPARATOR.split(text.strip().strip("[]()")) if piece]
    if not pieces:
        raise DataError(f"{where} holds no token id; expected {_expected(vocabulary)}")
    for piece in pieces:
        if not _NUMBER.fullmatch(piece):
            raise DataError(
                f"{where} holds {brief(piece)} in place of a token id; expected "
                f"{_expected(vocabulary)}, separated by spaces or commas"
            )
        if not 0 <= int(piece) < vocabulary:
            raise DataError(
                f"{where} holds token id {piece}, which the model does not know; expected "
                f"{_expected(vocabulary)}"
            )
    return [int(piece) for piece in pieces]


def _written(value: Any, where: str, vocabulary: int) -> str:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        value = " ".join(map(str, _whole(value, where, vocabulary)))
    if not isinstance(value, str):
        raise DataError(
            f"{where} holds {brief(str(value))} in place of a sequence of token ids; expected "
            f"{_expected(vocabulary)}: a list of them, or separated by spaces or commas"
        )
    return " ".join(map(str, read_ids(value, vocabulary, where)))


def _whole(values: Sequence[Any], where: str, vocabulary: int) -> Sequence[Any]:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int):
            raise DataError(
                f"{where} holds {brief(str(value))} in place of a token id; expected a list of "
                f"{_expected(vocabulary)}"
            )
    return values


def _expected(vocabulary: int) -> str:
    return f"whole numbers from 0 to {vocabulary - 1}"
