"""The cache folder of compiled kernels if neither the package nor the home folder is writable."""

import os
import tempfile
from pathlib import Path

import pytest

from longtail_cli.cli.__main__ import VARIABLE, find_kernel_cache


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder and nothing else that is writable; simulated, as root can write anywhere."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.delenv(VARIABLE)
    return tmp_path


def test_a_folder_of_the_user_is_kept_between_runs(temporary: Path) -> None:
    find_kernel_cache()
    first = os.environ.pop(VARIABLE)
    find_kernel_cache()
    assert os.environ[VARIABLE] == first
    assert Path(first).parent == temporary
    assert Path(first).stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_can_write_to_is_not_trusted(temporary: Path) -> None:
    planted = temporary / f"ltcal-kernels-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o777)
    find_kernel_cache()
    assert os.environ[VARIABLE] != str(planted)
    assert Path(os.environ[VARIABLE]).is_dir()


def test_the_environment_variable_is_kept(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "elsewhere")
    find_kernel_cache()
    assert os.environ[VARIABLE] == "elsewhere"


def test_a_writable_default_folder_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(os, "access", lambda *_: True)
    find_kernel_cache()
    assert VARIABLE not in os.environ
