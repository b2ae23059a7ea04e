"""`python -m longtail_cli.cli`, the same as `ltcal`."""

from longtail_cli.cli import main

main(prog_name="ltcal")
