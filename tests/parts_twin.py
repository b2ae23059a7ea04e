"""The metrics of detections in parts, the way that a report in parts computes them, but all in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import BytesIO

import numpy as np

from longtail_cli.evaluation.detections import DetectionMetrics, Evaluation
from longtail_cli.evaluation.parts.counting import COUNTED_COLUMNS, CountFalse, FalseCounts
from longtail_cli.evaluation.parts.merged import merged, merged_thresholds
from longtail_cli.evaluation.parts.ordered import metrics_in_order
from longtail_cli.evaluation.parts.resamples import CurveStore
from longtail_cli.evaluation.parts.rows import MatchedRows, Whole, matched_rows
from longtail_cli.evaluation.parts.share import Rules, ShareMetrics, share_metrics
from longtail_cli.evaluation.reliability import are_confidences
from longtail_cli.files.results.rows import masks_at
from longtail_cli.metrics import Thresholds
from longtail_cli.tables import Detections
from longtail_cli.workflow.image_subset import truth_of


def rows_of_parts(evaluation: Evaluation, seen: Detections, part: Sequence[int], parts: int) -> list[MatchedRows]:
    """The rows of each of `parts` parts. part: that of each image."""
    return [_rows(evaluation, seen, np.array(part) == number) for number in range(parts)]


def _rows(evaluation: Evaluation, seen: Detections, keep: np.ndarray) -> MatchedRows:
    """keep: bool [I], the images of the part."""
    truth = truth_of(evaluation.ground_truth, keep)
    own = Evaluation.prepare(truth, evaluation.protocol, evaluation.iou_type, evaluation.groups, evaluation.options)
    row = np.flatnonzero(keep[seen.image])
    detections = replace(
        seen,
        image=(np.cumsum(keep) - 1)[seen.image[row]].astype(np.int32),
        masks=None if seen.masks is None else masks_at(seen.masks, row),
        within_limit=None if seen.within_limit is None else seen.within_limit[row],
        **{name: getattr(seen, name)[row] for name in ("category", "score", "bbox", "area")},
    )
    objects = np.flatnonzero(keep[evaluation.objects.image]).astype(np.int32)
    return matched_rows(own, detections, own.candidates(detections), Whole(np.flatnonzero(keep), objects, row))


def in_parts(
    evaluation: Evaluation,
    seen: Detections,
    part: Sequence[int],
    parts: int,
    buckets: int,
    seed: int,
    most_rows: int | None = None,
) -> DetectionMetrics:
    """As `evaluation.metrics`. part: that of each image. seed: of the order in which rows arrive at the buckets.

    most_rows: buckets with more rows are reduced in pieces of at most so many; None for no such buckets.
    """
    tables, store = rows_of_parts(evaluation, seen, part, parts), CurveStore(BytesIO())
    shares = [one.with_curves_in(store) for one in _shares(evaluation, tables, buckets, seed, most_rows)]
    rules = Rules.of(evaluation)
    return merged(rules, shares, _counts(rules, shares, tables), confident=are_confidences(seen.score))


def thresholds_in_parts(
    evaluation: Evaluation,
    seen: Detections,
    part: Sequence[int],
    parts: int,
    buckets: int,
    seed: int,
    most_rows: int | None = None,
) -> Thresholds:
    """As `thresholds`; parameters as of `in_parts`."""
    tables = rows_of_parts(evaluation, seen, part, parts)
    shares = _shares(evaluation, tables, buckets, seed, most_rows)
    rules, categories = Rules.of(evaluation), evaluation.ground_truth.categories
    return merged_thresholds(rules, shares, _counts(rules, shares, tables), categories)


def _shares(
    evaluation: Evaluation, tables: list[MatchedRows], buckets: int, seed: int, most_rows: int | None
) -> list[ShareMetrics]:
    rules, joined, rng = Rules.of(evaluation), MatchedRows.joined(tables), np.random.default_rng(seed)
    joined, shares = joined.at(rng.permutation(len(joined))), list[ShareMetrics]()
    for own in (np.arange(first, rules.categories, buckets) for first in range(min(buckets, rules.categories))):
        rows = joined.at(np.isin(joined.category, own))
        if most_rows is None or len(rows) <= most_rows:
            shares.append(share_metrics(rules, own, rows))
        else:
            shares += metrics_in_order(rules, own, pieces_of(rows, most_rows, rng), BytesIO)
    return shares


def pieces_of(rows: MatchedRows, most_rows: int, rng: np.random.Generator) -> Iterator[MatchedRows]:
    """Pieces of up to `most_rows` rows that come one after another in the order of evaluation, each in any order."""
    order = np.lexsort((rows.tie, -rows.score, rows.category))
    while len(order):
        number = int(rng.integers(0, most_rows + 1))
        yield rows.at(rng.permutation(order[:number]))
        order = order[number:]


def _counts(rules: Rules, shares: list[ShareMetrics], tables: list[MatchedRows]) -> FalseCounts:
    count = CountFalse.of(rules, shares)
    return count.total(count(*(one.columns[name] for name in COUNTED_COLUMNS)) for one in tables)


def assert_equal(one: DetectionMetrics, other: DetectionMetrics) -> None:
    """To the last bit, and with the names of the resamples in the same order."""
    assert replace(one, resampled=None) == replace(other, resampled=None)
    assert (one.resampled is None) == (other.resampled is None)
    if one.resampled is not None and other.resampled is not None:
        assert list(one.resampled) == list(other.resampled)
        for name, values in one.resampled.items():
            np.testing.assert_array_equal(values, other.resampled[name], err_msg=name, strict=True)
