"""Ctrl-C, distinguished from the errors that libraries make of it.

An interrupt may come while C code imports a module, or while a class is made: numpy then reports
an ImportError, Python before 3.12 a RuntimeError. Only the signal itself tells what happened.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

INTERRUPTED = 130
"""Exit code of an interrupted command, as shells have it."""


@dataclass
class Interrupts:
    """Whether an interrupt came."""

    came: bool = False

    def explain(self, end: BaseException) -> bool:
        """Whether what ended the command is owed to an interrupt.

        Limits: where a library swallowed the interrupt, so does whatever fails later.
        """
        if isinstance(end, SystemExit):
            return end.code == INTERRUPTED or (self.came and end.code not in (0, None))
        return self.came or isinstance(end, KeyboardInterrupt)


@contextmanager
def noticed() -> Iterator[Interrupts]:
    """Notices interrupts, which come as KeyboardInterrupt as ever."""
    seen = Interrupts()

    def notice(number: int, frame: FrameType | None) -> None:
        seen.came = True
        signal.default_int_handler(number, frame)

    # Whoever started this may have chosen to ignore interrupts, or to handle them.
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or threading.current_thread() is not threading.main_thread():
        yield seen
        return
    signal.signal(signal.SIGINT, notice)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
