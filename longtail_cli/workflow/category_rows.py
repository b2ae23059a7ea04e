"""What a report says of each category, and what the figures of the frequency groups rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from longtail_cli.evaluate.evaluation import Evaluation, Figures
from longtail_cli.metrics import CategoryMetrics
from longtail_cli.reports.model import GroupSize
from longtail_cli.tables import Bools, FrequencyTable, GroundTruth, Longs


@dataclass(frozen=True, slots=True)
class TrainCounts:
    """How often each category occurs in training: int64 [C] each, in the order of the categories."""

    images: Longs
    instances: Longs


def train_counts(truth: GroundTruth, table: FrequencyTable | None) -> TrainCounts | None:
    """The counts of the table if there is one, else those that the annotations carry, else None."""
    if table is not None:
        row = np.searchsorted(table.category_id, truth.categories.id)
        return TrainCounts(table.image_count[row], table.instance_count[row])
    images, instances = truth.categories.image_count, truth.categories.instance_count
    return None if images is None or instances is None else TrainCounts(images, instances)


def category_rows(
    evaluations: Sequence[Evaluation], figures: Sequence[Figures], train: TrainCounts | None
) -> tuple[CategoryMetrics, ...]:
    """A row a category where they were asked for; `images` and `instances` are of the evaluated annotations."""
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
            metrics={one.iou_type: _metrics(found, c) for one, found in zip(evaluations, figures, strict=True)},
            train_images=None if train is None else int(train.images[c]),
            train_instances=None if train is None else int(train.instances[c]),
        )
        for c in range(len(categories))
    )


def _metrics(found: Figures, category: int) -> dict[str, float | None]:
    """AP and the like, and where they were asked for the errors of the scores."""
    metrics = dict((found.per_category or [])[category])
    return metrics if found.reliability is None else metrics | found.reliability.per_category[category]


def group_sizes(evaluation: Evaluation) -> dict[str, GroupSize]:
    """What the figures over all categories, and those of each group, rest on."""
    objects = evaluation.objects
    counted = ~objects.ignore & ~objects.excluded
    category, image = objects.category[counted], objects.image[counted]
    everything: Mapping[str, Bools] = {"all": np.ones(len(evaluation.ground_truth.categories), bool)}

    def size(member: Bools) -> GroupSize:
        inside = member[category]
        return GroupSize(len(np.unique(category[inside])), len(np.unique(image[inside])), int(inside.sum()))

    return {name: size(member) for name, member in {**everything, **evaluation.groups}.items()}


def groups_sha256(labels: Sequence[str] | None) -> str | None:
    """Hex digest of the group of each category in order of id; None without groups."""
    return None if labels is None else sha256("\n".join(labels).encode()).hexdigest()
