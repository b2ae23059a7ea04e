"""The group of all commands, and the exit codes of their errors."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import click

from longtail_cli import __version__
from longtail_cli.cli.exits import exit_codes
from longtail_cli.cli.streams import reading_streams

COMMANDS = {
    "inspect": ("inspect", "Say what a file is, what it holds, and which commands fit."),
    "compute-freq": ("compute_freq", "Count in how many images each class occurs."),
    "rescore": ("rescore", "Adjust the scores of a result file, or logits, for the long tail."),
    "report": ("report", "Evaluate: AP by frequency group, TIDE, accuracy, calibration; gates for CI."),
    "tune": ("tune", "Choose the best adjustment for a model, on data that is not reported on."),
    "fit": ("fit", "Learn a correction or a classifier head from labelled logits, features or detections."),
    "methods": ("methods", "List the methods, or show one: formula, parameters, source."),
}
"""The module and help line of each command; the help page imports no command."""


class Commands(click.Group):
    """A group that imports a command when it is called."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        with exit_codes(), option_hints():
            return super().make_context(info_name, args, parent, **extra)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"longtail_cli.cli.{COMMANDS[cmd_name][0]}")
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
        with exit_codes(), option_hints(), reading_streams(ctx):
            return super().invoke(ctx)


@contextmanager
def option_hints() -> Iterator[None]:
    """Let the error about an unknown option name all options that begin with it, which click's own hint lacks."""
    try:
        yield
    except click.NoSuchOption as error:
        params = [] if error.ctx is None else error.ctx.command.params
        names = [name for param in params for name in (*param.opts, *param.secondary_opts)]
        near = [name for name in names if name.startswith(error.option_name)] or error.possibilities
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise click.UsageError(f"no option {error.option_name!r}{hint}", error.ctx) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="ltcal")
def main() -> None:
    """Calibrate long-tailed classifiers and detectors after training, and measure the effect."""
