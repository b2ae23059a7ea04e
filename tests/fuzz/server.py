"""Runs command lines in forked processes, each with limits, from a parent that has imported everything.

A process of its own, started by `fuzz.runner`: libraries start threads when they are used, and a process with threads
cannot be forked safely. This one only imports, and checks that it has one thread before it forks.

Reads one request per line of stdin and answers each with one line on stdout, both JSON. A request holds:

- arguments: the command line, without the name of the program;
- folder: the working folder; tmp: the folder for temporary files;
- stdout, stderr: files to write these to.

An answer holds:

- status: as of `os.waitstatus_to_exitcode`, -N for a process killed by signal N;
- late: whether it was killed after `WALL_SECONDS`;
- peak_bytes: its largest resident memory;
- cpu_seconds.
"""

from __future__ import annotations

import atexit
import faulthandler
import gc
import importlib
import json
import os
import pkgutil
import resource
import select
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any, NoReturn

CPU_SECONDS = 6
"""A valid input of this size takes 0.05; time on the processor does not depend on what else the machine does."""
WALL_SECONDS = 60
"""For processes that wait for ever."""
ADDRESS_BYTES = 6 << 30
"""Of these 1 GiB are taken by libraries. More is refused to the process, which sees a MemoryError."""
FILE_BYTES = 1 << 28
"""What is written beyond fails as on a full disk."""

_LIBRARIES = (
    "msgspec",
    "numpy.random",
    "pandas",
    "pyarrow.parquet",
    "pycocotools.mask",
    "safetensors.torch",
    "tabulate",
    "torch",
)
"""What the package, or Arrow, imports only when it needs it."""


def serve(entry: str) -> None:
    """Answer requests until stdin ends. entry: ``module:function``, which takes its arguments from `sys.argv`."""
    _preload()
    run = pkgutil.resolve_name(entry)
    threads = len(list(Path("/proc/self/task").iterdir()))
    if threads != 1:
        raise RuntimeError(f"{threads} threads after the imports: it is not safe to fork")
    gc.disable()
    gc.freeze()
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    while line := sys.stdin.readline():
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(request, run)
        replies.write(json.dumps(_wait(child)) + "\n")
        replies.flush()


def _preload() -> None:
    package = importlib.import_module("longtail_cli")
    inside = [module.name for module in pkgutil.walk_packages(package.__path__, "longtail_cli.")]
    for name in (*_LIBRARIES, *inside):
        if not name.startswith(("longtail_cli.capture", "longtail_cli.verify")):  # need frameworks and other packages
            importlib.import_module(name)


def _wait(child: int) -> dict[str, Any]:
    """Wait for the end of the process; abort it after `WALL_SECONDS`, so that it writes where it stood."""
    handle = os.pidfd_open(child)
    waiting = select.poll()
    waiting.register(handle, select.POLLIN)
    late = not waiting.poll(WALL_SECONDS * 1000)
    if late:
        os.kill(child, signal.SIGABRT)
        if not waiting.poll(5000):
            os.kill(child, signal.SIGKILL)
    os.close(handle)
    _, status, usage = os.wait4(child, 0)
    return {
        "status": os.waitstatus_to_exitcode(status),
        "late": late,
        "peak_bytes": usage.ru_maxrss * 1024,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
    }


def _become(request: dict[str, Any], run: Any) -> NoReturn:
    """Do in the forked process what a new interpreter would, and end without tearing down the libraries (0.2 s)."""
    os.chdir(request["folder"])
    os.environ["TMPDIR"] = request["tmp"]
    tempfile.tempdir = None
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, request["stdout"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, request["stderr"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        os.dup2(os.open(path, flags), number)
    faulthandler.enable()
    faulthandler.register(signal.SIGXCPU, chain=True)
    limits = {
        resource.RLIMIT_AS: ADDRESS_BYTES,
        resource.RLIMIT_CPU: CPU_SECONDS,
        resource.RLIMIT_FSIZE: FILE_BYTES,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in limits.items():
        resource.setrlimit(limit, (value, value + 1 if limit == resource.RLIMIT_CPU else value))
    sys.argv = ["ltcal", *request["arguments"]]
    code: Any = 0
    try:
        run()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    serve(sys.argv[1])
