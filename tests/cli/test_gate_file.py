"""Errors that stem from a file with gates name the file and the entry, and say how to do without it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from reports import report as small_report
from reports import run

from longtail_cli.cli import main
from longtail_cli.reports.json import to_json

SCENES = Path(__file__).parents[2] / "examples" / "digit_scenes"
PASSED, FAILED, BAD_INPUT, NOT_COMPARABLE = range(4)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder below the one that holds the gates, as where one explores."""
    explored = tmp_path / "explored"
    explored.mkdir()
    monkeypatch.chdir(explored)
    return tmp_path


def ltcal(*options: str) -> Result:
    call = [
        "report",
        str(SCENES / "predictions.json"),
        "--annotations",
        str(SCENES / "val.json"),
        "--tide",
        "off",
        "--name",
        "new",
    ]
    return CliRunner().invoke(main, [*call, *options])


GATE = "[tool.ltcal.gate]\n"
FLOOR = '[tool.ltcal.gate.fail-under]\n"bbox/AP" = 0.1\n'
DROP = '[tool.ltcal.gate.max-drop]\n"bbox/AP" = 0.1\n'


@pytest.mark.parametrize(
    ("text", "options", "entry", "message"),
    [
        (f"{GATE}runs = ['after']\n{FLOOR}", (), " runs: run", "expected one of new, found after"),
        (f"{FLOOR}'bbox/APrare' = 0.1\n", (), " fail-under: metric", "such as bbox/APr"),
        (f"{FLOOR}'bbox/APr' = 18\n", (), " fail-under: value", "expected a limit in [0, 1]"),
        (f"{GATE}baseline = 'none.json'\n", (), " baseline: {folder}/none.json: file", "No such file"),
        (f"{GATE}baseline = 'list.json'\n", (), " baseline: {folder}/list.json: content", "expected a report"),
        (f"{GATE}baseline = 'main.json'\ngate-on = 'significance'\n{DROP}", (), " baseline: {folder}/main.json: ", ""),
        (
            f"{GATE}gate-on = 'interval'\n{FLOOR}",
            ("--no-bootstrap",),
            " gate-on: --bootstrap",
            "for --gate-on interval",
        ),
        (f"{GATE}gate-on = 'significance'\n{FLOOR}", ("--no-significance",), " gate-on: --significance", "p-values"),
        (f"{GATE}gate-on = 'sometimes'\n", (), "", "Invalid enum value 'sometimes'"),
        (DROP, (), " max-drop: bbox/AP", "only new, the reference itself"),
    ],
)
def test_what_the_file_asks_for(folder: Path, text: str, options: tuple[str, ...], entry: str, message: str) -> None:
    (folder / "ltcal.toml").write_text(text)
    (folder / "list.json").write_text("[]")
    (folder / "main.json").write_text(to_json(small_report(run("main", 0.0))))
    found = ltcal(*options)
    assert found.exit_code == BAD_INPUT
    first, fix = found.stderr.removeprefix("Error: ").split("Fix: ")
    table = ": [tool.ltcal.gate]" if entry else ""
    assert first.startswith(f"{folder}/ltcal.toml{table}{entry.format(folder=folder)}")
    assert message in first
    assert "--no-gate" in fix
    assert ltcal("--no-gate", *options).exit_code == PASSED


@pytest.mark.parametrize(
    ("options", "source"),
    [
        (("--gate-run", "nobody"), "gate"),
        (("--fail-under", "bbox/APrare=0.1"), "--fail-under"),
        (("--baseline", "none.json"), "none.json"),
        (("--gate-on", "interval", "--no-bootstrap"), "gate"),
    ],
)
def test_what_the_command_asks_for_is_not_put_on_the_file(folder: Path, options: tuple[str, ...], source: str) -> None:
    (folder / "ltcal.toml").write_text(f"{GATE}runs = ['new']\nbaseline = 'main.json'\ngate-on = 'value'\n{FLOOR}")
    (folder / "main.json").write_text(to_json(small_report(run("main", 0.0))))
    found = ltcal(*options)
    assert found.exit_code == BAD_INPUT
    assert found.stderr.startswith(f"Error: {source}: ")
    assert "ltcal.toml" not in found.stderr


def test_a_reference_beside_the_baseline_of_the_file(folder: Path) -> None:
    (folder / "ltcal.toml").write_text(f"{GATE}baseline = 'main.json'\n")
    (folder / "main.json").write_text(to_json(small_report(run("main", 0.0))))
    found = ltcal("--reference", "new")
    assert found.exit_code == BAD_INPUT
    assert f"the baseline {folder}/ltcal.toml: [tool.ltcal.gate] baseline: {folder}/main.json" in found.stderr
    assert "leave out --reference, or pass --no-gate" in found.stderr


def test_a_gate_that_fails_names_the_file(folder: Path) -> None:
    (folder / "ltcal.toml").write_text('[tool.ltcal.gate.fail-under]\n"bbox/AP" = 0.9\n')
    found = ltcal()
    assert found.exit_code == FAILED
    assert re.search(rf"^Error: {folder}/ltcal.toml: new, bbox/AP: expected at least 0.9", found.stderr, re.M)


def test_a_baseline_of_the_file_that_cannot_be_compared_names_both(folder: Path) -> None:
    (folder / "ltcal.toml").write_text(f"{GATE}baseline = 'main.json'\n{FLOOR}")
    (folder / "main.json").write_text(to_json(small_report(run("main", 0.0))))
    found = ltcal()
    assert found.exit_code == NOT_COMPARABLE
    assert (
        f"Error: {folder}/ltcal.toml: 2 problems\n  {folder}/main.json: expected a report by the same" in found.stderr
    )
    assert "--no-gate" in found.stderr
