"""The option ``--merge``: several files as one run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from longtail_cli.cli.streams import copied, location_of

Location = Path | str
"""A path, or a URL as text."""

merge_option = click.option(
    "--merge",
    is_flag=True,
    help="Result files: all together are one run, of which each process wrote a shard; also a pattern, 'rank_*.json'.",
)


def inputs_of(paths: Sequence[Path], merge: bool) -> tuple[Path | tuple[Path, ...], ...]:
    """The inputs that `paths` stand for: each of them, or with `merge` one of all. What URLs name is copied.

    Raises InputError as `expanded` and `copied`.
    """
    from longtail_cli.files.paths import expanded

    paths = copied(paths)
    return (expanded(paths),) if merge else paths


def locations_of(paths: Sequence[Path], merge: bool) -> tuple[Location | tuple[Location, ...], ...]:
    """As `inputs_of`, for a command that reads its inputs in parts, each worker its own: URLs stay, nothing is copied.

    Raises also as `longtail_cli.files.stores.listed`.
    """
    if not merge:
        return tuple(map(location_of, paths))
    return (tuple(one for path in paths for one in _matching(location_of(path))),)


def input_of(paths: Sequence[Path], merge: bool) -> Path | tuple[Path, ...]:
    """The only input. Raises click's UsageError for several paths without `merge`."""
    check_one_input(paths, merge)
    return inputs_of(paths, merge)[0]


def divided_input_of(paths: Sequence[Path], merge: bool) -> Location | tuple[Location, ...]:
    """As `input_of`, for a command that reads its input in parts."""
    check_one_input(paths, merge)
    return locations_of(paths, merge)[0]


def check_one_input(paths: Sequence[Path], merge: bool) -> None:
    """Raise click's UsageError for several paths without `merge`."""
    if len(paths) > 1 and not merge:
        raise click.UsageError(f"{len(paths)} inputs: give one, or pass --merge if they are the shards of one run")


def _matching(location: Location) -> Sequence[Location]:
    """The files that fit a pattern, or the location itself."""
    if isinstance(location, Path):
        from longtail_cli.files.paths import expanded

        return expanded([location])
    from longtail_cli.files.stores import listed
    from longtail_cli.files.urls import is_pattern, parse_url

    return [one.location for one in listed(location)] if is_pattern(parse_url(location)) else [location]
