"""The entry point: `ltcal`, or `python -m longtail_cli.cli`."""

from __future__ import annotations

import gc
import os
import stat
import sys
import tempfile
from pathlib import Path

from longtail_cli.cli import BAD_INPUT, main

VARIABLE = "NUMBA_CACHE_DIR"


def run() -> None:
    """Run the command line without garbage collection, which costs a short process 5 percent."""
    gc.disable()
    try:
        find_kernel_cache()
    except OSError as error:
        print(f"Error: no writable folder for compiled kernels ({error}); set {VARIABLE}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    main(prog_name="ltcal")


def find_kernel_cache() -> None:
    """Give numba a per-user cache folder in the temporary folder if its own choices are not writable.

    A folder of that name owned by another user is not trusted, as numba runs its content; kernels are then compiled
    each time.
    Raises OSError if the temporary folder is not writable either.
    """
    if VARIABLE in os.environ or not hasattr(os, "getuid"):  # without getuid (Windows), the home folder is writable
        return
    package, home = Path(__file__).parents[1], os.path.expanduser("~")  # noqa: PTH111  Path's raises without a home
    if os.access(package, os.W_OK) or os.access(home, os.W_OK):
        return
    folder = Path(tempfile.gettempdir(), f"ltcal-kernels-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077
    os.environ[VARIABLE] = str(folder) if own else tempfile.mkdtemp(prefix="ltcal-kernels-")


if __name__ == "__main__":
    run()
