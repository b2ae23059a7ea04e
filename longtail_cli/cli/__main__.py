"""The entry point: `ltcal`, or `python -m longtail_cli.cli`."""

from __future__ import annotations

import gc
import sys

from longtail_cli.cli import BAD_INPUT, main
from longtail_cli.cli.kernel_cache import VARIABLE, find_kernel_cache


def run() -> None:
    """Run the command line; the process is short, and to look for garbage among its entries costs it 5 percent."""
    gc.disable()
    try:
        find_kernel_cache()
    except OSError as error:
        print(f"Error: no folder for compiled kernels can be written to ({error}); set {VARIABLE}", file=sys.stderr)
        sys.exit(BAD_INPUT)
    main(prog_name="ltcal")


if __name__ == "__main__":
    run()
