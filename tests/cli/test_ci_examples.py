"""The CI examples: valid files, options that exist, and jobs that fit together."""

import re
import shlex
import shutil
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from longtail_cli.choices import GATE_KINDS
from longtail_cli.cli.report import report
from longtail_cli.files.gate_config import find_gate_config
from longtail_cli.reports.gates.limits import parse_gate

EXAMPLES = Path(__file__).parents[2] / "examples" / "ci"
OPTIONS = {option for parameter in report.params for option in (*parameter.opts, *parameter.secondary_opts)}


def github() -> dict[str, Any]:
    return yaml.safe_load((EXAMPLES / "github.yml").read_text())


def gitlab() -> dict[str, Any]:
    return yaml.safe_load((EXAMPLES / "gitlab.yml").read_text())


def calls() -> list[tuple[str, list[str]]]:
    """Every call of ``ltcal report`` in the examples: its file and arguments."""
    steps = [step.get("run", "") for step in github()["jobs"]["report"]["steps"]]
    jobs = [line for job in gitlab().values() for line in job.get("script", [])]
    readme = re.findall(r"```sh\n(.*?)```", (EXAMPLES / "README.md").read_text(), re.DOTALL)
    parts = {"github.yml": steps, "gitlab.yml": jobs, "README.md": readme}
    found = []
    for file, texts in parts.items():
        lines = "\n".join(texts).replace("\\\n", " ").splitlines()
        found += [(file, shlex.split(line)[2:]) for line in lines if line.strip().startswith("ltcal report ")]
    return found


def test_every_example_calls_the_report():
    assert [file for file, _ in calls()] == ["github.yml"] * 2 + ["gitlab.yml"] * 2 + ["README.md"] * 2


@pytest.mark.parametrize(("file", "arguments"), calls())
def test_every_option_exists(file, arguments):
    assert {one for one in arguments if one.startswith("--")} <= OPTIONS
    report.make_context("report", arguments, help_option_names=["-h", "--help"])  # click keeps the first it sees


def test_every_option_that_the_readme_names_exists():
    assert set(re.findall(r"`(--[a-z-]+)", (EXAMPLES / "README.md").read_text())) <= OPTIONS


@pytest.mark.parametrize(
    ("kind", "limit"),
    [(kind, limit) for _, arguments in calls() for kind, limit in pairwise(arguments)
     if kind.removeprefix("--") in GATE_KINDS],
)  # fmt: skip
def test_every_gate_parses(kind, limit):
    assert parse_gate(kind.removeprefix("--"), limit, kind).limit > 0


def test_reports_are_kept_even_if_gates_fail():
    last = github()["jobs"]["report"]["steps"][-1]
    assert last["if"].startswith("always()")
    assert gitlab()["report"]["artifacts"]["when"] == "always"


def test_workflows_have_only_read_permission():
    assert set(github()["permissions"].values()) == {"read"}


@pytest.mark.parametrize("file", ["github.yml", "gitlab.yml"])
def test_the_gates_find_every_metric_in_the_baseline(file, tmp_path, monkeypatch):
    """The baseline job writes every metric that the pull request job and ltcal.toml judge."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    for name in ("predictions.json", "val.json"):
        shutil.copy(EXAMPLES.parent / "digit_scenes" / name, name)
    for folder in ("baseline", "report"):
        (tmp_path / folder).mkdir()
    making, judging = sorted((one for name, one in calls() if name == file), key=lambda one: "--no-gate" not in one)
    assert CliRunner().invoke(report, [*making, "--resamples", "20"]).exit_code == 0
    if file == "gitlab.yml":
        shutil.move("baseline", "ci")
        gates = (EXAMPLES / "ltcal.toml").read_text()
        (tmp_path / "ltcal.toml").write_text(
            gates.replace('"tide/bbox/FalsePos" = 0.10', '"tide/bbox/FalsePos" = 0.20')
        )
    found = CliRunner().invoke(report, judging)
    assert found.exit_code == 0, found.output


def test_the_gate_config_is_valid():
    assert set(tomllib.loads((EXAMPLES / "ltcal.toml").read_text())["tool"]["ltcal"]["gate"]) >= set(GATE_KINDS)
    config = find_gate_config(EXAMPLES)
    assert config is not None
    assert (config.gate_on, config.runs) == ("interval", ("after",))
    gates = [parse_gate(kind, limit, "ltcal.toml") for kind, limit in config.gates]
    assert [(gate.kind, gate.metric, gate.limit, gate.relative) for gate in gates] == [
        ("fail-under", "bbox/APr", 0.18, False),
        ("fail-over", "tide/bbox/FalsePos", 0.1, False),
        ("max-drop", "bbox/APr", 0.002, False),
        ("max-drop", "bbox/APr", 0.01, True),
        ("max-drop", "bbox/AP", 0.005, False),
        ("max-rise", "reliability/bbox/D-ECE", 0.01, False),
    ]
