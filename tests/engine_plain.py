"""The kernels without being compiled: slow twins of themselves."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

ENGINE = Path(__file__).parents[1] / "longtail_cli" / "engine"
NAMES = sorted(path.stem for path in ENGINE.glob("*.py") if path.stem != "__init__")


@cache
def plain(name: str) -> ModuleType:
    """The module `longtail_cli.engine.<name>`, run from its source by Python."""
    spec = importlib.util.spec_from_file_location(f"plain_{name}", ENGINE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
