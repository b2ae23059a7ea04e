"""The official packages lvis, pycocotools and tidecv, imported and run without side effects.

lvis 0.5.3 and tidecv 1.0.1 print, log, import OpenCV and use names that NumPy has removed. All of this is handled here,
for these packages alone and only while they run.
"""

from __future__ import annotations

import importlib
import io
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from longtail_cli.errors import MissingExtraError, Problem, VerificationError

_CRASHES = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What the official code raises on input that it was not written for; it raises nothing on purpose."""


@contextmanager
def official_package(package: str, predictions: Path) -> Iterator[Any]:
    """The package, silenced while it runs. Raises VerificationError if it crashes.

    predictions: the file to name in that error. Raises MissingExtraError if the package is not installed.
    """
    with _quiet(), _stand_in_for_opencv():
        module = _import(package)
    try:
        with _quiet():
            yield module
    except _CRASHES as error:
        found = f"{type(error).__name__}: {error}"
        problem = Problem(f"{package}, the official package", "metrics to compare with", f"a crash, {found}")
        fix = "leave out `verify=`: the package cannot evaluate files without detections, and some without objects"
        raise VerificationError(str(predictions), [problem], fix) from error


@contextmanager
def numpy_with_float(module: ModuleType) -> Iterator[None]:
    """``np.float`` for this module alone: NumPy removed this alias of float in 1.24, and lvis 0.5.3 still uses it."""
    names = vars(module)
    numpy = names["np"]
    names["np"] = SimpleNamespace(**{**vars(numpy), "float": float})
    try:
        yield
    finally:
        names["np"] = numpy


def _import(package: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError as error:
        problem = Problem(f"package {package}", "a package that can be imported", str(error))
        raise MissingExtraError("`verify=`", [problem], "pip install 'ltcal[verify]'") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress prints and warnings, and restore the root logger, which importing lvis configures."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)


@contextmanager
def _stand_in_for_opencv() -> Iterator[None]:
    """A dummy module ``cv2`` if OpenCV is missing: the packages import it for drawing, which is not used here."""
    if _has_opencv():
        yield
        return
    stand_in = ModuleType("cv2")
    vars(stand_in)["FONT_HERSHEY_SIMPLEX"] = 0  # the default argument of a drawing method
    sys.modules["cv2"] = stand_in
    try:
        yield
    finally:
        del sys.modules["cv2"]


def _has_opencv() -> bool:
    """Whether OpenCV can be imported: on machines without a display its libraries are often missing."""
    try:
        importlib.import_module("cv2")
    except ImportError:
        return False
    return True
