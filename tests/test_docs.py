"""The documentation: the blocks of the Markdown files and the cells of the notebook run, and links resolve."""

from __future__ import annotations

import ast
import io
import json
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest
import yaml
from click import Option
from click.testing import CliRunner
from matplotlib.figure import Figure

import longtail_cli
from longtail_cli.cli import COMMANDS, main
from longtail_cli.methods.registry import METHODS

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for pattern in ("README.md", "docs/*.md", "examples/*/README.md")
    for path in ROOT.glob(pattern)
)
NOTEBOOK = ROOT / "examples" / "calibrate.ipynb"
FENCE = re.compile(r"(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
LINK = re.compile(r"\]\((?!https?://|#)([^)#\s]+)")
OPTION = re.compile(r"^--?[a-z][a-z-]*")
SHOWN_ONLY = ("text", "bibtex")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page. reason: why it is not run; None if it is."""

    language: str
    text: str
    line: int
    reason: str | None


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Block(found["language"], found["text"], text.count("\n", 0, found.start("language")) + 1, found["reason"])
        for found in FENCE.finditer(text)
    ]


def commands(shell: str) -> Iterator[list[str]]:
    """The arguments of each command of a shell block."""
    for line in shell.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            yield words


def options(command: str) -> set[str]:
    found = main.get_command(None, command)  # type: ignore[arg-type]  # the group does not use the context
    assert found is not None, command
    shown = [one for one in found.params if not getattr(one, "hidden", False)]
    return {"-h", "--help"} | {name for one in shown for name in (*one.opts, *one.secondary_opts)}


def unknown_options(words: list[str]) -> set[str]:
    """Options of the call ``ltcal COMMAND ...`` that the command does not have."""
    return {found[0] for word in words[2:] if (found := OPTION.match(word))} - options(words[1])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder like a checkout, with the detector's files also under the names that the CI examples use."""
    for variable in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "examples").symlink_to(ROOT / "examples", target_is_directory=True)
    for name in ("predictions.json", "val.json"):
        shutil.copy(ROOT / "examples" / "digit_scenes" / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_blocks_run(page: str, folder: Path) -> None:
    """In order, in one folder and one namespace; numbers in tables of methods are those that the commands print."""
    namespace: dict[str, Any] = {}
    printed = ""
    for block in blocks(page):
        if block.reason is not None:
            continue
        where = f"{page}:{block.line}"
        if block.language == "python":
            exec(compile("\n" * block.line + block.text, ROOT / page, "exec"), namespace)
        elif block.language == "sh":
            printed += "".join(run(words, where) for words in commands(block.text))
        elif block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "json":
            json.loads(block.text)
        else:
            assert block.language in SHOWN_ONLY, f"{where}: name the language, or say above the block why it is not run"
    assert missing_numbers(page, printed) == []


def run(words: list[str], where: str) -> str:
    assert words[0] == "ltcal", f"{where}: {words[0]} is not run here; say so in a comment above the block"
    result = CliRunner().invoke(main, words[1:])
    assert result.exit_code == 0, f"{where}: {' '.join(words)}\n{result.output}"
    return result.stdout


def missing_numbers(page: str, printed: str) -> list[str]:
    """Rows of tables of methods with a number that `printed` does not have in a row of that method."""
    lines = printed.splitlines()
    missing = []
    for row in re.findall(r"^\| `([^`]+)`([^|\n]*\|(?: *[-+\d.]+ *\|)+)$", (ROOT / page).read_text("utf-8"), re.M):
        label, cells = row
        if re.split(r"[:+]", label)[0] in METHODS:
            shown = {
                word for line in lines if line.strip() and stands_for(line.split()[0], label) for word in line.split()
            }
            missing += [f"{label} {number}" for number in re.findall(r"\d+\.\d+", cells) if number not in shown]
    return missing


def stands_for(word: str, label: str) -> bool:
    """Whether a word is a label, or a label that was shortened in its middle."""
    start, ellipsis, end = word.partition("\N{HORIZONTAL ELLIPSIS}")
    return word == label or (bool(ellipsis) and label.startswith(start) and label.endswith(end))


@pytest.mark.parametrize("page", PAGES)
def test_blocks_that_are_not_run_still_parse(page: str) -> None:
    """Python compiles, and every call of ltcal, in YAML too, has options that exist."""
    for block in blocks(page):
        if block.language == "python":
            compile(block.text, page, "exec")
        if block.language == "yaml":
            yaml.safe_load(block.text)
        if block.language in ("sh", "yaml"):
            for words in commands(block.text):
                assert words[0] != "ltcal" or unknown_options(words) == set(), f"{page}:{block.line}"


@pytest.mark.parametrize("page", PAGES)
def test_options_in_the_text_exist(page: str) -> None:
    """Those in backticks: of their command if it is named, else of any."""
    every = set().union(*(options(command) for command in COMMANDS))
    for code in INLINE.findall(FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))):
        words = code.removeprefix("ltcal ").split()
        if words[0] in COMMANDS:
            assert unknown_options(["ltcal", *words]) == set(), code
        elif words[0].startswith("--"):
            assert {one[0] for word in words if (one := OPTION.match(word))} <= every, code


def test_every_option_of_the_report_is_documented() -> None:
    """Each option, or its opposite, stands in backticks on a page."""
    pages = [FENCE.sub("", (ROOT / page).read_text(encoding="utf-8")) for page in PAGES]
    named = {word.partition("=")[0] for page in pages for code in INLINE.findall(page) for word in code.split()}
    command = main.get_command(None, "report")  # type: ignore[arg-type]  # the group does not use the context
    assert command is not None
    shown = [one for one in command.params if isinstance(one, Option) and not one.hidden]
    assert [one.name for one in shown if named.isdisjoint((*one.opts, *one.secondary_opts))] == []


@pytest.mark.parametrize("page", PAGES)
def test_links_resolve(page: str) -> None:
    folder = (ROOT / page).parent
    links = LINK.findall((ROOT / page).read_text(encoding="utf-8"))
    assert [link for link in links if not (folder / link).exists()] == []


@pytest.mark.parametrize(
    ("text", "language", "reason"),
    [("```sh\nls\n```\n", "sh", None), ("<!-- not run: yours -->\n```python\nx\n```\n", "python", "yours")],
)
def test_a_mark_belongs_to_the_block_below_it(text: str, language: str, reason: str | None) -> None:
    (found,) = FENCE.finditer("words\n\n" + text)
    assert (found["language"], found["reason"]) == (language, reason)


def test_commands_of_other_tools_need_a_mark() -> None:
    with pytest.raises(AssertionError, match="pip is not run here"):
        run(["pip", "install", "."], "page:1")


def test_an_option_that_does_not_exist_is_found() -> None:
    assert unknown_options(["ltcal", "report", "a.json", "--max-dets", "20", "--max-det=20"]) == {"--max-det"}


def test_extras_are_those_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    table = (ROOT / "README.md").read_text(encoding="utf-8").split("| Extra | Adds |")[1].split("\n\n")[0]
    named = set(re.findall(r"^\| `(\w+)` \|", table, re.M))
    assert named == project["optional-dependencies"].keys() - {"test", "lint", "bench"}


def test_citation() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == longtail_cli.__version__
    assert citation["references"][0]["doi"] in (ROOT / "README.md").read_text(encoding="utf-8")


def cells() -> list[dict[str, Any]]:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_the_notebook_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Jupyter runs it, in its own folder; the last expression of a cell is displayed."""
    monkeypatch.chdir(NOTEBOOK.parent)
    mpl.use("Agg")
    namespace: dict[str, Any] = {}
    for number, cell in enumerate(cells(), 1):
        source = re.sub(r"^%.*$", "", "".join(cell["source"]), flags=re.M)
        *statements, last = ast.parse(source, f"cell {number}").body or [ast.Pass()]
        shown = isinstance(last, ast.Expr)
        exec(compile(ast.Module(statements if shown else [*statements, last], []), f"cell {number}", "exec"), namespace)
        if shown:
            display(eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), namespace))


def display(value: Any) -> None:
    if isinstance(value, Figure):
        value.savefig(io.BytesIO())
    elif value is not None:
        assert value._repr_html_()


def test_the_notebook_is_small_and_was_run() -> None:
    assert NOTEBOOK.stat().st_size < 300_000
    assert [cell["execution_count"] for cell in cells()] == list(range(1, len(cells()) + 1))
    outputs = [output for cell in cells() for output in cell["outputs"]]
    assert "error" not in {output["output_type"] for output in outputs}
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 2
