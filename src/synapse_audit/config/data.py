"""What is read from a data file: one frozen value, handed on whole to ``load_data``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

from pydantic import ConfigDict, field_validator

from synapse_audit.config.describing import explained


class DataFields(TypedDict, total=False):
    """The fields of :class:`DataOptions` as keywords, for ``load_data``."""

    text_column: str | None
    text_pair_column: str | None
    input_column: str | None
    label_column: str | None
    group_column: str | None
    columns: str | Sequence[str]
    slice_columns: str | Sequence[str]


@explained
@dataclass(frozen=True)
class DataOptions:
    """Which columns hold what; those of texts and labels are guessed where not named."""

    __pydantic_config__ = ConfigDict(use_attribute_docstrings=True, extra="forbid")

    text_column: str | None = None
    """Column of the texts; guessed if left out."""
    text_pair_column: str | None = None
    """Column of the second text, for models that read pairs."""
    input_column: str | None = None
    """Column of the inputs, whatever their kind (images, sounds, series); for texts the same as
    ``text_column``. Guessed if left out."""
    label_column: str | None = None
    """Column of the labels: names of the model's classes or their numbers; guessed if left out."""
    group_column: str | None = None
    """Rows with the same value here never fall into different splits."""
    columns: tuple[str, ...] = ()
    """Tables: the columns of numbers that an input consists of, in the model's order; ``*`` alone:
    all but label, group and slices. One text with commas between the names will do."""

    slice_columns: tuple[str, ...] = ()
    """Columns such as a language or a site: figures are given for the examples of each value too.
    One text with commas between the names will do."""

    @field_validator("columns", mode="before")
    @classmethod
    def _names(cls, given: Any) -> Any:
        names = _split(given)
        if "" in names or ("*" in names and len(names) > 1):
            raise ValueError("expected names with commas between, or '*' alone")
        return names

    @field_validator("slice_columns", mode="before")
    @classmethod
    def _slices(cls, given: Any) -> Any:
        names = _split(given)
        if "" in names or len({*names}) < len(names):
            raise ValueError("expected different names with commas between")
        return names


def _split(given: Any) -> Any:
    return [name.strip() for name in given.split(",")] if isinstance(given, str) else given
