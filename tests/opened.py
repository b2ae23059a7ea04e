"""Files opened, used once and closed, for tests that are about their content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.files.output import outputs_of
from longtail_cli.files.results.file import open_results
from longtail_cli.tables import Floats, GroundTruth, Occurrences, Results


def held_fields(path: Path) -> frozenset[str]:
    with open_results(path) as file:
        return file.fields


def read_results(path: Path, *, fields: frozenset[str], advance: Callable[[int], None] | None = None) -> Results:
    with open_results(path) as file:
        return file.read(fields, advance)


def write_rescored(source: Path, scores: Floats, out: Path, *, advance: Callable[[int], None] | None = None) -> None:
    with outputs_of([out], inputs=[source]) as staged, open_results(source) as file:
        file.write_rescored(scores, staged[out], advance)


def read_annotations(path: Path, *, masks: bool = False) -> GroundTruth:
    with open_annotations(path) as file:
        return file.read(masks=masks)


def read_occurrences(path: Path) -> tuple[Occurrences, int]:
    with open_annotations(path) as file:
        return file.occurrences()
