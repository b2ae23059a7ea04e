"""Fixtures for all tests."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import settings

# no deadline, as the first example may compile a kernel; the same examples in every run, so failures are reproducible
settings.register_profile("ltcal", deadline=None, derandomize=True)
settings.load_profile("ltcal")

PACKAGE = Path(__file__).parents[1] / "longtail_cli"
REAL_DATA = "LTCAL_REAL_DATA"


def pytest_configure() -> None:
    """Remove compiled kernels older than any file with kernels: numba does not see changes in the kernels they call."""
    sources = [path for path in PACKAGE.rglob("*.py") if re.search(r"njit|@kernel", path.read_text("utf-8"))]
    changed = max(path.stat().st_mtime for path in sources)
    for index in PACKAGE.rglob("*.nbi"):
        if index.stat().st_mtime < changed:
            index.unlink()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real COCO and LVIS files that the environment variable LTCAL_REAL_DATA names."""
    folder = os.environ.get(REAL_DATA)
    if not folder:
        pytest.skip(f"real files are not part of the project: set {REAL_DATA} to their folder")
    return Path(folder)
