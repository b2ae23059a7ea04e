"""Errors as text on stderr and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from longtail_cli.cli.flags import with_flags
from longtail_cli.cli.signals import INTERRUPTED, MESSAGE
from longtail_cli.cli.streams import as_given
from longtail_cli.errors import InputError, LtcalError, OutputError, Problem

PIPE_CLOSED = 141


@contextmanager
def exit_codes() -> Iterator[None]:
    """End the command with the message and the exit code of an error."""
    try:
        yield
    except LtcalError as error:
        raise _ended(error) from error
    except KeyboardInterrupt as interruption:
        click.echo(MESSAGE, err=True)
        raise click.exceptions.Exit(INTERRUPTED) from interruption
    except BrokenPipeError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # otherwise flushing reports an error
        raise click.exceptions.Exit(PIPE_CLOSED) from error
    except OSError as error:  # a full disk under a temporary file, a file that vanished while it was read
        raise _ended(_os_error(error)) from error
    except MemoryError as error:
        problem = Problem("memory", "enough for this input", "too little")
        fix = "use a machine with more memory, or a smaller input; or check whether the file is damaged"
        raise _ended(InputError("ltcal", [problem], fix)) from error


def _ended(error: LtcalError) -> click.exceptions.Exit:
    """Print the message of an error; returns what ends the command with its exit code."""
    click.echo(f"Error: {as_given(with_flags(str(error)))}", err=True)
    return click.exceptions.Exit(error.exit_code)


def _os_error(error: OSError) -> LtcalError:
    from longtail_cli.files.staging import temporary_folder  # slow to import, and rarely needed

    source = "stdout or a temporary file" if error.filename is None else os.fsdecode(error.filename)
    problem = Problem("file", "one that can be read and written", error.strerror or str(error))
    fix = f"check that it exists, its permissions, and the free disk space, also in {temporary_folder()}"
    return OutputError(source, [problem], fix)
