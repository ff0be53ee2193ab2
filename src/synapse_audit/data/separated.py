"""CSV and TSV files as tables of strings; "NA", "null" and "nan" are words like any other.

In: a path. Out: a :class:`Table`. CSV has quoting (RFC 4180): a quoted text may hold the separator
and line breaks. TSV has none (IANA, text/tab-separated-values): a quotation mark is a character
like any other, and a text can hold neither tabs nor line breaks.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pandas as pd

from synapse_audit.data.tables import Table
from synapse_audit.errors import DataError

LONGEST = 10_000_000
"""Characters of one field; Python's own limit of 131,072 is shorter than some documents."""

_WRAPPED = re.compile(r'"(?:[^"]|"")*"')


def read_csv(path: Path) -> Table:
    """Fields between commas, or between semicolons where the header holds no comma.

    Raises:
        DataError: not UTF-8, a row that does not fit the header, or tabs in place of commas.
    """
    text = decode(path)
    header = text.partition("\n")[0]
    if "," in header or header.count(";") + header.count("\t") == 0:
        return Table(str(path), _quoted(path, text, ","))
    if "\t" in header:
        raise DataError(
            f"data file '{path}' has tabs and no commas in its header; expected fields between "
            "commas or semicolons, or the suffix .tsv"
        )
    note = "fields between semicolons, since its header holds no comma"
    return Table(str(path), _quoted(path, text, ";"), note=note)


def read_tsv(path: Path) -> Table:
    """Fields between tabs, every quotation mark as written."""
    rows = _rows(path, decode(path), "\t", csv.QUOTE_NONE)
    n = sum(rows.map(_is_wrapped).any(axis=1))
    note = f"TSV has no quoting: quotation marks around fields of {n} rows kept" if n else ""
    return Table(str(path), rows, note=note)


def decode(path: Path) -> str:
    """The text of a file in UTF-8, without a byte order mark.

    Raises:
        DataError: some bytes are no UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DataError(
            f"data file '{path}' is not UTF-8: byte 0x{error.object[error.start]:02x} at position "
            f"{error.start} fits no character; expected text saved as UTF-8"
        ) from None


def _quoted(path: Path, text: str, separator: str) -> pd.DataFrame:
    """pandas joins what follows a closing quotation mark to the field before it, in silence.

    A text that begins with a quotation mark and is not quoted would so swallow the rows below it.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    usual, begins = csv.field_size_limit(LONGEST), 1
    try:
        for _ in reader:
            begins = reader.line_num + 1
    except csv.Error as error:
        cause = f"in the row that begins in line {begins}, {error}"
        raise _malformed(path, cause, csv.QUOTE_MINIMAL) from None
    finally:
        csv.field_size_limit(usual)
    return _rows(path, text, separator, csv.QUOTE_MINIMAL)


def _rows(path: Path, text: str, separator: str, quoting: int) -> pd.DataFrame:
    try:
        # With header=0 pandas would silently take a surplus first field as the index.
        rows = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            header=None,
            dtype=str,
            keep_default_na=False,
            quoting=quoting,  # type: ignore[call-overload]  # pandas-stubs wants a literal
        )
    except pd.errors.EmptyDataError:
        raise DataError(f"data file '{path}' is empty; expected a header and rows") from None
    except pd.errors.ParserError as error:
        cause = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise _malformed(path, cause, quoting) from None
    header = [str(name) for name in rows.iloc[0]]
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise DataError(f"data file '{path}' has two columns '{twice[0]}'; expected unique names")
    return rows.iloc[1:].set_axis(header, axis="columns").reset_index(drop=True)


def _malformed(path: Path, cause: str, quoting: int) -> DataError:
    rule = (
        "no tab and no line break inside a text, since TSV has no quoting"
        if quoting == csv.QUOTE_NONE
        else "double quotes around texts that hold the separator, a line break or a quotation mark "
        "(which is then doubled)"
    )
    return DataError(
        f"data file '{path}' is malformed: {cause}; expected as many fields per row as in the "
        f"header, and {rule}"
    )


def _is_wrapped(value: object) -> bool:
    """Whether a field looks like one that a writer of CSV had to quote."""
    if not isinstance(value, str) or len(value) < 2 or not value.startswith('"'):
        return False
    return _WRAPPED.fullmatch(value) is not None
