"""The CI examples: valid files, options that exist, and commands that run as shipped."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

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


def test_an_interval_is_not_called_noise():
    """A drop may be certain, with zero outside of its interval, and pass as the limit is inside."""
    readme = (EXAMPLES.parents[1] / "README.md").read_text("utf-8")
    pages = {
        path.name: path.read_text("utf-8")
        for path in (*EXAMPLES.glob("*.*"), EXAMPLES.parents[1] / "docs" / "report.md")
    }
    pages["README.md, In CI"] = readme.split("### In CI")[1].split("## Commands")[0]
    sources = EXAMPLES.parents[1] / "longtail_cli" / "reports"
    pages |= {path.name: path.read_text("utf-8") for path in (*sources.glob("gates/*.py"), sources / "ci.py")}
    assert [name for name, text in pages.items() if "noise" in text] == []


# The commands as shipped

SERVICE = """#!/bin/sh
# Stands in for GitHub's service: the runs of main that succeeded, and the artifacts that they have kept.
case "$1 $2" in
  "run list") if [ -d "$KEPT" ]; then echo 4711; fi ;;
  "run download")
    [ "$3 $6 $7 $8 $9" = "4711 --name baseline --dir baseline" ] || exit 2
    [ -d "$KEPT/baseline" ] || { echo "no valid artifacts found to download" >&2; exit 1; }
    cp -r "$KEPT/baseline" baseline ;;
  *) exit 2 ;;
esac
"""
INSTALLED = """#!/bin/sh
# Stands in for pip, as the package is installed already.
[ "$1 $2" = "install $LTCAL" ]
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What the services set, with the commands of this environment, and stand-ins for pip and for GitHub's service."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, script in {"gh": SERVICE, "pip": INSTALLED}.items():
        (tools / name).write_text(script)
        (tools / name).chmod(0o755)
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "CI_"))}
    return kept | {"PATH": path, "KEPT": str(tmp_path / "kept"), "MPLBACKEND": "Agg"}


def checkout(folder: Path, *files: str) -> Path:
    """A new folder with what the README says to copy for a try, of the first 20 scenes, and these files."""
    folder.mkdir()
    scenes = EXAMPLES.parent / "digit_scenes"
    annotations = json.loads((scenes / "val.json").read_bytes())
    annotations["images"] = annotations["images"][:20]
    images = {image["id"] for image in annotations["images"]}
    detections = json.loads((scenes / "predictions.json").read_bytes())
    annotations["annotations"], kept = (
        [one for one in entries if one["image_id"] in images] for entries in (annotations["annotations"], detections)
    )
    for name, content in {"val.json": annotations, "detections.json": kept}.items():
        (folder / name).write_text(json.dumps(content))
    for name in ("evaluate.py", *files):
        shutil.copy(EXAMPLES / name, folder)
    return folder


def shell(commands: Sequence[str], folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    call = ["bash", "-euo", "pipefail", "-c", "\n".join(commands)]
    return subprocess.run(call, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def run_steps(event: str, folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """The steps of the workflow that run on this event, each in its own shell, up to the first that fails."""
    service = environment | github()["env"] | {
        "GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "me/mine", "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }  # fmt: skip
    for step in github()["jobs"]["report"]["steps"]:
        if event not in step.get("if", event):
            continue
        if "run" in step:
            done = shell([step["run"]], folder, service)
            if done.returncode:
                break
        elif step["uses"].startswith("actions/upload-artifact"):
            shutil.copytree(folder / step["with"]["path"], Path(environment["KEPT"]) / step["with"]["name"])
    return done


def run_job(name: str, folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """A job with its preparation, in one shell."""
    pipeline = gitlab()
    commands = [*pipeline["default"]["before_script"], *pipeline[name]["script"]]
    return shell(commands, folder, environment | pipeline["variables"])


def test_the_steps_on_github_run_as_shipped(tmp_path, environment):
    """A push to main, then a pull request that changes nothing."""
    pushed = run_steps("push", checkout(tmp_path / "main"), environment)
    assert pushed.returncode == 0, pushed.stderr
    asked = run_steps("pull_request", checkout(tmp_path / "request"), environment)
    assert asked.returncode == 0, asked.stderr
    report = {one.name for one in (tmp_path / "kept" / "report").iterdir()}
    assert report == {"junit.xml", "categories.csv", "report.json", "report.ltcal.parquet", "report.html"}
    assert "max-drop bbox/APr" in (tmp_path / "request" / "summary.md").read_text("utf-8")


def test_a_pull_request_without_a_baseline_says_how_to_make_one(tmp_path, environment):
    """Before main was ever evaluated, and after its artifact has expired."""
    early = checkout(tmp_path / "early")
    (early / "detections.json").write_text("[]")
    found = run_steps("pull_request", early, environment)
    assert (found.returncode, found.stdout) == (1, "::error::main has no baseline yet: push to main to make one\n")
    (tmp_path / "kept").mkdir()
    found = run_steps("pull_request", early, environment)
    assert found.returncode == 1
    assert found.stdout == "::error::the baseline of run 4711 has expired: re-run that workflow to make it again\n"


def test_the_jobs_on_gitlab_run_as_shipped(tmp_path, environment):
    """The baseline, which is committed, then a merge request that changes nothing, judged by ltcal.toml."""
    made = run_job("baseline", checkout(tmp_path / "main", "ltcal.toml"), environment)
    assert made.returncode == 0, made.stderr
    request = checkout(tmp_path / "request", "ltcal.toml")
    shutil.copytree(tmp_path / "main" / "baseline", request / "ci")
    asked = run_job("report", request, environment)
    assert asked.returncode == 0, asked.stderr
    suite = ElementTree.parse(request / "report" / "junit.xml").getroot().find("testsuite")
    assert (suite.get("tests"), suite.findtext("system-out")) == ("6", "all 6 gates passed")
    assert (request / "report" / "report.html").stat().st_size > 0


def test_the_gate_config_is_valid():
    assert set(tomllib.loads((EXAMPLES / "ltcal.toml").read_text())["tool"]["ltcal"]["gate"]) >= set(GATE_KINDS)
    config = find_gate_config(EXAMPLES)
    assert config is not None
    assert (config.gate_on, config.runs) == ("interval", ("after",))
    gates = [parse_gate(kind, limit, "ltcal.toml") for kind, limit in config.gates]
    assert [(gate.kind, gate.metric, gate.limit, gate.relative) for gate in gates] == [
        ("fail-under", "bbox/APr", 0.18, False),
        ("fail-over", "tide/bbox/FalsePos", 0.2, False),
        ("max-drop", "bbox/APr", 0.002, False),
        ("max-drop", "bbox/APr", 0.01, True),
        ("max-drop", "bbox/AP", 0.005, False),
        ("max-rise", "reliability/bbox/D-ECE", 0.01, False),
    ]
