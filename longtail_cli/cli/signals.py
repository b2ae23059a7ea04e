"""Interruptions: SIGTERM ends a command as SIGINT does. Imports nothing large."""

from __future__ import annotations

import _thread
import signal
import sys
import threading

INTERRUPTED = 130
"""The exit code after SIGINT and SIGTERM."""
MESSAGE = "interrupted; no output was left half-written"

_LATER = 0.01
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def handle() -> None:
    """Raise KeyboardInterrupt at SIGTERM too, unless the parent process chose to ignore it."""
    sys.unraisablehook = _interrupt_again
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_IGN:
        signal.signal(signal.SIGTERM, signal.default_int_handler)


def ignore() -> None:
    """From now on do nothing; for the end of the process, where a traceback would only say how Python ends."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _interrupt_again(lost: sys.UnraisableHookArgs) -> None:
    """Repeat an interruption that Python dropped, as it does with exceptions in destructors and callbacks.

    Later, from a thread: raised here it would be dropped again.
    """
    if lost.exc_type is KeyboardInterrupt:
        again = threading.Timer(_LATER, _thread.interrupt_main, (signal.SIGTERM,))
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(lost)
