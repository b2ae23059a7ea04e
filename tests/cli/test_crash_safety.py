"""Commands that are killed at any moment: their outputs are all old or all new, and nothing else is left."""

from __future__ import annotations

import functools
import gzip
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

import longtail_cli
from longtail_cli.cli import main

SCENES = Path(__file__).parents[2] / "examples" / "digit_scenes"
INTERRUPTED = 130
KILLS = 6
"""Of each command by each signal at random moments."""

REPORT = ("report", "in.json.gz", "--annotations", "val.json", "--max-dets", "20", "--resamples", "2", "--no-gate",
          "--json", "out/r.json", "--markdown", "out/r.md", "--junit", "out/r.xml", "--csv", "out/r.csv",
          "--per-image", "out/r.parquet")  # fmt: skip
WRITTEN = ("r.json", "r.ltcal.parquet", "r.md", "r.xml", "r.csv", "r.parquet")
COMMANDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "rescore": (
        ("rescore", "in.json.gz", "--method", "temperature:2", "-o", "out/r.json.gz"),
        ("r.json.gz",),
    ),
    "report": (REPORT, WRITTEN),
    "report with plots": ((*REPORT, "--plots", "out/plots"), WRITTEN),
}
"""Each command with the names of its outputs."""

CHILD = """
import os, sys
def ready(event, arguments):  # when the entry point imports the commands, signals are handled
    if event == "import" and arguments[0] == "longtail_cli.cli.commands":
        os.write({pipe}, b".")
sys.addaudithook(ready)
{more}
from longtail_cli.cli.__main__ import run
run()
"""
AT_A_RENAME = """
replace, left = os.replace, [{number}]
def stopping(*names, **options):
    if "/out" in str(names[-1]) and "renames" not in str(names[-1]):
        if left[0] == 0:
            os.kill(os.getpid(), {signal})
        left[0] -= 1
    return replace(*names, **options)
os.replace = stopping
"""
AT_A_TEMPORARY_FILE = """
def stopping(event, arguments):
    if event == "os.remove" and str(arguments[0]).startswith(os.environ["TMPDIR"]):
        os.kill(os.getpid(), {signal})
sys.addaudithook(stopping)
"""


@dataclass(frozen=True)
class Whole:
    """A run that nothing interrupts: its outputs, and its seconds from where signals are handled."""

    outputs: dict[str, bytes]
    seconds: float


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small input."""
    folder = tmp_path_factory.mktemp("inputs")
    entries = [one for one in json.loads((SCENES / "predictions.json").read_bytes()) if one["score"] > 0.5]
    (folder / "in.json.gz").write_bytes(gzip.compress(json.dumps(entries).encode()))
    (folder / "val.json").write_bytes((SCENES / "val.json").read_bytes())
    return folder


@pytest.fixture(autouse=True)
def folder(inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder to work in, with new folders for outputs and for temporary files."""
    monkeypatch.chdir(inputs)
    for name in ("out", "tmp"):
        shutil.rmtree(name, ignore_errors=True)
        Path(name).mkdir()


@pytest.fixture(scope="module")
def whole(inputs: Path) -> Callable[[str], Whole]:
    """Gives the whole run of a command, made once for all tests."""
    return functools.cache(whole_run)


def started(command: str, more: str = "") -> tuple[subprocess.Popen[str], int]:
    """The process of a command, and a pipe that has a byte once it handles signals."""
    ready, write = os.pipe()
    own = {"PYTHONPATH": str(Path(longtail_cli.__file__).parents[1]), "TMPDIR": str(Path("tmp").resolve())}
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD.format(pipe=write, more=more), *COMMANDS[command][0]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **own},
        pass_fds=[write],
    )
    os.close(write)
    return process, ready


def killed(command: str, number: signal.Signals, seconds: float) -> tuple[int, str]:
    """The exit code and the stderr of a command that gets a signal after so many seconds."""
    process, ready = started(command)
    os.read(ready, 1)
    os.close(ready)
    time.sleep(seconds)
    process.send_signal(number)
    _, message = process.communicate(timeout=60)
    return process.returncode, message


def whole_run(command: str) -> Whole:
    process, ready = started(command)
    os.read(ready, 1)
    os.close(ready)
    begin = time.perf_counter()
    _, message = process.communicate(timeout=60)
    seconds = time.perf_counter() - begin
    assert process.returncode == 0, message
    return Whole(found(COMMANDS[command][1]), seconds)


def found(names: tuple[str, ...]) -> dict[str, bytes]:
    """The outputs, without the time in a JUnit file."""
    return {name: re.sub(rb'timestamp="[^"]*"', b"", Path("out", name).read_bytes()) for name in names}


def make_old(names: tuple[str, ...]) -> dict[str, bytes]:
    for name in names:
        Path("out", name).write_text(f"old {name}")
    return found(names)


def run_again() -> None:
    """The next call that writes to the folder and keeps temporary files in the same place."""
    call = ["rescore", "in.json.gz", "--method", "none", "-o", "out/other.json.gz"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(Path("tmp").resolve()))
        result = CliRunner().invoke(main, call)
    assert result.exit_code == 0, result.output
    Path("out/other.json.gz").unlink()


def left_over(names: tuple[str, ...]) -> list[str]:
    kept = {f"out/{name}" for name in names}
    return [str(path) for where in ("out", "tmp") for path in Path(where).rglob("*") if str(path) not in kept]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("command", ["rescore", "report"])
def test_outputs_are_all_old_or_all_new(whole: Callable[[str], Whole], command: str, number: signal.Signals) -> None:
    """Half of the signals come anywhere in the run, half in its last fifth, where outputs are written and renamed."""
    names = COMMANDS[command][1]
    new, seconds = whole(command).outputs, whole(command).seconds
    moments = random.Random(f"{command} {number}")
    for kill in range(KILLS):
        old = make_old(names)
        code, message = killed(command, number, seconds * moments.uniform(0.0 if kill % 2 else 0.8, 1.05))
        if number == signal.SIGKILL:
            run_again()
        else:
            assert code in (0, INTERRUPTED), message
            assert "Traceback" not in message
            assert (code == 0) == ("interrupted; no output was left half-written\n" not in message)
        assert found(names) in (old, new), (kill, code)
        assert found(names) == new or code != 0
        assert left_over(names) == []


def killed_at(command: str, renamed: int, number: signal.Signals) -> tuple[int, str]:
    """The exit code and the stderr of a command that gets a signal after so many renames of outputs."""
    process, ready = started(command, AT_A_RENAME.format(number=renamed, signal=int(number)))
    _, message = process.communicate(timeout=60)
    os.close(ready)
    return process.returncode, message


@pytest.mark.parametrize(("renamed", "number"), [(0, signal.SIGINT), (2, signal.SIGTERM), (4, signal.SIGINT)])
def test_an_interruption_waits_for_all_renames(
    whole: Callable[[str], Whole], renamed: int, number: signal.Signals
) -> None:
    names = COMMANDS["report"][1]
    new, _ = whole("report").outputs, make_old(names)
    code, message = killed_at("report", renamed, number)
    assert code == INTERRUPTED
    assert message.endswith("interrupted; no output was left half-written\n")
    assert found(names) == new
    assert left_over(names) == []


@pytest.mark.parametrize("renamed", [0, 1, 4])
def test_the_next_run_finishes_the_renames(whole: Callable[[str], Whole], renamed: int) -> None:
    """The decision lies before the first rename, so from then on the outputs will be new."""
    names = COMMANDS["report"][1]
    new, old = whole("report").outputs, make_old(names)
    assert killed_at("report", renamed, signal.SIGKILL)[0] == -signal.SIGKILL
    between = found(names)
    assert sum(between[name] == new[name] for name in names) == renamed
    assert sum(between[name] == old[name] for name in names) == len(names) - renamed
    run_again()
    assert found(names) == new
    assert left_over(names) == []


def test_a_folder_of_plots_is_finished_too() -> None:
    names = COMMANDS["report with plots"][1]
    make_old(names)
    assert killed_at("report with plots", 7, signal.SIGKILL)[0] == -signal.SIGKILL
    run_again()
    assert all(not content.startswith(b"old") for content in found(names).values())
    plots = sorted(Path("out/plots").iterdir())
    assert {path.suffix for path in plots} == {".png", ".pdf"}
    assert left_over((*names, "plots", *(f"plots/{path.name}" for path in plots))) == []


def test_a_run_beside_others_leaves_them_alone() -> None:
    """Every run looks for folders of dead processes while the others write to the same place."""
    call = [sys.executable, "-m", "longtail_cli.cli", "rescore", "in.json.gz", "--method", "none", "-o"]
    own = {**os.environ, "PYTHONPATH": str(Path(longtail_cli.__file__).parents[1])}
    runs = [subprocess.Popen([*call, f"out/{number % 3}.json"], env=own, stderr=subprocess.PIPE) for number in range(6)]
    assert [(run.communicate(timeout=60)[1], run.returncode)[1] for run in runs] == [0] * 6
    assert sorted(path.name for path in Path("out").iterdir()) == ["0.json", "1.json", "2.json"]
    assert len({path.read_bytes() for path in Path("out").iterdir()}) == 1


def test_no_named_file_is_written_to_the_folder_for_temporary_files() -> None:
    """As `tempfile` does to try the folder. A process that is killed then would leave it."""
    process, ready = started("rescore", AT_A_TEMPORARY_FILE.format(signal=int(signal.SIGKILL)))
    process.communicate(timeout=60)
    os.close(ready)
    assert process.returncode == 0
