"""Inputs from stdin, named pipes and ``<(...)``."""

from __future__ import annotations

import gzip
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

import longtail_cli
from longtail_cli.cli import main
from longtail_cli.errors import InputError

SCENES = Path(__file__).parents[2] / "examples" / "digit_scenes"
PREDICTIONS, VAL, TRAIN = SCENES / "predictions.json", SCENES / "val.json", SCENES / "train.json"
ENTRIES = [{"image_id": 1, "category_id": 3, "bbox": [0, 0, 10, 10], "score": 0.8}]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A working folder, and one for temporary files, which must be empty again after each test."""
    monkeypatch.chdir(tmp_path)
    Path("tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(Path("tmp").resolve()))
    Path("in.json").write_text(json.dumps(ENTRIES))
    Path("labels.txt").write_text("a.png 0\nb.png 1\n")
    yield
    assert list(Path("tmp").iterdir()) == []


def run(command: str) -> subprocess.CompletedProcess[str]:
    """A shell command in which LTCAL stands for the command line."""
    own = {"PYTHONPATH": str(Path(longtail_cli.__file__).parents[1]), "TMPDIR": str(Path("tmp").resolve())}
    text = command.replace("LTCAL", f"{sys.executable} -m longtail_cli.cli")
    return subprocess.run(["bash", "-c", text], capture_output=True, text=True, env={**os.environ, **own}, timeout=60)


def output(command: str) -> str:
    """The stdout of a call that succeeds, and never shows where a stream was kept."""
    done = run(command)
    assert done.returncode == 0, done.stderr
    assert ".ltcal-" not in done.stdout + done.stderr
    return done.stdout


def called(command: str, stdin: bytes | None = None) -> str:
    """As `output`, in this process: for what needs no pipe, or is about the content of one."""
    result = CliRunner().invoke(main, shlex.split(command)[1:], input=stdin)
    assert result.exit_code == 0, result.stderr
    assert ".ltcal-" not in result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize("source", ["- < in.json", "/dev/stdin < in.json", "<(cat in.json)"])
def test_a_stream_is_rescored_like_a_file(source: str) -> None:
    assert output(f"LTCAL rescore {source} --method none -o -") == Path("in.json").read_text()


def test_a_named_pipe_is_read() -> None:
    os.mkfifo("pipe")
    writer = Thread(target=lambda: Path("pipe").write_bytes(Path("in.json").read_bytes()))
    writer.start()
    assert output("LTCAL rescore pipe --method none -o -") == Path("in.json").read_text()
    writer.join()


def test_compressed_streams_are_recognised() -> None:
    packed = "gzip -c in.json | LTCAL rescore - --method none -o -"
    assert output(packed) == Path("in.json").read_text()
    assert output(f"gzip -c {TRAIN} | LTCAL compute-freq -") == called(f"LTCAL compute-freq {TRAIN}")


@pytest.mark.parametrize(
    "content",
    ["a.png 0\nb.png 1\n", "label\n0\n1\n", "path,label\na,0\nb,1\n"],
)
def test_labels_as_text_are_recognised(content: str) -> None:
    assert called("LTCAL compute-freq -", content.encode()) == called("LTCAL compute-freq labels.txt")


LOGITS = np.eye(3, dtype=np.float32)
FORMATS: dict[str, Callable[[Path], None]] = {
    "a.npz": lambda path: np.savez(path, logits=LOGITS, labels=np.arange(3)),
    "a.pt": lambda path: torch.save({"logits": torch.tensor(LOGITS), "labels": torch.arange(3)}, path),
    "a.safetensors": lambda path: save_file({"logits": torch.tensor(LOGITS), "labels": torch.arange(3)}, path),
}


@pytest.mark.parametrize("name", FORMATS)
def test_logits_are_recognised(name: str) -> None:
    FORMATS[name](Path(name))
    shown = called(f"LTCAL report {name} --head softmax")
    assert called("LTCAL report - --head softmax --name a", Path(name).read_bytes()) == shown


def test_arrays_and_tables_are_recognised() -> None:
    np.save("labels.npy", np.array([0, 1]))
    assert called("LTCAL compute-freq -", Path("labels.npy").read_bytes()) == called("LTCAL compute-freq labels.txt")
    pd.DataFrame(ENTRIES).to_parquet("in.parquet")
    assert run("cat in.parquet | LTCAL rescore - --method none -o out.parquet").returncode == 0
    assert pd.read_parquet("out.parquet")["score"].tolist() == [0.8]


def test_several_streams_in_one_call() -> None:
    command = "LTCAL report {} --annotations {} --freq {} --max-dets 20 --tide off --name a --json {}"
    called(f"LTCAL compute-freq {TRAIN} -o freq.csv")
    streams = (f"<(cat {PREDICTIONS})", f"<(cat {VAL})", "-", "piped.json")
    shown = output("cat freq.csv | " + command.format(*streams))
    assert shown == called(command.format(PREDICTIONS, VAL, "freq.csv", "plain.json"))
    piped, plain = (json.loads(Path(name).read_text()) for name in ("piped.json", "plain.json"))
    assert piped["runs"][0]["source"].startswith("/dev/fd/")
    assert piped["runs"][0]["metrics"] == plain["runs"][0]["metrics"]
    assert ".ltcal-" not in Path("piped.json").read_text()


def test_reports_name_stdin() -> None:
    call = f"LTCAL report - --annotations {VAL} --max-dets 20 --json report.json --html r.html --resamples 2"
    called(call, PREDICTIONS.read_bytes())
    (shown,) = json.loads(Path("report.json").read_text())["runs"]
    assert (shown["name"], shown["source"]) == ("stdin", "<stdin>")
    assert ".ltcal-" not in Path("r.html").read_text()


def test_a_baseline_and_a_tuning_target_may_be_streams() -> None:
    call = f"LTCAL report {PREDICTIONS} --annotations {VAL} --max-dets 20 --tide off"
    base = called(f"{call} --json -")
    assert "<stdin>" in called(f"{call} --baseline - --json -", base.encode())
    np.savez("a.npz", logits=np.tile(LOGITS, (40, 1)), labels=np.tile(np.arange(3), 40))
    Path("many.txt").write_text("a 0\n" * 5 + "b 1\nc 2\n")
    called("LTCAL compute-freq many.txt -o f.csv")
    tune = "LTCAL tune a.npz --head softmax --freq f.csv --method 'logit-adjust:tau=0|1' --no-bootstrap -o t.json"
    called(f"{tune} --target -", Path("f.csv").read_bytes())


def test_what_is_fitted_on_may_be_streams_and_go_to_stdout() -> None:
    """The rows of a classifier, with the labels and the table beside them; and proposals, with their annotations."""
    np.savez("a.npz", logits=np.tile(LOGITS, (9, 1)))
    Path("a.txt").write_text("".join(f"{row}.png {row % 3}\n" for row in range(27)))
    called("LTCAL compute-freq a.txt -o f.csv")
    fit = "LTCAL fit {} --head softmax --labels {} --method temperature --target {} -o {}"
    called(fit.format("a.npz", "a.txt", "f.csv", "plain.npz"))
    output(fit.format("-", "<(cat a.txt)", "<(cat f.csv)", "- < a.npz > piped.npz"))
    plain, piped = (longtail_cli.read_fit(f"{name}.npz") for name in ("plain", "piped"))
    assert plain.record.settings == piped.record.settings
    names = {one.role: one.name for one in piped.record.fitted_on.inputs}
    assert names["predictions"] == "<stdin>"
    assert names["target"].startswith("/dev/fd/")
    assert b".ltcal-" not in Path("piped.npz").read_bytes()


@pytest.mark.parametrize("source", ["- < nothing", "<(true)", "- < <(true)"])
def test_an_empty_stream_is_called_so(source: str) -> None:
    Path("nothing").touch()
    done = run(f"LTCAL rescore {source} --method none -o out.json")
    assert done.returncode == 2
    assert "expected an input, found an empty stream" in done.stderr
    assert not Path("out.json").exists()


def test_stdin_is_given_once() -> None:
    done = run("cat in.json | LTCAL report - --annotations - --max-dets 20")
    assert "stdin can be read once: give - for one input only" in done.stderr


def test_the_file_behind_stdin_is_not_replaced() -> None:
    done = run("LTCAL rescore - --method temperature:2 -o in.json < in.json")
    assert done.returncode == 2
    assert "found that of an input" in done.stderr
    assert json.loads(Path("in.json").read_text()) == ENTRIES


def test_errors_name_the_stream_as_it_was_given() -> None:
    done = run("echo '[{}]' | LTCAL rescore - --method none -o out.json")
    assert done.stderr.startswith("Error: <stdin>: ")
    done = run("LTCAL rescore <(echo '[{}]') --method none -o out.json")
    assert done.stderr.startswith("Error: /dev/fd/")


def test_stdin_of_the_test_runner_is_read() -> None:
    result = CliRunner().invoke(main, ["rescore", "-", "--method", "none", "-o", "-"], input=gzip.compress(b"[]"))
    assert (result.exit_code, result.stdout) == (0, "[]")


@pytest.mark.parametrize("read", ["rescore", "evaluate", "count", "read_frequencies", "read_report"])
def test_the_python_api_does_not_wait_for_a_pipe(read: str) -> None:
    names = {"count": "pipe.json", "read_frequencies": "pipe.csv"}
    path = Path(names.get(read, "pipe.json"))
    os.mkfifo(path)
    calls: dict[str, Callable[[], object]] = {
        "rescore": lambda: longtail_cli.rescore(path, None, "none", "out.json"),
        "evaluate": lambda: longtail_cli.evaluate(path, VAL),
        "count": lambda: longtail_cli.count(path),
        "read_frequencies": lambda: longtail_cli.read_frequencies(path),
        "read_report": lambda: longtail_cli.read_report(path),
    }
    with pytest.raises(InputError, match="expected a regular file, found a pipe or a device"):
        calls[read]()
