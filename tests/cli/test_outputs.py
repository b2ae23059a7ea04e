"""What happens to outputs that exist, that are inputs, that are no plain files, and that do not fit on the disk."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

import longtail_cli
from longtail_cli.cli import main
from longtail_cli.errors import UsageError

SCENES = Path(__file__).parents[2] / "examples" / "digit_scenes"
PREDICTIONS, VAL = SCENES / "predictions.json", SCENES / "val.json"
ENTRIES = [
    {"image_id": 1, "category_id": 3, "bbox": [0, 0, 10, 10], "score": 0.8},
    {"image_id": 1, "category_id": 4, "bbox": [1, 2, 3, 4], "score": 0.5},
]
FREQUENCIES = "category_id,name,image_count,instance_count\n3,rare,2,3\n4,often,8,20\n"
NONE = ("--method", "none")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with predictions, a frequency table, labels, and the logits of a classifier."""
    monkeypatch.chdir(tmp_path)
    Path("in.json").write_text(json.dumps(ENTRIES))
    Path("freq.csv").write_text(FREQUENCIES)
    Path("labels.csv").write_text("label\n0\n1\n1\n")
    np.savez("logits.npz", logits=np.eye(3, dtype=np.float32), labels=np.arange(3))
    Path("logits.meta.json").write_text('{"head": "softmax", "background": "none"}')
    Path("stdout").symlink_to("/proc/self/fd/1")  # as /dev/stdout, which root could destroy if a test failed
    return tmp_path


def ltcal(*arguments: object) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def contents() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file() and path.name != "stdout"}


def refused(*arguments: object) -> str:
    """The stderr of a call that exits with 2 and changes nothing."""
    before, paths = contents(), sorted(Path().rglob("*"))
    result = ltcal(*arguments)
    assert result.exit_code == 2, result.output
    assert contents() == before
    assert sorted(Path().rglob("*")) == paths
    return result.stderr


# Inputs


def scenes() -> None:
    """The inputs of a report, under names that resamples get."""
    Path("val.json").write_bytes(VAL.read_bytes())
    table = parquet_of(json.loads(PREDICTIONS.read_bytes()))
    Path("x.ltcal.parquet").write_bytes(table.read_bytes())


def parquet_of(entries: list[dict[str, object]]) -> Path:
    path = Path("table.parquet")
    pd.DataFrame(entries).to_parquet(path)
    return path


@pytest.mark.parametrize("link", [None, os.link, os.symlink])
@pytest.mark.parametrize("command", [("compute-freq", "labels.csv", "-o"), ("compute-freq", "labels.csv", "--plot")])
def test_a_source_is_not_replaced_by_its_counts(command: tuple[str, ...], link: object) -> None:
    name = "labels.csv"
    if command[-1] == "--plot":
        Path("labels.png").hardlink_to("labels.csv")
        name = "labels.png"
    if callable(link):
        link(name, "other.csv" if name.endswith("csv") else "other.png")
        name = "other.csv" if name.endswith("csv") else "other.png"
    assert "expected a path that is not in use, found that of an input" in refused(*command, name)


def test_annotations_are_not_replaced_by_their_counts() -> None:
    Path("train.json").write_bytes((SCENES / "train.json").read_bytes())
    assert "found that of an input" in refused("compute-freq", "train.json", "-o", "train.json")


def test_resamples_do_not_replace_the_predictions() -> None:
    scenes()
    call = ("report", "x.ltcal.parquet", "--annotations", "val.json", "--bootstrap", "--resamples", 2, "--max-dets", 20)
    assert "x.ltcal.parquet: output: expected a path that is not in use" in refused(*call, "--json", "x.json")


def test_resamples_do_not_replace_another_output() -> None:
    scenes()
    call = ("report", "table.parquet", "--annotations", "val.json", "--bootstrap", "--resamples", 2, "--max-dets", 20)
    message = refused(*call, "--json", "y.json", "--csv", "y.ltcal.parquet")
    assert "y.ltcal.parquet: output: expected a path that is not in use, found that of another output" in message


REPORT = ("report", PREDICTIONS, "--annotations", VAL, "--max-dets", 20)


@pytest.mark.parametrize(
    ("arguments", "files"),
    [
        (("rescore", "in.json", "--freq", "freq.csv", "--method", "iif", "-o", "freq.csv"), ()),
        (("rescore", "in.json", "--method", "lws:file=alpha.csv", "-o", "alpha.csv"), ("alpha.csv",)),
        (("rescore", "logits.npz", "--method", "target-prior:prior=file,file=t.csv", "-o", "t.csv"), ("t.csv",)),
        (("rescore", "logits.npz", "--method", "temperature:2+lws:file=a.npz", "-o", "a.npz"), ("a.npz",)),
        (("rescore", "logits.npz", *NONE, "-o", "logits.meta.json"), ()),
        (("rescore", "logits.npz", *NONE, "--category-ids", "ids", "-o", "ids"), ("ids",)),
        ((*REPORT, "--json", "ltcal.toml"), ("ltcal.toml",)),
        ((*REPORT, "--freq", "freq.csv", "--per-image", "freq.csv"), ()),
        (("tune", "logits.npz", "-o", "logits.meta.json"), ()),
        (("tune", "logits.npz", "--method", "vector:file=a.npz", "-o", "a.npz"), ("a.npz",)),
        (("tune", "logits.npz", "--category-ids", "ids", "-o", "ids"), ("ids",)),
        (("tune", "logits.npz", "-o", "t.json", "--html", "t.json"), ()),
    ],
)
def test_what_is_read_besides_the_input_is_not_replaced_either(
    arguments: tuple[object, ...], files: tuple[str, ...]
) -> None:
    for name in files:
        Path(name).write_text("" if name == "ltcal.toml" else "category_id,alpha\n3,5\n4,2\n")
    assert "expected a path that is not in use" in refused(*arguments)


def test_the_gates_of_a_file_are_not_replaced() -> None:
    Path("pyproject.toml").write_text('[tool.ltcal.gate.fail-under]\n"bbox/AP" = 0.1\n')
    assert "found that of an input" in refused(*REPORT, "--json", "pyproject.toml")


def test_a_plot_does_not_replace_an_input_in_its_folder() -> None:
    Path("plots").mkdir()
    Path("plots/val.png").write_bytes(VAL.read_bytes())
    message = refused("report", PREDICTIONS, "--annotations", "plots/val.png", "--plots", "plots")
    assert "found one in plots, where another file may get this name" in message


@pytest.mark.parametrize("name", ["scores.npz", "scores.pt"])
def test_no_output_becomes_a_shard_of_the_input(name: str) -> None:
    Path("shards").mkdir()
    Path("logits.npz").rename("shards/0.npz")
    Path("logits.meta.json").rename("shards/meta.json")
    message = refused("rescore", "shards", *NONE, "-o", f"shards/{name}")
    assert "expected a path outside of the input folder, found one that would be read as a part of it" in message


def test_the_python_api_replaces_no_input_either() -> None:
    for output, method in (("in.json", "none"), ("freq.csv", "iif"), ("alpha.csv", "lws:file=alpha.csv")):
        Path("alpha.csv").write_text("category_id,alpha\n3,5\n4,2\n")
        before = contents()
        with pytest.raises(UsageError, match="a path that is not in use, found that of an input"):
            longtail_cli.rescore("in.json", "freq.csv", method, output)
        assert contents() == before


# Links, modes, devices and pipes


def test_a_link_is_followed() -> None:
    Path("real").mkdir()
    Path("real/out.json").write_text("old")
    Path("out.json").symlink_to("real/out.json")
    assert ltcal("rescore", "in.json", *NONE, "-o", "out.json").exit_code == 0
    assert Path("out.json").is_symlink()
    assert Path("real/out.json").read_bytes() == Path("in.json").read_bytes()
    assert [path.name for path in Path("real").iterdir()] == ["out.json"]


def test_a_link_to_nothing_gets_its_file() -> None:
    Path("out.json").symlink_to("later.json")
    assert ltcal("rescore", "in.json", *NONE, "-o", "out.json").exit_code == 0
    assert Path("later.json").read_bytes() == Path("in.json").read_bytes()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_an_existing_file_keeps_its_mode(mode: int) -> None:
    Path("out.json").touch()
    Path("out.json").chmod(mode)
    assert ltcal("rescore", "in.json", *NONE, "-o", "out.json").exit_code == 0
    assert stat.S_IMODE(Path("out.json").stat().st_mode) == mode


def test_a_new_file_gets_the_mode_of_all_new_files() -> None:
    Path("other").touch()
    assert ltcal("rescore", "in.json", *NONE, "-o", "out.json").exit_code == 0
    assert Path("out.json").stat().st_mode == Path("other").stat().st_mode


def test_a_named_pipe_is_written_to() -> None:
    os.mkfifo("out.json")
    read: list[bytes] = []
    reader = Thread(target=lambda: read.append(Path("out.json").read_bytes()))
    reader.start()
    assert ltcal("rescore", "in.json", *NONE, "-o", "out.json").exit_code == 0
    reader.join()
    assert read == [Path("in.json").read_bytes()]
    assert stat.S_ISFIFO(Path("out.json").stat().st_mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a device")
def test_a_device_is_written_to() -> None:
    try:
        os.mknod("null.json", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("no devices in this container")
    assert ltcal("rescore", "in.json", *NONE, "-o", "null.json").exit_code == 0
    assert stat.S_ISCHR(Path("null.json").stat().st_mode)


def run(command: str, **options: object) -> subprocess.CompletedProcess[str]:
    """A shell command in which LTCAL stands for the command line."""
    path = {"PYTHONPATH": str(Path(longtail_cli.__file__).parents[1])}
    text = command.replace("LTCAL", f"{sys.executable} -m longtail_cli.cli")
    return subprocess.run(
        ["bash", "-c", text], capture_output=True, text=True, env={**os.environ, **path}, timeout=60, **options
    )


@pytest.mark.parametrize("out", ["-", "stdout", "/dev/fd/1"])
@pytest.mark.parametrize("end", ["", " | cat"])
def test_stdout_gets_the_result_and_nothing_else(out: str, end: str) -> None:
    done = run(f"LTCAL rescore in.json --method none -o {out}{end}")
    assert (done.returncode, done.stdout) == (0, Path("in.json").read_text())
    assert "wrote 2 detections (none) to " in done.stderr


@pytest.mark.parametrize("out", ["-", "stdout", "/dev/fd/1"])
def test_a_report_on_stdout_takes_the_place_of_the_text(out: str) -> None:
    done = run("LTCAL report " + " ".join(map(str, REPORT[1:])) + f" --json {out}")
    assert json.loads(done.stdout)["format"] == "ltcal-report/1"


def test_what_a_shell_wrote_to_the_same_file_stays() -> None:
    done = run("{ echo before; LTCAL rescore in.json --method none -o stdout; echo after; } > all")
    assert done.returncode == 0
    assert Path("all").read_text() == f"before\n{Path('in.json').read_text()}after\n"


def test_stdout_gets_a_table_as_csv_and_detections_as_json() -> None:
    assert ltcal("compute-freq", "labels.csv", "-o", "-").stdout == ltcal("compute-freq", "labels.csv").stdout
    np.savez(
        "boxes.npz", logits=np.eye(2, dtype=np.float32), image_id=np.ones(2, int), boxes=np.float32([[0, 0, 1, 1]] * 2)
    )
    Path("boxes.meta.json").write_text('{"head": "sigmoid", "background": "none", "category_ids": [3, 4]}')
    done = ltcal("rescore", "boxes.npz", *NONE, "-o", "-")
    assert {one["category_id"] for one in json.loads(done.stdout)} == {3, 4}


def test_other_formats_are_not_written_to_stdout() -> None:
    assert "classification logits are written as scores" in refused("rescore", "logits.npz", *NONE, "-o", "-")
    parquet_of(ENTRIES)
    assert "write JSON to JSON and Parquet to Parquet" in refused("rescore", "table.parquet", *NONE, "-o", "-")


def test_a_file_that_is_stdout_is_no_second_output() -> None:
    done = run("LTCAL report " + " ".join(map(str, REPORT[1:])) + " --json both --markdown - > both")
    assert done.returncode == 2
    assert "found that of another output" in done.stderr


def test_a_closed_pipe_keeps_the_other_outputs_as_they_were() -> None:
    Path("old.csv").write_text("old")
    done = run("LTCAL report " + " ".join(map(str, REPORT[1:])) + " --json /dev/fd/3 --csv old.csv 3> >(exec true; )")
    assert done.returncode in (0, 141)  # 0 if the pipe took all before its reader ended
    assert Path("old.csv").read_text() == "old" or done.returncode == 0


def test_the_summary_of_github_is_appended_to(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("summary").write_text("before\n")
    inode = Path("summary").stat().st_ino
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary")
    assert ltcal(*REPORT, "--github-summary").exit_code == 0
    assert Path("summary").read_text().startswith("before\n")
    assert len(Path("summary").read_text()) > 1000
    assert Path("summary").stat().st_ino == inode
    assert "found that of another output" in refused(*REPORT, "--github-summary", "--markdown", "summary")


# All outputs or none


def test_an_error_after_the_work_removes_the_plots_folder_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("longtail_cli.cli.report_outputs.to_csv", failing)
    Path("old.json").write_text("old")
    message = refused(*REPORT, "--json", "old.json", "--csv", "new.csv", "--plots", "a/b/plots", "--resamples", 2)
    assert "Input/output error" in message


@pytest.mark.parametrize("failing", range(3))
def test_a_rename_that_fails_takes_the_others_back(failing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a file that may not be replaced in a folder of others."""
    for name in ("a.json", "b.csv"):
        Path(name).write_text(f"old {name}")
    replace, renamed = Path.replace, []

    def denied(self: Path, target: Path) -> Path:
        if Path(target).name in ("a.json", "b.csv", "c.md"):
            renamed.append(target)
            if len(renamed) == failing + 1:
                raise PermissionError(1, "Operation not permitted", str(self), None, str(target))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", denied)
    message = refused(*REPORT, "--json", "a.json", "--csv", "b.csv", "--markdown", "c.md")
    assert f"{['a.json', 'c.md', 'b.csv'][failing]}: output: expected a path that can be written to" in message


def test_memory_that_does_not_suffice_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("longtail_cli.files.results.file.ResultFile.read", read)
    assert "memory: expected enough for this input, found too little" in refused("rescore", "in.json", *NONE, "-o", "o")


# A full disk


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 300 kB."""
    disk = folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(disk)], capture_output=True)
    if mounted.returncode:
        disk.rmdir()
        pytest.skip("file systems cannot be mounted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_replaces_nothing(small_disk: Path) -> None:
    for name in ("a.json", "b.csv", "d.parquet"):
        (small_disk / name).write_text("old")
    call = (*REPORT, "--json", "disk/a.json", "--csv", "disk/b.csv", "--plots", "disk/plots", "--resamples", 2)
    message = refused(*call, "--html", "disk/c.html", "--per-image", "disk/d.parquet")
    assert "expected a path that can be written to, found No space left on device\nFix: " in message
    assert message.startswith(("Error: disk/c.html: output", "Error: disk/plots/"))


def test_a_summary_that_does_not_fit_is_taken_back(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (small_disk / "summary").write_text("before" * 600)
    (small_disk / "filled").write_bytes(bytes(74 * 4096))  # all of it but the page of the summary
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "disk/summary")
    assert "No space left on device" in refused(*REPORT, "--per-category", "--github-summary", "--json", "new.json")


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_metrics_of_images_that_do_not_fit_replace_nothing(small_disk: Path, name: str) -> None:
    (small_disk / name).write_text("old")
    (small_disk / "filled").write_bytes(bytes(74 * 4096))
    message = refused(*REPORT, "--per-image", f"disk/{name}")
    assert f"disk/{name}: output: expected a path that can be written to, found No space left on device" in message


@pytest.mark.parametrize("name", ["o.json.gz", "o.parquet"])
def test_a_disk_that_gets_full(small_disk: Path, name: str) -> None:
    """The size of a compressed file is not known before."""
    parquet_of(json.loads(PREDICTIONS.read_bytes()))
    (small_disk / "filled").write_bytes(bytes(250_000))
    source = "table.parquet" if name.endswith("parquet") else PREDICTIONS
    (small_disk / name).write_text("old")
    message = refused("rescore", source, "--method", "temperature:2", "-o", f"disk/{name}")
    assert f"disk/{name}: output: expected a path that can be written to, found No space left on device" in message


def test_a_file_that_will_not_fit_is_refused_before_the_work(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longtail_cli.files.results.file.ResultFile.read", None)
    message = refused("rescore", PREDICTIONS, *NONE, "-o", "disk/o.json")
    assert "disk/o.json: output: expected 0.5 MB of free disk space, found 0.3 MB\n" in message


def test_scores_that_will_not_fit_all_together_are_refused_before_the_work(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longtail_cli.workflow.rescore_logits.map_batches", None)
    np.savez("logits.npz", logits=np.zeros((20_000, 2), np.float32))
    methods = ("--method", "none", "--method", "temperature:2")
    message = refused("rescore", "logits.npz", *methods, "-o", "disk/a.npz", "-o", "disk/b.npz")
    assert "disk/b.npz: output: expected 0.3 MB of free disk space, found 0.3 MB\n" in message
