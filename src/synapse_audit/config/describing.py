"""What each field means, read off the docstrings beside the fields."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T", bound=type[Any])


def field_docs(value: type[Any]) -> dict[str, str]:
    """Field of a configuration value → its docstring on one line."""
    properties = TypeAdapter(value).json_schema(mode="validation")["properties"]
    described = {name: held.get("description", "") for name, held in properties.items()}
    return {name: " ".join(text.split()) for name, text in described.items()}


def explained(value: T) -> T:
    """The class with its fields listed in its docstring, where ``help()`` shows them."""
    lines = [f"    {name}: {meaning}" for name, meaning in field_docs(value).items()]
    value.__doc__ = "\n".join([f"{value.__doc__}\n", "Fields:", *lines])
    return value
