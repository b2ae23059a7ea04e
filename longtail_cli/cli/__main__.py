"""The entry point: `ltcal`, or `python -m longtail_cli.cli`."""

from __future__ import annotations

import gc
import sys

from longtail_cli.cli import signals


def run() -> None:
    """Run the command line without garbage collection, which costs a short process 5 percent."""
    gc.disable()
    try:
        signals.handle()
        from longtail_cli.cli.commands import main  # takes its time, and may be interrupted

        main(prog_name="ltcal")
    except KeyboardInterrupt:
        sys.stderr.write(f"{signals.MESSAGE}\n")
        sys.exit(signals.INTERRUPTED)
    finally:
        signals.ignore()


if __name__ == "__main__":
    run()
