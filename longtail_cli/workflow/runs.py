"""Result files evaluated one after another, as the runs of a report.

Importing this module imports numba; `reporting` hashes the files meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from longtail_cli.evaluate.evaluation import Evaluation, Figures, Wanted
from longtail_cli.evaluate.geometry import Overlaps
from longtail_cli.evaluate.kernels import load_kernels
from longtail_cli.evaluate.protocol import IouType, Protocol
from longtail_cli.evaluate.selection import images_over
from longtail_cli.evaluate.tide import Breakdown
from longtail_cli.files.results import held_fields, locate, read_results
from longtail_cli.files.source import printable
from longtail_cli.report.model import CategoryRow, Gains, Run, Tide
from longtail_cli.tables import Detections, Masks, Results
from longtail_cli.workflow.telling import Say, bytes_done

__all__ = ["Evaluation", "Wanted", "in_turn", "load_kernels", "read_in_turn", "types_held"]

IOU_FIELDS: dict[IouType, str] = {"bbox": "bbox", "segm": "masks"}
"""The field of a result file that each IoU type is measured on."""


def types_held(path: Path) -> tuple[IouType, ...]:
    """What a result file can be evaluated on; boxes where it is empty."""
    held = held_fields(path)
    return tuple(iou_type for iou_type, field in IOU_FIELDS.items() if field in held) or ("bbox",)


def read_in_turn(
    predictions: Sequence[Path], types: Iterable[IouType], pool: ThreadPoolExecutor, say: Say
) -> Iterator[Results]:
    """The result files one after another; the first is begun at once, each other one while its forerunner is in use."""
    fields = frozenset(IOU_FIELDS[iou_type] for iou_type in types)
    first = pool.submit(
        read_results, predictions[0], fields=fields, advance=bytes_done(say, "reading", predictions[:1])
    )

    def one_by_one() -> Iterator[Results]:
        ahead = first
        for path in predictions[1:]:
            results = ahead.result()
            ahead = pool.submit(read_results, path, fields=fields)
            yield results
        yield ahead.result()

    return one_by_one()


def in_turn(
    bench: Sequence[Evaluation],
    results: Iterable[Results],
    predictions: Sequence[Path],
    names: Sequence[str],
    digests: Sequence[str],
    say: Say,
) -> tuple[Run, ...]:
    """A run for each result file; geometry is computed again only where the boxes or masks differ."""
    runs: list[Run] = []
    before: Detections | None = None
    geometry: list[Overlaps] = []
    for found, path, name, sha256 in zip(results, predictions, names, digests, strict=True):
        detections = locate(found, bench[0].ground_truth)
        say(f"evaluating {name}", None)
        if before is None or not _same_places(before, detections):
            geometry = [one.geometry(detections) for one in bench]
        figures = [one.figures(detections, pairs) for one, pairs in zip(bench, geometry, strict=True)]
        runs.append(_run(bench, figures, detections, name, path, sha256))
        before = detections
    return tuple(runs)


def _same_places(one: Detections, other: Detections) -> bool:
    """Whether the two hold the same boxes and masks of the same categories in the same order."""
    columns = ("image", "category", "bbox")
    if not all(np.array_equal(getattr(one, name), getattr(other, name)) for name in columns):
        return False
    if one.masks is None or other.masks is None:
        return one.masks is other.masks
    return _same_masks(one.masks, other.masks)


def _same_masks(one: Masks, other: Masks) -> bool:
    columns = ("size", "start", "counts")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in columns)


def _run(
    bench: Sequence[Evaluation], figures: Sequence[Figures], detections: Detections, name: str, path: Path, sha256: str
) -> Run:
    types = [one.iou_type for one in bench]
    return Run(
        name=name,
        source=printable(str(path)),
        sha256=sha256,
        method=None,
        metrics={iou_type: _metrics(found) for iou_type, found in zip(types, figures, strict=True)},
        tide={
            iou_type: _tide(found.tide, found.tide_groups, one.wanted.tide)
            for iou_type, found, one in zip(types, figures, bench, strict=True)
            if found.tide is not None and found.tide_groups is not None
        },
        categories=_categories(bench, figures),
        notes=(_cap_note(detections, bench[0].protocol),),
    )


def _metrics(figures: Figures) -> dict[str, float | Mapping[str, float | None] | None]:
    metrics: dict[str, float | Mapping[str, float | None] | None] = dict(figures.headline)
    if figures.fixed is not None:
        metrics["APfixed"] = figures.fixed
    if figures.pooled is not None:
        metrics["APpool"] = figures.pooled
    return metrics


def _tide(overall: Breakdown, groups: Mapping[str, Breakdown], mode: str) -> Tide:
    by_group = {name: Gains(one.ap50, one.main, one.special) for name, one in groups.items()}
    return Tide(mode, overall.ap50, overall.main, overall.special, by_group)


def _categories(bench: Sequence[Evaluation], figures: Sequence[Figures]) -> tuple[CategoryRow, ...]:
    """A row a category where they were asked for; counts are those of the evaluated annotations."""
    if not bench[0].wanted.per_category:
        return ()
    categories, objects = bench[0].ground_truth.categories, bench[0].objects
    counted = ~objects.ignore & ~objects.excluded
    instances = np.bincount(objects.category[counted], minlength=len(categories))
    pairs = np.unique(np.column_stack([objects.category, objects.image])[counted], axis=0)
    images = np.bincount(pairs[:, 0], minlength=len(categories))
    group = {index: name for name, member in bench[0].groups.items() for index in np.flatnonzero(member).tolist()}
    return tuple(
        CategoryRow(
            id=int(categories.id[c]),
            name=categories.name[c],
            group=group.get(c),
            images=int(images[c]),
            instances=int(instances[c]),
            metrics={one.iou_type: (found.per_category or [])[c] for one, found in zip(bench, figures, strict=True)},
        )
        for c in range(len(categories))
    )


def _cap_note(detections: Detections, protocol: Protocol) -> str:
    number, cap = len(detections), protocol.max_dets
    if protocol.name == "coco":
        return f"{number} detections; the cap of {cap} is per image and category"
    reach, exceed = images_over(detections, cap)
    note = f"{number} detections; {reach} images reach the cap of {cap}, {exceed} exceed it"
    if exceed:
        return note
    return f"{note}: a correction that keeps the order within each category cannot change per-category AP"
