"""Compile the kernels, `longtail_cli/engine/*.py`, with Cython and a C compiler.

    python build_tools/kernels.py                  # into the source tree
    python build_tools/kernels.py --bounds-check   # the same, with a check of every index

Packaging calls `build` (see `hook.py`), and an editable install does when a kernel has changed (see `rebuild.py`).
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ENGINE = Path("longtail_cli", "engine")

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "wraparound": False,
    "initializedcheck": False,
    "cdivision": True,
    "show_performance_hints": False,
}
FLAGS = [
    "-O3",
    "-ffp-contract=off",
    "-g0",
]  # contracted, a product and a sum would round otherwise than on other processors
COMPILER = "ziglang>=0.13"  # a C compiler that pip can install

STABLE_ABI: dict[str, Any] = {"py_limited_api": True, "define_macros": [("Py_LIMITED_API", "0x030b0000")]}
"""One build for Python 3.11 and all later ones."""
if sysconfig.get_config_var("Py_GIL_DISABLED"):
    STABLE_ABI.clear()  # Python without the GIL has no stable ABI yet


def missing_compiler() -> list[str]:
    """What to install before a build: a C compiler if there is none. On Windows one has to be installed by hand."""
    return [] if os.name == "nt" or _has_compiler() else [COMPILER]


def build(target: Path, *, bounds_check: bool = False) -> list[Path]:
    """Compile the kernels that changed into the folder `target`; returns the paths of all modules relative to it."""
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    if missing_compiler():
        zig = f"{shlex.quote(sys.executable)} -m ziglang cc"
        sharing = "-bundle -undefined dynamic_lookup" if sys.platform == "darwin" else "-shared"
        os.environ.update(CC=zig, LDSHARED=f"{zig} {sharing}")
    os.chdir(ROOT)
    work = Path("build", "kernels-bounds-check" if bounds_check else "kernels")
    package = ".".join(ENGINE.parts)
    settings = {"extra_compile_args": [] if os.name == "nt" else FLAGS, **STABLE_ABI}
    extensions = cythonize(
        [Extension(f"{package}.{source.stem}", [str(source)], **settings) for source in kernels()],
        build_dir=str(work),
        compiler_directives={**DIRECTIVES, "boundscheck": bounds_check},
        quiet=True,
    )
    command = Distribution({"name": "kernels", "ext_modules": extensions}).get_command_obj("build_ext")
    command.build_lib, command.build_temp = str(work / "lib"), str(work / "objects")
    command.parallel = os.cpu_count()
    command.ensure_finalized()
    command.run()
    modules = [Path(command.get_ext_filename(one.name)) for one in extensions]
    for module in modules:
        _replace(work / "lib" / module, target / module)
    return modules


def kernels() -> list[Path]:
    """The sources, relative to `ROOT`."""
    return sorted(path.relative_to(ROOT) for path in (ROOT / ENGINE).glob("*.py") if path.stem != "__init__")


def _has_compiler() -> bool:
    command = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    return shutil.which(shlex.split(command)[0]) is not None


def _replace(source: Path, target: Path) -> None:
    """Copy a file under a new inode: a running process keeps the one that it has loaded."""
    target.parent.mkdir(parents=True, exist_ok=True)
    copy = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copyfile(source, copy)
    copy.replace(target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bounds-check", action="store_true", help="raise IndexError where an index is out of bounds")
    build(ROOT, bounds_check=parser.parse_args().bounds_check)
