"""The kernels are compiled, and run uncompiled too; property tests compare the results of both."""

import importlib
import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES

import numpy as np
import pytest
from engine_plain import NAMES, plain

from longtail_cli.engine import json_records


@pytest.mark.parametrize("name", NAMES)
def test_a_kernel_is_compiled_and_runs_uncompiled(name: str) -> None:
    compiled = importlib.import_module(f"longtail_cli.engine.{name}")
    assert str(compiled.__file__).endswith(tuple(EXTENSION_SUFFIXES))
    assert str(plain(name).__file__).endswith(f"{name}.py")


@pytest.mark.skipif("LTCAL_BOUNDS_CHECK" not in os.environ, reason="needs kernels compiled by `make test-bounds`")
def test_a_wrong_index_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a kernel cannot raise, as it runs without the GIL."""
    found: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda error: found.append(error.exc_value))
    json_records.skip(np.frombuffer(b"12", np.uint8), 0, json_records.JSON)  # no NUL after the text
    assert found
    assert all(isinstance(one, IndexError) for one in found)
