"""Commands in a process of their own, with bounded memory and time, for inputs that are meant to exhaust them."""

from __future__ import annotations

import resource
import subprocess
import sys

GIB = 1 << 30


def run_bounded(*arguments: object, memory: int = 3 * GIB // 2, seconds: int = 60) -> subprocess.CompletedProcess[str]:
    """`ltcal` with these arguments; `memory` bytes of address space, of which the libraries take about half a GiB."""
    return subprocess.run(
        [sys.executable, "-m", "longtail_cli.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=seconds,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (memory, memory)),
    )


def refusal(*arguments: object, memory: int = 3 * GIB // 2) -> str:
    """The message with which the command refuses its input."""
    done = run_bounded(*arguments, memory=memory)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    return done.stderr
