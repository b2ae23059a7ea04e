"""Messages of the core name parameters, which the command line replaces by flags."""

import ast
import dataclasses
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from tunings import detection_tuning, partial_tuning

from longtail_cli.cli import main
from longtail_cli.cli.flags import tuning_with_flags, with_flags

PACKAGE = Path(__file__).parents[2] / "longtail_cli"
CORE = sorted(path for path in PACKAGE.rglob("*.py") if "cli" not in path.relative_to(PACKAGE).parts)
FLAGS = {name for command in main.list_commands(None) for param in main.get_command(None, command).params
         for name in (*param.opts, *param.secondary_opts)}  # fmt: skip


@pytest.mark.parametrize(
    ("parameter", "flag"),
    [
        ("`max_dets=`", "--max-dets"),
        ("`frequencies=`", "--freq"),
        ("`tide='off'`", "--tide off"),
        ("`per_category=True`", "--per-category"),
        ("`gate=False`", "--no-gate"),
        ("`score`", "`score`"),
        ("pass `nms_iou=0.5` or `output=`", "pass --nms 0.5 or -o"),
    ],
)
def test_a_parameter_is_its_flag(parameter: str, flag: str) -> None:
    assert with_flags(parameter) == flag


def test_the_notes_of_a_tuning_have_flags() -> None:
    whole = detection_tuning()
    noted = dataclasses.replace(whole.report, notes=("pass `frequencies=`",))
    shown = tuning_with_flags(dataclasses.replace(whole, notes=("`tide='off'`",), report=noted))
    assert (shown.notes, shown.report.notes) == (("--tide off",), ("pass --freq",))
    assert tuning_with_flags(partial_tuning()) == partial_tuning()


def test_every_parameter_in_a_message_has_a_flag() -> None:
    in_api_only = {"classes", "counts", "features", "on"}
    used = {match for path in CORE for text in _texts(path) for match in re.findall(r"(?<!`)`([a-z]\w*)=[^`]*`", text)}
    for name in sorted(used - in_api_only):
        assert with_flags(f"`{name}=`") in FLAGS, name


def test_no_flag_is_spelled_outside_the_command_line() -> None:
    found = {
        f"{path.relative_to(PACKAGE)}: {flag}" for path in CORE for text in _texts(path)
        for flag in re.findall(r"(?<![\w-])--[a-z][\w-]*", text) if flag in FLAGS
    }  # fmt: skip
    assert found == set()


def _texts(path: Path) -> list[str]:
    """The strings of a module, its docstrings included."""
    return [node.value for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)]  # fmt: skip


@pytest.mark.parametrize("command", ["rescore", "report"])
def test_the_old_name_of_an_option_still_works_with_a_warning(command: str, tmp_path: Path) -> None:
    scenes = PACKAGE.parent / "examples" / "digit_scenes"
    out = ["--method", "none", "-o", str(tmp_path / "out.json")] if command == "rescore" else []
    truth = ["--annotations", str(scenes / "val.json"), "--tide", "off"] if command == "report" else []
    result = CliRunner().invoke(main, [command, str(scenes / "logits.npz"), "--cap", "2", *out, *truth])
    assert result.exit_code == 0, result.output
    assert "deprecated" in result.stderr
    assert "--detections-per-image" in result.stderr
