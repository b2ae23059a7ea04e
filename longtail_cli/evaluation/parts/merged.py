"""The metrics of all categories, from those of their shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from longtail_cli.evaluation import summary, tide
from longtail_cli.evaluation.average_precision import Curves, pooled_ap
from longtail_cli.evaluation.bootstrap import metrics as bootstrap
from longtail_cli.evaluation.bootstrap.resampling import Resampled, Weightings, resampled
from longtail_cli.evaluation.detections import DetectionMetrics
from longtail_cli.evaluation.false_positives import FALSE_POSITIVES
from longtail_cli.evaluation.matching import Matches, counts_of
from longtail_cli.evaluation.parts import resamples
from longtail_cli.evaluation.parts.counting import FalseCounts
from longtail_cli.evaluation.parts.resamples import FIXED, HEADLINE, TIDE
from longtail_cli.evaluation.parts.share import Rules, ShareMetrics
from longtail_cli.evaluation.protocol import AREA_NAMES, IOU_THRESHOLDS
from longtail_cli.evaluation.reliability import BINS, ReliabilityResult, of_sums
from longtail_cli.evaluation.selection import Scored, Selection
from longtail_cli.evaluation.thresholds import CategoryPoints, best_points, described
from longtail_cli.metrics import Thresholds, Tide, Value
from longtail_cli.tables import Categories, Floats


def merged(rules: Rules, shares: Sequence[ShareMetrics], counts: FalseCounts, *, confident: bool) -> DetectionMetrics:
    """The metrics of one run and one IoU type, equal to `Evaluation.metrics` to the last bit.

    shares: of all categories, each once, at least one. counts: `CountFalse` of these shares, of all rows.
    confident: whether all scores of the run are confidences (`reliability.are_confidences`).
    """
    reduced = _curves(rules, shares)
    ranked = {
        rank: _joined([one.ranked[rank] for one in shares], shares, rules)
        for rank in summary.RANKS[rules.protocol.name]
    }
    pooled = _pooled_rows(rules, shares)
    calibration = _calibration(rules, shares, confident=confident)
    per_category = summary.per_category(reduced, rules.protocol) if rules.options.per_category else None
    if per_category is not None and calibration is not None:
        per_category = [own | errors for own, errors in zip(per_category, calibration.per_category, strict=True)]
    return DetectionMetrics(
        headline=summary.headline(reduced, ranked, rules.protocol, rules.groups),
        fixed=_fixed(rules, shares),
        pooled=None if pooled is None else pooled_ap(*pooled, rules.groups),
        tide=_tide(rules, shares, counts),
        reliability=None if calibration is None else calibration.metrics,
        per_category=per_category,
        resampled=None if rules.draws is None else _resampled(rules, shares, rules.draws, pooled),
    )


def _curves(rules: Rules, shares: Sequence[ShareMetrics]) -> Curves:
    ap, recall = np.full((2, len(IOU_THRESHOLDS), rules.categories, len(AREA_NAMES)), np.nan)
    for one in shares:
        ap[:, one.category], recall[:, one.category] = one.curves.ap, one.curves.recall
    return Curves(ap, recall)


def _joined(parts: Sequence[Floats], shares: Sequence[ShareMetrics], rules: Rules) -> Floats:
    """float64 [10, C] from [10, c] of each share."""
    found = np.full((len(IOU_THRESHOLDS), rules.categories), np.nan)
    for part, one in zip(parts, shares, strict=True):
        found[:, one.category] = part
    return found


def _fixed(rules: Rules, shares: Sequence[ShareMetrics]) -> dict[str, Value] | None:
    parts = [one.fixed for one in shares if one.fixed is not None]
    return summary.grouped_ap(_joined(parts, shares, rules), rules.groups) if parts else None


def _pooled_rows(rules: Rules, shares: Sequence[ShareMetrics]) -> tuple[Scored, Matches] | None:
    """The detections for pooled AP, and their matches over all sizes, as one table."""
    parts = [one.pooled for one in shares if one.pooled is not None]
    if not parts:
        return None
    category, image, score, true_positive, ignored = (
        np.concatenate([getattr(one, name) for one in parts])
        for name in ("category", "image", "score", "true_positive", "ignored")
    )
    counts = counts_of(rules.objects)
    number = [np.bincount(rules.objects.category[of], minlength=rules.categories) for of in counts.T]
    matches = Matches(
        Selection(np.arange(len(score)), np.zeros(0, np.int64), None), true_positive[:, None], ignored[:, None],
        np.zeros(0, np.int32), np.column_stack(number), counts,
    )  # fmt: skip
    return Scored(image, category, score), matches


def _calibration(rules: Rules, shares: Sequence[ShareMetrics], *, confident: bool) -> ReliabilityResult | None:
    if not rules.options.reliability:
        return None
    sums = np.zeros((rules.categories, BINS, 4))
    for one in shares:
        if confident and one.calibration is not None:
            sums[one.category] = one.calibration
    return of_sums(sums, rules.groups)


def _resampled(
    rules: Rules, shares: Sequence[ShareMetrics], draws: Weightings, pooled: tuple[Scored, Matches] | None
) -> Resampled:
    """By the names of `DetectionMetrics.resampled`."""
    protocol, groups = rules.protocol, rules.groups

    def found(name: str, values: Callable[[bootstrap.LaneCurves], list[dict[str, Value]]], prefix: str) -> Resampled:
        curves = [one.resampled[name] for one in shares if name in one.resampled]
        lanes = resamples.resampled(curves, values, draws.number, rules.categories) if curves else {}
        return {prefix + metric: one for metric, one in lanes.items()}

    prefix = f"{rules.iou_type}/"
    of_pool = {} if pooled is None else resampled(bootstrap.pooled(pooled[0], rules.objects, pooled[1], groups), draws)
    return (
        found(HEADLINE, lambda lanes: bootstrap.headline_values(lanes, protocol, groups), prefix)
        | found(FIXED, lambda lanes: bootstrap.fixed_values(lanes, groups), f"{prefix}APfixed/")
        | {f"{prefix}APpool/{name}": values for name, values in of_pool.items()}
        | found(TIDE, lambda lanes: bootstrap.tide_values(lanes, groups), f"tide/{prefix}")
    )


def _tide(rules: Rules, shares: Sequence[ShareMetrics], counts: FalseCounts) -> Tide | None:
    parts = [one.tide for one in shares if one.tide is not None]
    if not parts:
        return None
    ap = {name: np.full(rules.categories, np.nan) for name in parts[0]}
    for share, part in zip(shares, parts, strict=True):
        for name, values in part.items():
            ap[name][share.category] = values
    members = {"": np.ones(rules.categories, bool), **rules.groups}
    gains = {}
    for name, member in members.items():
        false = {metric: counts.above[name].get(metric) for metric in FALSE_POSITIVES}
        gains[name] = replace(tide.gains(ap, tide.ALIGNED, member), false_positives=false)
    overall = gains.pop("")
    return Tide("aligned", overall.AP50, overall.main, overall.special, gains, overall.false_positives)


def merged_thresholds(
    rules: Rules, shares: Sequence[ShareMetrics], counts: FalseCounts, categories: Categories
) -> Thresholds:
    """The thresholds of one run and one IoU type, equal to `thresholds.thresholds` to the last bit.

    shares: of all categories, each once, at least one. counts: as for `merged`.
    """
    points: dict[int, CategoryPoints] = {}
    for one in shares:
        points |= zip(one.category.tolist(), one.points or (), strict=True)
    found = [one.true_positives for one in shares if one.true_positives is not None]
    category, score = (np.concatenate([getattr(one, name) for one in found]) for name in ("category", "score"))
    assert counts.between is not None
    gap = np.concatenate([one.gap for one in found if one.gap is not None])
    order = np.argsort(category, kind="stable")
    above = np.cumsum(counts.between[::-1])[:-1]  # by threshold, from high to low
    objects = int(counts_of(rules.objects)[:, 0].sum())
    together = best_points(score[order], gap[order], lambda _: above, int(counts.between.sum()), objects)
    return described([points[c] for c in range(rules.categories)], together, categories, rules.groups)
