"""Fixtures for all tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# a shell starts processes in the background with SIGINT ignored, and so would be those that the tests interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)

# each of the interpreters that tests start would compile the package again
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# no deadline, as the machine may be busy; the same examples in every run, so failures are reproducible
settings.register_profile("ltcal", deadline=None, derandomize=True)
settings.load_profile("ltcal")

REAL_DATA = "LTCAL_REAL_DATA"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real COCO and LVIS files that the environment variable LTCAL_REAL_DATA names."""
    folder = os.environ.get(REAL_DATA)
    if not folder:
        pytest.skip(f"real files are not part of the project: set {REAL_DATA} to their folder")
    return Path(folder)
