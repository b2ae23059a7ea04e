"""Interruptions: SIGTERM ends a command as SIGINT does. Imports nothing large."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from types import FrameType

INTERRUPTED = 130
"""The exit code after SIGINT and SIGTERM."""
MESSAGE = "interrupted; no output was left half-written"

_LATER = 0.01
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_IMPORTED_BY_ARROW = frozenset({"pandas", "uuid"})
"""Modules that pyarrow imports from C++ when it first converts values. It drops every exception of these imports,
KeyboardInterrupt too (`ModuleOnceRunner` in arrow/python/helpers.cc)."""


def handle() -> None:
    """Raise KeyboardInterrupt at SIGINT and SIGTERM, unless the parent process chose to ignore them."""
    sys.unraisablehook = _interrupt_again
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def ignore() -> None:
    """From now on do nothing; for the end of the process, where a traceback would only say how Python ends."""
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, later if it would be dropped now."""
    if _in_import_of_arrow(frame):
        _repeat(number)
    else:
        raise KeyboardInterrupt


def _in_import_of_arrow(frame: FrameType | None) -> bool:
    """Whether one of `_IMPORTED_BY_ARROW` is being imported, by whomever: no frame tells the callers in C++."""
    while frame is not None:
        if frame.f_code.co_name == "_find_and_load" and frame.f_locals.get("name") in _IMPORTED_BY_ARROW:
            return True
        frame = frame.f_back
    return False


def _interrupt_again(lost: sys.UnraisableHookArgs) -> None:
    """Repeat an interruption that Python dropped, as it does with exceptions in destructors and callbacks."""
    if lost.exc_type is KeyboardInterrupt:
        _repeat(signal.SIGTERM)
    else:
        sys.__unraisablehook__(lost)


def _repeat(number: int) -> None:
    """Handle a signal once more, a little later and from a thread: raised at once it would be dropped again."""
    again = threading.Timer(_LATER, _interrupt_main_thread, (number,))
    again.daemon = True
    again.start()


def _interrupt_main_thread(number: int) -> None:
    if sys.platform == "win32":
        _thread.interrupt_main(number)
    else:  # a real signal, which ends a wait too
        signal.pthread_kill(threading.main_thread().ident or 0, number)
