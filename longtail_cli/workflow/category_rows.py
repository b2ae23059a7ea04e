"""The rows of a report by category, and the sizes of the frequency groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from longtail_cli.evaluation.bootstrap.effective import effective_images
from longtail_cli.evaluation.detections import DetectionMetrics, Evaluation
from longtail_cli.evaluation.protocol import AREA_NAMES, outside
from longtail_cli.methods.iif import InverseImageFrequency
from longtail_cli.methods.registry import parse_method
from longtail_cli.metrics import LEAST_IMAGES, CategoryMetrics
from longtail_cli.reports.model import GroupSize, Run
from longtail_cli.tables import Bools, FrequencyTable, GroundTruth, Longs


@dataclass(frozen=True, slots=True)
class TrainCounts:
    """Training counts of each category: int64 [C] each, in category order."""

    images: Longs
    instances: Longs


def train_counts(truth: GroundTruth, table: FrequencyTable | None) -> TrainCounts | None:
    """The counts of the table if there is one, else those in the annotations, else None."""
    if table is not None:
        row = np.searchsorted(table.category_id, truth.categories.id)
        return TrainCounts(table.image_count[row], table.instance_count[row])
    images, instances = truth.categories.image_count, truth.categories.instance_count
    return None if images is None or instances is None else TrainCounts(images, instances)


def category_rows(
    evaluations: Sequence[Evaluation], metrics: Sequence[DetectionMetrics], train: TrainCounts | None
) -> tuple[CategoryMetrics, ...]:
    """One row per category if requested, else none; `images` and `instances` count the evaluated annotations."""
    if not evaluations[0].options.per_category:
        return ()
    categories, objects = evaluations[0].ground_truth.categories, evaluations[0].objects
    counted = ~objects.ignore & ~objects.excluded
    instances = np.bincount(objects.category[counted], minlength=len(categories))
    pairs = np.unique(np.column_stack([objects.category, objects.image])[counted], axis=0)
    images = np.bincount(pairs[:, 0], minlength=len(categories))
    group = {index: name for name, member in evaluations[0].groups.items() for index in np.flatnonzero(member).tolist()}
    return tuple(
        CategoryMetrics(
            id=int(categories.id[c]),
            name=categories.name[c],
            group=group.get(c),
            images=int(images[c]),
            instances=int(instances[c]),
            metrics={
                one.iou_type: (found.per_category or [])[c] for one, found in zip(evaluations, metrics, strict=True)
            },
            train_images=None if train is None else int(train.images[c]),
            train_instances=None if train is None else int(train.instances[c]),
        )
        for c in range(len(categories))
    )


def group_sizes(evaluation: Evaluation) -> dict[str, GroupSize]:
    """The number of categories with objects, images and objects, overall and in each group."""
    objects = evaluation.objects
    counted = ~objects.ignore & ~objects.excluded
    category, image = objects.category[counted], objects.image[counted]
    everything: Mapping[str, Bools] = {"all": np.ones(len(evaluation.ground_truth.categories), bool)}

    def size(member: Bools) -> GroupSize:
        inside = member[category]
        kinds, images = (int((np.bincount(of[inside]) > 0).sum()) for of in (category, image))
        return GroupSize(kinds, images, int(inside.sum()))

    return {name: size(member) for name, member in {**everything, **evaluation.groups}.items()}


def images_behind(evaluation: Evaluation) -> dict[str, float]:
    """On how many images the metrics effectively rest: over all categories, each object size, and each group.

    A mean over many categories may effectively rest on more images than there are. With fewer than `LEAST_IMAGES` it
    does not, as there are hardly any resamples of one or two images.
    """
    objects, categories = evaluation.objects, len(evaluation.ground_truth.categories)
    number = len(evaluation.ground_truth.image_id)
    counted = ~objects.ignore & ~objects.excluded
    images = {}
    for name, beyond in zip(AREA_NAMES, outside(objects.area).T, strict=True):
        inside = counted & ~beyond
        pairs = np.unique(objects.category[inside].astype(np.int64) * number + objects.image[inside])
        images[name] = np.bincount(pairs // max(number, 1), minlength=categories)
    by_group = {name: images["all"][member] for name, member in evaluation.groups.items()}
    seen = len(np.unique(objects.image[counted]))
    most = seen if seen < LEAST_IMAGES else np.inf
    return {name: min(effective_images(one), most) for name, one in (images | by_group).items()}


def groups_sha256(labels: Sequence[str] | None) -> str | None:
    """Hex digest of the group of each category in order of id; None without groups."""
    return None if labels is None else sha256("\n".join(labels).encode()).hexdigest()


def iif_curves(runs: Sequence[Run], table: FrequencyTable | None, ids: Longs) -> dict[str, tuple[float, ...]]:
    """By name of each run whose method uses IIF, the weights of the categories `ids`, int64 [C], ascending.

    Those of a chain with IIF in it several times are multiplied. Empty without a table, as such a method needs one.
    """
    if table is None:
        return {}
    row = np.searchsorted(table.category_id, ids)
    found = {run.name: _iif_methods(run.method) for run in runs}
    return {
        name: tuple(np.prod([one.coefficients(table).scale[row] for one in methods], axis=0).tolist())
        for name, methods in found.items()
        if methods
    }


def _iif_methods(spec: str | None) -> list[InverseImageFrequency]:
    """Those in the method that `spec` names, alone or in a chain."""
    parts = [part for part in (spec or "").split("+") if part.partition(":")[0] == InverseImageFrequency.name]
    return [method for method in map(parse_method, parts) if isinstance(method, InverseImageFrequency)]
