"""The entry point: `ltcal`, or `python -m longtail_cli.cli`."""

from __future__ import annotations

import gc

from longtail_cli.cli import main


def run() -> None:
    """Run the command line; the process is short, and to look for garbage among its entries costs it 5 percent."""
    gc.disable()
    main(prog_name="ltcal")


if __name__ == "__main__":
    run()
