"""The entry point: `ltcal`, or `python -m longtail_cli.cli`."""

from __future__ import annotations

import gc
import os
import stat
import sys
import tempfile
from pathlib import Path

from longtail_cli.cli import BAD_INPUT, main


def run() -> None:
    """Run the command line; the process is short, and to look for garbage among its entries costs it 5 percent."""
    gc.disable()
    try:
        find_kernel_cache()
    except OSError as error:
        print(f"Error: no folder for compiled kernels can be written to ({error}); set {VARIABLE}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    main(prog_name="ltcal")


VARIABLE = "NUMBA_CACHE_DIR"


def find_kernel_cache() -> None:
    """Name a folder of this user under the temporary folder in the environment, where numba would find none.

    Another user's folder of that name is not trusted, as what lies in it is run; then kernels are compiled each time.
    Raises OSError where not even the temporary folder can be written to.
    """
    if VARIABLE in os.environ or not hasattr(os, "getuid"):  # elsewhere the home folder can be written to
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
