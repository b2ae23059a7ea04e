"""The command line: one module per command. Errors become text and exit codes only here.

Exit codes: 0 done; 1 a gate or a verification failed; 2 bad usage or bad input; 3 not comparable; 130 interrupted;
141 broken pipe.
"""

from __future__ import annotations

import importlib
import os
import sys
from difflib import get_close_matches

import click

from longtail_cli import __version__
from longtail_cli.cli.flags import with_flags
from longtail_cli.cli.options import INTERRUPTED
from longtail_cli.errors import LtcalError

COMMANDS = {
    "compute-freq": ("compute_freq", "Count in how many images each class occurs."),
    "rescore": ("rescore", "Adjust the scores of a result file, or logits, for the long tail."),
    "report": ("report", "Evaluate: AP by frequency group, TIDE, accuracy, calibration; gates for CI."),
    "tune": ("tune", "Choose the best adjustment for a model, on data that is not reported on."),
    "methods": ("methods", "List the methods, or show one: formula, parameters, source."),
}
"""The module and help line of each command; the help page imports no command."""

BAD_INPUT, PIPE_CLOSED = 2, 141


class Commands(click.Group):
    """A group that imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"{__name__}.{COMMANDS[cmd_name][0]}")
        command = getattr(module, COMMANDS[cmd_name][0])
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            near = get_close_matches(args[0], COMMANDS, 1)
            hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(COMMANDS)}"
            ctx.fail(f"no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except LtcalError as error:
            click.echo(f"Error: {with_flags(str(error))}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("interrupted; no output was left half-written", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # otherwise flushing reports an error
            ctx.exit(PIPE_CLOSED)
        except OSError as error:  # a full disk, a file that vanished while it was read
            click.echo(f"Error: {error}", err=True)
            ctx.exit(BAD_INPUT)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="ltcal")
def main() -> None:
    """Calibrate long-tailed classifiers and detectors after training, and measure the effect."""
