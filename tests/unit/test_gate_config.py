"""The gates of a repository, in ltcal.toml or pyproject.toml."""

import os
from pathlib import Path

import pytest

from longtail_cli.errors import InputError, UsageError
from longtail_cli.files.gate_config import GateConfig, find_gate_config

EXAMPLE = """
[tool.ltcal.gate]
baseline = "reports/baseline.json"
gate-on = "interval"
allow-undefined = false
runs = ["after"]
[tool.ltcal.gate.fail-under]
"bbox/APr" = 0.18
[tool.ltcal.gate.fail-over]
"tide/bbox/FalsePos" = 1e-1
[tool.ltcal.gate.max-drop]
"bbox/APr" = [0.002, "1%"]
[tool.ltcal.gate.max-rise]
"classification/nll" = 1
"""
PROJECT = '[project]\nname = "x"\n[tool.ruff]\nline-length = 3\n'


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(("name", "before"), [("ltcal.toml", ""), ("pyproject.toml", PROJECT)])
def test_the_table_is_the_same_in_both_files(tmp_path, name, before):
    path = write(tmp_path / name, before + EXAMPLE)
    assert find_gate_config(tmp_path) == GateConfig(
        source=str(path),
        baseline=tmp_path / "reports" / "baseline.json",
        gate_on="interval",
        allow_undefined=False,
        runs=("after",),
        gates=(
            ("fail-under", "bbox/APr=0.18"),
            ("fail-over", "tide/bbox/FalsePos=0.1"),
            ("max-drop", "bbox/APr=0.002"),
            ("max-drop", "bbox/APr=1%"),
            ("max-rise", "classification/nll=1"),
        ),
    )


@pytest.mark.parametrize("way", ["value", "interval", "significance"])
def test_gates_are_judged_in_any_way(tmp_path, way):
    write(tmp_path / "ltcal.toml", f'[tool.ltcal.gate]\ngate-on = "{way}"\n')
    found = find_gate_config(tmp_path)
    assert found is not None
    assert found.gate_on == way


def test_missing_keys_are_none(tmp_path):
    path = write(tmp_path / "pyproject.toml", "[tool.ltcal.gate]\n")
    assert find_gate_config(tmp_path) == GateConfig(str(path), None, None, None, (), ())


def test_the_nearest_folder_upwards_is_used(tmp_path):
    top = write(tmp_path / "ltcal.toml", EXAMPLE)
    write(tmp_path / "a" / "pyproject.toml", PROJECT)
    write(tmp_path / "a" / "b" / "pyproject.toml", "[tool.ltcal]\n")
    found = find_gate_config(tmp_path / "a" / "b")
    assert found is not None
    assert (found.source, found.baseline) == (str(top), tmp_path / "reports" / "baseline.json")
    nearer = write(tmp_path / "a" / "pyproject.toml", '[tool.ltcal.gate]\nbaseline = "../base.json"\n')
    found = find_gate_config(tmp_path / "a" / "b")
    assert found is not None
    assert (found.source, found.baseline) == (str(nearer), tmp_path / "a" / ".." / "base.json")
    assert found.gates == ()


def test_an_absolute_path_of_a_baseline_is_kept(tmp_path):
    write(tmp_path / "ltcal.toml", '[tool.ltcal.gate]\nbaseline = "/data/base.json"\n')
    found = find_gate_config(tmp_path)
    assert found is not None
    assert found.baseline == Path("/data/base.json")


def test_an_empty_ltcal_toml_ends_the_search_without_gates(tmp_path):
    write(tmp_path / "ltcal.toml", EXAMPLE)
    path = write(tmp_path / "a" / "ltcal.toml", "# no gates here\n")
    assert find_gate_config(tmp_path / "a") == GateConfig(str(path), None, None, None, (), ())


def test_no_gates(tmp_path):
    write(tmp_path / "pyproject.toml", PROJECT)
    (tmp_path / "ltcal.toml").mkdir()
    assert find_gate_config(tmp_path) is None


def test_two_tables_in_one_folder_are_refused(tmp_path):
    write(tmp_path / "ltcal.toml", EXAMPLE)
    write(tmp_path / "pyproject.toml", PROJECT)
    assert find_gate_config(tmp_path) is not None
    write(tmp_path / "pyproject.toml", PROJECT + EXAMPLE)
    with pytest.raises(UsageError, match="keep one of the two"):
        find_gate_config(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[tool.ltcal.gate]\ngate_on = 'value'\n", "unknown field `gate_on`"),
        ("[tool.ltcal.gate.fail-undr]\n'bbox/APr' = 0.1\n", "unknown field `fail-undr`"),
        ("[tool.ltcal.gates]\n", "unknown field `gates`"),
        ("[tool.ltcal.gate]\ngate-on = 'noise'\n", "`$.tool.ltcal.gate.gate-on`"),
        ("[tool.ltcal.gate]\nallow-undefined = 'no'\n", "Expected `bool | null`"),
        ("[tool.ltcal.gate]\nbaseline = ''\n", "`$.tool.ltcal.gate.baseline`"),
        ("[tool.ltcal.gate]\nruns = 'after'\n", "Expected `array`"),
        ("[tool.ltcal.gate.fail-under]\n'bbox/APr' = true\n", "got `bool`"),
        ("[tool.ltcal.gate.fail-under]\n'bbox/APr' = []\n", "length >= 1"),
        ("[tool.ltcal.gate.fail-under]\n'' = 0.1\n", "length >= 1"),
        ("[tool.ltcal.gate.fail-under]\nbbox.APr = 0.1\n", 'names of metrics in quotes: "bbox/APr" = 0.18'),
        ("[tool.ltcal.gate.fail-under]\nbbox/APr = 0.1\n", "at line 2"),
        ("[tool.ltcal.gate\n", "at line 1"),
    ],
)
@pytest.mark.parametrize("name", ["ltcal.toml", "pyproject.toml"])
def test_unknown_keys_and_values_are_named(tmp_path, name, text, expected):
    path = write(tmp_path / name, text)
    with pytest.raises(InputError) as caught:
        find_gate_config(tmp_path)
    assert caught.value.source == str(path)
    assert expected in str(caught.value)


@pytest.mark.parametrize("text", ["[gate.fail-under]\n'bbox/APr' = 0.1\n", "[tool.ltcl.gate]\n"])
def test_ltcal_toml_has_no_other_tables(tmp_path, text):
    write(tmp_path / "ltcal.toml", text)
    with pytest.raises(InputError, match="unknown field"):
        find_gate_config(tmp_path)
    (tmp_path / "ltcal.toml").rename(tmp_path / "pyproject.toml")
    assert find_gate_config(tmp_path) is None


def test_a_file_that_cannot_be_read_is_an_error_as_its_gates_would_be_ignored(tmp_path):
    (tmp_path / "pyproject.toml").symlink_to(tmp_path / "gone.toml")
    with pytest.raises(InputError, match=r"(?s)a file that can be read.*pass `gate=False`"):
        find_gate_config(tmp_path)
    (tmp_path / "pyproject.toml").unlink()
    (tmp_path / "pyproject.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(InputError, match="TOML in UTF-8"):
        find_gate_config(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_without_permission_is_an_error_but_a_folder_that_cannot_be_entered_is_skipped(tmp_path):
    write(tmp_path / "ltcal.toml", EXAMPLE).chmod(0)
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    with pytest.raises(InputError, match="Permission denied"):
        find_gate_config(inner)
    tmp_path.chmod(0)
    try:
        assert find_gate_config(inner) is None
    finally:
        tmp_path.chmod(0o700)
