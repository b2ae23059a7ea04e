"""Imported at the start of Python in an editable install: compiles kernels that changed before they are imported."""

# ruff: noqa: PTH118, PTH120  (pathlib would slow down every start of Python)

from __future__ import annotations

import os
import sys


class RebuildKernels:
    """A finder that finds nothing. It looks at the kernels when `longtail_cli.engine` is first imported."""

    @staticmethod
    def find_spec(name: str, path: list[str] | None = None, target: object = None) -> None:
        if name == "longtail_cli.engine" and path:
            sys.meta_path.remove(RebuildKernels)
            root = os.path.dirname(path[0])
            if _changed(os.path.join(path[0], "engine")):
                _rebuild(root)


def _changed(folder: str) -> bool:
    """Whether the source of a kernel is newer than its module, or has none."""
    from importlib.machinery import EXTENSION_SUFFIXES

    times = {entry.name: entry.stat().st_mtime for entry in os.scandir(folder)}
    kernels = [name[:-3] for name in times if name.endswith(".py") and name != "__init__.py"]
    compiled = {name: max(times.get(name + suffix, 0) for suffix in EXTENSION_SUFFIXES) for name in kernels}
    return any(times[f"{name}.py"] > compiled[name] for name in kernels)


def _rebuild(root: str) -> None:
    import subprocess

    print("compiling the kernels that changed", file=sys.stderr)
    command = [sys.executable, os.path.join(root, "build_tools", "kernels.py")]
    if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
        raise ImportError("the kernels changed and could not be compiled; install ltcal again, as with `make test`")


sys.meta_path.insert(0, RebuildKernels)
