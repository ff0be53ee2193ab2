"""Where the windows of a long input begin and end."""

from __future__ import annotations

from typing import NamedTuple

from synapse_audit.errors import UsageError


class Window(NamedTuple):
    """Long inputs become several examples of at most ``size`` tokens, special tokens included."""

    size: int
    stride: int | None = None
    """Tokens of the input from the start of one window to the start of the next; None: windows
    follow each other without overlap."""

    def step(self, limit: int, added: int) -> int:
        """Tokens from one start to the next.

        Args:
            limit: tokens that the model can read at once.
            added: special tokens in every window.

        Raises:
            UsageError: windows that the model cannot read, that hold nothing of the input, or that
                would leave parts of it out.
        """
        if not added < self.size <= limit:
            raise UsageError(
                f"window of {self.size} tokens given; expected {added + 1} to {limit} "
                f"({added} of them special tokens), which is what the model can read"
            )
        content = self.size - added
        step = content if self.stride is None else self.stride
        if not 1 <= step <= content:
            raise UsageError(
                f"stride of {step} tokens given; expected 1 to {content}, so that windows of "
                f"{self.size} tokens ({added} of them special tokens) leave nothing out"
            )
        return step


def starts(length: int, size: int, step: int) -> range:
    """Where windows begin: every ``step``, up to the first one that reaches the end.

    >>> list(starts(10, 4, 3)), list(starts(11, 4, 3)), list(starts(4, 4, 1))
    ([0, 3, 6], [0, 3, 6, 9], [0])
    """
    return range(0, max(length - size, 0) + step, step)
