"""Every way in which a command may not end is reported."""

import os
import signal
from collections.abc import Iterator

import pytest
from fuzz import server
from fuzz.misbehaving import DEEDS
from fuzz.runner import Case, Runner, fault

REPORTED = {
    "succeed": None,
    "refuse": None,
    "raise": "ValueError, outside the package",
    "abort": "killed by SIGABRT, outside the package",
    "spin": "killed by SIGXCPU, outside the package",
    "allocate": "takes over 1 GiB of memory",
    "exceed": "MemoryError, outside the package",
    "exit 1": "exit code 1 without a gate",
    "exit 4": "exit code 4",
    "refuse without a fix": "exit code 2 without a line `Fix: `",
    "refuse in silence": "exit code 2 without a line `Error: `",
    "write and refuse": "exit code 2, but an output changed",
    "write nothing": "exit code 0, but without an output of kind `results`",
    "write what is not finite": "an output of kind `results` is broken: scores that are not finite",
    "write half": "an output of kind `results` is broken: JSONDecodeError when it is read",
    "change an input": "changed: an input",
    "remove an input": "vanished: an input",
    "leave a file": "appeared: a temporary file",
    "leave a temporary file": "appeared: a temporary file",
    "warn": "RuntimeWarning of Python on stderr",
    "colour": "a control character on stderr",
    "command": "a workflow command of a CI runner on stderr",
    "chatter": "a message of over 10,000 characters",
}


def case(deed: str) -> Case:
    return Case((deed,), {"in.json": b"[]"}, {"out.json": "results"}, stale=True)


@pytest.fixture(scope="module")
def misbehaving() -> Iterator[Runner]:
    with Runner("fuzz.misbehaving:run") as runner:
        yield runner


def reported(runner: Runner, deed: str) -> str | None:
    return fault(case(deed), runner.run(case(deed)))


@pytest.mark.parametrize("deed", REPORTED)
def test_is_reported(misbehaving: Runner, deed: str) -> None:
    expected, found = REPORTED[deed], reported(misbehaving, deed)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert found.startswith(expected)


def test_every_deed_is_tried() -> None:
    assert DEEDS.keys() - REPORTED.keys() == {"sleep"}  # takes longer than tests may


def test_a_process_that_waits_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "WALL_SECONDS", 0.1)
    child = os.spawnlp(os.P_NOWAIT, "sleep", "sleep", "1000")
    answer = server._wait(child)
    assert answer["late"]
    assert answer["status"] == -signal.SIGABRT
