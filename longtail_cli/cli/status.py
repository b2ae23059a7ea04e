"""Status on stderr: one line each, whatever the names in it hold."""

from __future__ import annotations

from collections.abc import Iterable

import click

from longtail_cli.cli.flags import with_flags
from longtail_cli.cli.streams import as_given
from longtail_cli.escapes import one_line


def print_status(lines: Iterable[str]) -> None:
    """Print lines with flags for parameters, streams as they were given, and nothing that a terminal interprets."""
    for line in lines:
        click.echo(one_line(as_given(with_flags(line))), err=True)
