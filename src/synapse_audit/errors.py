"""What can go wrong for reasons the user can fix.

::

    AuditError
    ├── UsageError         an option, or a combination of options, that makes no sense
    ├── DataError          the labelled data cannot be audited
    ├── ModelError         the model cannot be audited
    └── RunFolderError     the run folder is missing, foreign or not writable

Every message is one line that says what was given, what was expected and which choices exist.
The command line prints it and exits with code 2; anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AuditError(Exception):
    """Base of every error that the user can fix."""


class UsageError(AuditError):
    """An option, or a combination of options, that makes no sense."""


class DataError(AuditError):
    """The labelled data cannot be audited."""


class ModelError(AuditError):
    """The model cannot be audited."""


class RunFolderError(AuditError):
    """The run folder is missing, belongs to another run, or is not writable."""


BROKEN = (OSError, ValueError, ImportError, TypeError, KeyError, AttributeError, IndexError)
"""What libraries raise on files that hold something else than they expect."""


def first_line(error: BaseException) -> str:
    """What an error of a library says, without the lines that only its developers need."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def choices(given: str, allowed: Iterable[str]) -> str:
    """Says which choices exist, with the closest one suggested first.

    >>> choices("zer0", ["mean", "zero"])
    "did you mean 'zero'? choices: mean, zero"
    """
    names = list(allowed)
    close = difflib.get_close_matches(given, names, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}choices: {', '.join(names)}"
