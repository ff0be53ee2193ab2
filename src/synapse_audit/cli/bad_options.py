"""What was wrong with a command's options, in one line: given, expected, choices.

Typer writes a usage line, a hint and a box; every other bad input of ours is one line. Which kind
of mistake it was is read off the exception's name and attributes: newer typers ship a copy of
click's classes that they do not export, older ones use click itself.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import Any

import typer

from synapse_audit.errors import choices

Mistake: type[Exception] = typer.BadParameter.__mro__[1]
"""``UsageError`` of the click that typer uses."""

EXPECTED = {
    **dict.fromkeys(("int", "integer"), "a whole number"),
    "float": "a number",
    **dict.fromkeys(("bool", "boolean"), "true or false"),
}
"""Name of a parameter's type → what it takes."""


def shows_help(error: Exception) -> bool:
    """Whether nothing was given and the help is the answer."""
    return type(error).__name__ == "NoArgsIsHelpError"


def explained(error: Any) -> str:
    """One line for a mistake that typer found."""
    kind = type(error).__name__
    if kind == "BadOptionUsage":
        return _bad_use(str(error.option_name))
    return EXPLANATIONS.get(kind, _extra)(error) if error.ctx else str(error.format_message())


def _no_such_option(error: Any) -> str:
    name, known = str(error.option_name), _names(error.ctx.command.params)
    return f"option {name} given to {_command(error)}; {choices(name, known)}"


def _bad_value(error: Any) -> str:
    given = "".join(f" '{value}'" for value in _values(error.param.opts)[-1:])
    expected = EXPECTED.get(_type_name(error.param))
    what = f"{_name(error.param)}{given} given"
    return f"{what}; expected {expected}" if expected else f"{what}; {error.message}"


def _missing(error: Any) -> str:
    return f"{_name(error.param)} is missing; expected {_usage(error)}"


def _bad_use(name: str) -> str:
    """An option without its value, or a switch with one."""
    if any(word.startswith(f"{name}=") for word in sys.argv[1:]):
        return f"{name} given with a value; expected {name} alone"
    return f"{name} given without a value; expected one after it"


def _extra(error: Any) -> str:
    """A command that does not exist, or more arguments than it takes."""
    known = getattr(error.ctx.command, "commands", None)
    if known:
        given = next((a for a in sys.argv[1:] if not a.startswith("-")), "")
        return f"command '{given}' given; {choices(given, known)}"
    extra = re.search(r"\(([^()]*)\)$", str(error.message))
    what = extra.group(1) if extra else str(error.message)
    return f"more than expected given: {what}; expected {_usage(error)}"


EXPLANATIONS = {
    "NoSuchOption": _no_such_option,
    "BadParameter": _bad_value,
    "MissingParameter": _missing,
}
"""Kind of mistake → its line."""


def _names(params: Iterable[Any]) -> list[str]:
    options = [param for param in params if param.param_type_name == "option"]
    return [*(name for param in options for name in param.opts if name.startswith("--")), "--help"]


def _command(error: Any) -> str:
    return str(error.ctx.info_name) if error.ctx.parent is not None else "synapse-audit"


def _name(param: Any) -> str:
    option = param.param_type_name == "option"
    return str(param.opts[0]) if option else str(param.name).upper()


def _usage(error: Any) -> str:
    """The command with its arguments, as its help shows them."""
    arguments = [p for p in error.ctx.command.params if p.param_type_name == "argument"]
    names = [_name(p) if p.required else f"[{_name(p)}]" for p in arguments]
    return " ".join(["synapse-audit", _command(error), *names, "and options"])


def _values(opts: Iterable[str]) -> list[str]:
    """What stands after an option on the command line, every time it is given."""
    words, found = sys.argv[1:], []
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in opts:
            found += [value] if equals else words[place + 1 : place + 2]
    return found


def _type_name(param: Any) -> str:
    """``int`` or the like, where either generation of typer keeps it."""
    described = getattr(param, "type_descriptor", None)
    if described is not None:
        return str(getattr(described.annotation, "__name__", ""))
    return str(getattr(getattr(param, "type", None), "name", ""))
