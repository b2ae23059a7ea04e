"""How many threads a process uses."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from longtail_cli import parallel


@pytest.mark.parametrize(
    ("given", "threads"),
    [("3", 3), ("4,2", 4), (" 2 ", 2), ("0", None), ("-1", None), ("many", None), ("", None), (None, None)],
)
def test_threads_are_those_that_the_process_was_given(
    given: str | None, threads: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert parallel.processors() == (threads or os.cpu_count())


def test_they_are_read_when_the_package_is_imported() -> None:
    program = "from longtail_cli.parallel import THREADS; print(THREADS)"
    environment = {**os.environ, "OMP_NUM_THREADS": "5"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "5\n"
