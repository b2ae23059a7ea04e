"""Runs one case: a command line with its input files, and says what is wrong with how it ended.

Whatever the files hold, a command ends with exit code 0 to 3 and no traceback, in bounded time and memory, touches
nothing but its outputs, and does so only if it succeeds.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from fuzz.outputs import CHECKS

import longtail_cli

MEMORY_BYTES = 1 << 30
"""The most that a case may take; a valid input of this size takes 0.2 GiB, most of it libraries."""
MESSAGE_CHARACTERS = 10_000
STALE = b"from an earlier run\n"
"""The content of outputs that exist before the run."""

_HERE = Path(__file__).parent
_ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # Arrow's allocator starts a thread when it is imported
}

_FRAME = re.compile(r'File "[^"]*?longtail_cli/([^"]*)", line \d+,? in (\S+)')
_RAISED = re.compile(r"^([A-Za-z_][\w.]*)(?::|$)", re.MULTILINE)  # the first line that is not indented
_WARNING = re.compile(r"^(?:\S*longtail_cli/)?(\S+?):\d+: (\w*Warning): ", re.MULTILINE)
_COMMAND_OF_RUNNER = re.compile(r"^\s*::|##\[", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Case:
    """A command line and its files. All paths are relative to its working folder."""

    arguments: tuple[str, ...]
    inputs: Mapping[str, bytes]
    """Content by path."""
    outputs: Mapping[str, str] = field(default_factory=dict)
    """Kind by path, a key of `fuzz.outputs.CHECKS`. Exit code 0 writes all of them, exit code 2 none."""
    optional: Mapping[str, str] = field(default_factory=dict)
    """Outputs as in `outputs` that exit code 0 may leave out."""
    stale: bool = False
    """Whether the outputs exist before the run."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended."""

    status: int
    """Exit code, or -N if signal N killed it."""
    late: bool
    peak_bytes: int
    cpu_seconds: float
    stdout: str
    stderr: str
    changed: Mapping[str, str]
    """What happened to files in the working folder and in that for temporary files: appeared, changed or vanished."""
    faulty: Mapping[str, str]
    """Outputs that were written but cannot be read, with the reason."""


class Runner:
    """Runs cases, one after the other, in forks of one server. A context manager.

    entry: ``module:function`` to run instead of the command line.
    """

    def __init__(self, entry: str = "longtail_cli.cli.__main__:run") -> None:
        path = [Path(longtail_cli.__file__).parents[1], _HERE.parent]
        environment = {**os.environ, **_ONE_THREAD, "PYTHONPATH": os.pathsep.join(map(str, path))}
        command = [sys.executable, "-P", str(_HERE / "server.py"), entry]
        self._server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )

    def __enter__(self) -> Runner:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.communicate()

    def run(self, case: Case) -> Ending:
        """Run `case` in new folders, which are removed after."""
        with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
            root = Path(name)
            work, tmp = root / "work", root / "tmp"
            work.mkdir()
            tmp.mkdir()
            for path, content in case.inputs.items():
                _write(work / path, content)
            for path in case.outputs if case.stale else ():
                _write(work / path, STALE)
            before = {**_contents(work), **_contents(tmp)}
            reply = self._ask(case, root)
            after = {**_contents(work), **_contents(tmp)}
            changed = _changes(before, after)
            faulty = {}
            for path, kind in {**case.outputs, **case.optional}.items():
                if path in changed and (work / path).is_file() and (reason := CHECKS[kind](work / path)):
                    faulty[path] = reason
            texts = {name: (root / name).read_bytes().decode(errors="replace") for name in ("stdout", "stderr")}
            return Ending(**reply, **texts, changed=changed, faulty=faulty)

    def _ask(self, case: Case, root: Path) -> dict[str, Any]:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        places = {"folder": "work", "tmp": "tmp", "stdout": "stdout", "stderr": "stderr"}
        request = {"arguments": case.arguments} | {key: str(root / name) for key, name in places.items()}
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        reply = self._server.stdout.readline()
        if not reply:
            raise RuntimeError(f"the server ended with status {self._server.wait()}")
        answer: dict[str, Any] = json.loads(reply)
        return answer


def fault(case: Case, ending: Ending) -> str | None:
    """What is wrong with the ending, the same text for the same cause as far as possible; None if nothing is."""
    return (
        _fault_of_process(ending)
        or _fault_of_text(ending)
        or _fault_of_message(ending)
        or _fault_of_files(case, ending)
    )


def _fault_of_process(ending: Ending) -> str | None:
    if ending.late:
        return f"does not end, {_place(ending.stderr)}"
    if ending.status < 0:
        killed = signal.Signals(-ending.status).name
        return f"killed by {killed}, {_place(ending.stderr)}"
    if "Traceback (most recent call last)" in ending.stderr:
        trace = ending.stderr.rsplit("Traceback (most recent call last)", 1)[1]
        raised = _RAISED.findall(trace)
        return f"{raised[0] if raised else 'exception'}, {_place(trace, last=True)}"
    if ending.status not in (0, 1, 2, 3):
        return f"exit code {ending.status}"
    if ending.peak_bytes > MEMORY_BYTES:
        return "takes over 1 GiB of memory"
    return None


def _fault_of_text(ending: Ending) -> str | None:
    if warning := _WARNING.search(ending.stderr):
        return f"{warning[2]} of Python on stderr, in {warning[1]}"
    if len(ending.stderr) > MESSAGE_CHARACTERS:
        return "a message of over 10,000 characters"
    for name, text in (("stdout", ending.stdout), ("stderr", ending.stderr)):
        if not text.replace("\n", "").isprintable():
            return f"a control character on {name}"
        if _COMMAND_OF_RUNNER.search(text):
            return f"a workflow command of a CI runner on {name}"
    return None


def _fault_of_message(ending: Ending) -> str | None:
    if ending.status == 1 and "gate" not in ending.stderr:
        return "exit code 1 without a gate"
    if ending.status in (2, 3) and "Error: " not in ending.stderr:
        return f"exit code {ending.status} without a line `Error: `"
    if ending.status == 2 and "\nFix: " not in ending.stderr:
        return "exit code 2 without a line `Fix: `"
    return None


def _fault_of_files(case: Case, ending: Ending) -> str | None:
    kinds = {**case.outputs, **case.optional}
    for path, change in ending.changed.items():
        if path not in kinds:
            return f"{change}: {_kind_of_file(path, case)}"
        if ending.status == 2:
            return f"exit code 2, but an output {change}"
    for path, reason in ending.faulty.items():
        return f"an output of kind `{kinds[path]}` is broken: {reason}"
    if ending.status == 0 and (missing := case.outputs.keys() - ending.changed.keys()):
        return f"exit code 0, but without an output of kind `{case.outputs[min(missing)]}`"
    return None


def _kind_of_file(path: str, case: Case) -> str:
    if path in case.inputs:
        return "an input"
    return "a temporary file" if Path(path).name.startswith((".ltcal", "ltcal-", "tmp")) else "a file that is no output"


def _place(trace: str, *, last: bool = False) -> str:
    """The function of the package that a traceback ends in; faulthandler's, not `last`, begin with it."""
    frames = _FRAME.findall(trace)
    if not frames:
        return "outside the package"
    file, function = frames[-1 if last else 0]
    return f"{file}:{function}"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _contents(folder: Path) -> dict[str, tuple[object, ...]]:
    """What can be seen of each file, by path relative to `folder`."""
    found: dict[str, tuple[object, ...]] = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        times = () if path.is_dir() else (status.st_mtime_ns,)  # a folder's changes with what is in it
        found[str(path.relative_to(folder))] = (status.st_mode, digest, *times)
    return found


def _changes(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, str]:
    changes = dict.fromkeys(after.keys() - before.keys(), "appeared")
    changes |= dict.fromkeys(before.keys() - after.keys(), "vanished")
    changes |= {path: "changed" for path in before.keys() & after.keys() if before[path] != after[path]}
    return dict(sorted(changes.items()))
