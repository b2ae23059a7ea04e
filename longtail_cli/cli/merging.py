"""The option ``--merge``: several files as one run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

merge_option = click.option(
    "--merge",
    is_flag=True,
    help="Result files: all together are one run, of which each process wrote a shard; also a pattern, 'rank_*.json'.",
)


def inputs_of(paths: Sequence[Path], merge: bool) -> tuple[Path | tuple[Path, ...], ...]:
    """The inputs that `paths` stand for: each of them, or with `merge` one of all. Raises InputError as `expanded`."""
    from longtail_cli.files.paths import expanded

    return (expanded(paths),) if merge else tuple(paths)


def input_of(paths: Sequence[Path], merge: bool) -> Path | tuple[Path, ...]:
    """The only input. Raises click's UsageError for several paths without `merge`."""
    if len(paths) > 1 and not merge:
        raise click.UsageError(f"{len(paths)} inputs: give one, or pass --merge if they are the shards of one run")
    return inputs_of(paths, merge)[0]
