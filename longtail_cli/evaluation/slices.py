"""The metrics of a part of the images, from the matches of all.

No two images share an object, so the matches of a slice are those of its images, in the same order. The functions that
reduce the matches of a report therefore give the metrics of a report on the slice alone, to the last bit. There is one
exception: Fixed and pooled AP take the 10,000 best detections of each category of the whole set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from longtail_cli.evaluation import summary
from longtail_cli.evaluation.average_precision import curves, pooled_ap, recall_at
from longtail_cli.evaluation.bootstrap import metrics as bootstrap
from longtail_cli.evaluation.bootstrap.permutation import Matched
from longtail_cli.evaluation.bootstrap.resampling import Draws, Reduction, Resampled, resampled
from longtail_cli.evaluation.detections import Evaluation
from longtail_cli.evaluation.matching import UNMATCHED, Matches
from longtail_cli.evaluation.protocol import Objects
from longtail_cli.evaluation.selection import Selection
from longtail_cli.metrics import Metrics, Value, Values
from longtail_cli.parallel import take
from longtail_cli.tables import Bools, Ints, Longs


@dataclass(frozen=True, slots=True)
class SliceMetrics:
    """The metrics of one run on one slice for one IoU type."""

    metrics: Metrics
    """As `DetectionMetrics.as_metrics`."""
    resampled: Resampled
    """AP, AP50, ..., Fixed AP and pooled AP in each resample, by names such as ``APfixed/APr``; none by object size, as
    they take most of the time. Empty without resamples."""


@dataclass(frozen=True, slots=True)
class Sliceable:
    """The matches of a run, and what every slice of them needs."""

    found: Matched
    capped_image: Ints
    """int32 [M], the image of each detection of ``found.capped``, in its order."""
    wide_image: Ints | None
    """The same of ``found.wide``; None without it."""

    @classmethod
    def of(cls, found: Matched) -> Sliceable:
        image, wide = found.scored.image, found.wide
        return cls(
            found,
            take(image, found.capped.selection.row),
            None if wide is None else take(image, wide.selection.row),
        )


def slice_metrics(evaluation: Evaluation, run: Sliceable, images: Longs, draws: Draws | None) -> SliceMetrics:
    """The metrics of a run on `images` (int64 [n], ascending, n >= 1).

    draws: those of the whole set; None for no resamples. Each resample draws n images of the slice with replacement, by
    the same seed: what is asked is how the metric varies among sets of n such images, and a share of a resample of the
    whole set would vary in its size as well. All runs, and a baseline with the same slice, share the draws.
    """
    own = matched_within(run, _index_of(images, len(evaluation.ground_truth.image_id)))
    protocol, groups, options = evaluation.protocol, evaluation.groups, evaluation.options
    ranked = {rank: recall_at(own.capped, rank) for rank in summary.RANKS[protocol.name]}
    metrics: dict[str, Value | Values] = {**summary.headline(curves(own.capped), ranked, protocol, groups)}
    if own.wide is not None and options.fixed_ap:
        metrics["APfixed"] = summary.grouped_ap(curves(own.wide).ap[:, :, 0], groups)
    if own.wide is not None and options.pooled_ap:
        metrics["APpool"] = pooled_ap(own.scored, own.wide, groups)
    if draws is None:
        return SliceMetrics(metrics, {})
    of_slice = replace(draws, images=len(images))
    values_by_name = {
        prefix + name: values
        for prefix, reduction in _reductions(evaluation, own).items()
        for name, values in resampled(reduction, of_slice).items()
    }
    return SliceMetrics(metrics, values_by_name)


def _reductions(evaluation: Evaluation, own: Matched) -> Mapping[str, Reduction]:
    """What is computed for each resample, by the prefix of its names."""
    groups, options = evaluation.groups, evaluation.options
    headline = bootstrap.headline(own.scored, own.objects, own.capped, evaluation.protocol, groups, sizes=False)
    reductions = {"": headline}
    if own.wide is not None and options.fixed_ap:
        reductions["APfixed/"] = bootstrap.fixed(own.wide_scored, own.objects, own.wide, groups)
    if own.wide is not None and options.pooled_ap:
        reductions["APpool/"] = bootstrap.pooled(own.scored, own.objects, own.wide, groups)
    return reductions


def evaluation_within(evaluation: Evaluation, images: Longs) -> Evaluation:
    """The evaluation with the objects of `images` (int64 [n], ascending) alone, as image 0 to n - 1."""
    index = _index_of(images, len(evaluation.ground_truth.image_id))
    return replace(evaluation, objects=_objects_within(evaluation.objects, index))


def matched_within(run: Sliceable, index: Ints) -> Matched:
    """The detections and objects of some images, without TIDE's.

    index: int32 [I], the new index of each image, or -1 for those that are left out.
    """
    found, inside = run.found, index[run.found.objects.image] >= 0
    return Matched(
        scored=replace(found.scored, image=index[found.scored.image]),
        objects=_objects_within(found.objects, index),
        capped=_matches_within(found.capped, index[run.capped_image], found.objects, inside),
        wide=None
        if found.wide is None or run.wide_image is None
        else _matches_within(found.wide, index[run.wide_image], found.objects, inside),
        points=None,
        wide_score=found.wide_score,
    )


def _index_of(images: Longs, number: int) -> Ints:
    index = np.full(number, -1, np.int32)
    index[images] = np.arange(len(images))
    return index


def _objects_within(objects: Objects, index: Ints) -> Objects:
    image = index[objects.image]
    inside = image >= 0
    columns = ("row", "category", "area", "ignore", "crowd", "excluded")
    return replace(
        objects,
        start=np.searchsorted(image[inside], np.arange(index.max() + 2)).astype(np.int64),
        image=image[inside],
        **{name: getattr(objects, name)[inside] for name in columns},
    )


def _matches_within(matches: Matches, image: Ints, objects: Objects, inside: Bools) -> Matches:
    """The matches of some images.

    image: int32 [M], the new index of the image of each detection, or -1. inside: bool [G], the objects of the images.
    """
    selection = matches.selection
    kept = np.flatnonzero(image >= 0)
    position = np.append(np.cumsum(inside, dtype=np.int32) - 1, np.int32(UNMATCHED))
    counts = matches.counts & inside[:, None]
    number = len(matches.num_objects)
    return Matches(
        selection=Selection(
            selection.row[kept],
            np.searchsorted(kept, selection.start),
            None if selection.rank is None else selection.rank[kept],
        ),
        true_positive=matches.true_positive[kept],
        ignored=matches.ignored[kept],
        taken=position[matches.taken[kept]],
        num_objects=np.column_stack([np.bincount(objects.category[of], minlength=number) for of in counts.T]),
        counts=matches.counts[inside],
    )
