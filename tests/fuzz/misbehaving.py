"""A program that does what `fuzz.runner` must report; its first argument says what."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path


def _fail(code: int, text: str = "") -> None:
    print(text, file=sys.stderr)
    sys.exit(code)


def _raise() -> None:
    raise ValueError("as asked")


def _allocate() -> None:
    block = bytearray((1 << 30) + (1 << 26))  # a little over the limit, as fresh memory takes its time
    block[:: 1 << 12] = b"x" * len(block[:: 1 << 12])


def _spin() -> None:
    while True:
        pass


def _write_some_and_fail() -> None:
    Path("out.json").write_text("[")
    _fail(2, "Error: broken\nFix: repair it")


DEEDS: dict[str, Callable[[], object]] = {
    "succeed": lambda: Path("out.json").write_text('[{"score": 1}]'),
    "refuse": lambda: _fail(2, "Error: broken\nFix: repair it"),
    "raise": _raise,
    "abort": os.abort,
    "spin": _spin,
    "sleep": lambda: time.sleep(1000),
    "allocate": _allocate,
    "exceed": lambda: bytearray(1 << 40),
    "exit 1": lambda: _fail(1),
    "exit 4": lambda: _fail(4),
    "refuse without a fix": lambda: _fail(2, "Error: broken"),
    "refuse in silence": lambda: _fail(2),
    "write and refuse": _write_some_and_fail,
    "write nothing": lambda: None,
    "write what is not finite": lambda: Path("out.json").write_text('[{"score": NaN}]'),
    "write half": lambda: Path("out.json").write_text('[{"score":'),
    "change an input": lambda: Path("in.json").write_text("other"),
    "remove an input": lambda: Path("in.json").unlink(),
    "leave a file": lambda: Path(".ltcal-x").touch(),
    "leave a temporary file": lambda: (Path(os.environ["TMPDIR"]) / "ltcal-x").touch(),
    "warn": lambda: warnings.warn("overflow", RuntimeWarning, stacklevel=2),
    "colour": lambda: _fail(2, "Error: \x1b[31m\nFix: x"),
    "command": lambda: _fail(2, "Error: x\n::error::x\nFix: x"),
    "chatter": lambda: _fail(2, "Error: " + "x" * 20_000 + "\nFix: x"),
}


def run() -> None:
    DEEDS[sys.argv[1]]()
