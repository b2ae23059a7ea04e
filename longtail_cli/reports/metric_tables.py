"""The metrics of the runs as tables, one row per run, with their differences to the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from longtail_cli.metrics import Classification, Metrics, Tide, TideGains, Value, Values
from longtail_cli.reports.format import GROUP_TITLES, Table, difference, percent, shown
from longtail_cli.reports.model import GroupSize, Run
from longtail_cli.reports.short_names import short_names

Side = tuple[str, Run]
"""Title and run."""

AP_COLUMNS = ("AP", "AP50", "AP75", "APr", "APc", "APf")
TIDE_COLUMNS = ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss", "FalsePos", "FP@R60")
ACCURACIES = ("top-1", "top-5", "balanced", "many", "medium", "few")
CALIBRATION = ("ECE", "class-wise ECE", "NLL", "Brier")
SLICE_ACCURACIES = {"balanced": "balanced", "top1": "top-1", "many": "many", "medium": "medium", "few": "few",
                    "ece": "ECE"}  # fmt: skip
"""The metrics of a classifier in tables of slices, by name, with their titles."""
SLICE_METRIC = {"classification": "balanced", "bbox": "AP", "segm": "AP"}
"""The metric of a slice whose difference and interval are shown, by kind."""
NESTED = {"APfixed": "Fixed AP", "APpool": "Pooled AP"}

_OF_GROUPS = frozenset({"APr", "APc", "APf", "many", "medium", "few"})
TITLE_WIDTH = 40
"""Columns of the name of a run in a title."""


@dataclass(frozen=True, slots=True)
class Sides:
    """The runs of a report as they are shown: in the order given, after the run of a baseline."""

    shown: Sequence[Side]
    reference: Run
    """One of them, which differences are taken to."""

    def table(
        self,
        title: str,
        values_of: Callable[[Run], Values],
        columns: Sequence[str] | None = None,
        *,
        compared: bool = True,
    ) -> Table:
        """One row per run: the values of these columns, and their differences to the reference.

        values_of: the metrics of a run by name; empty if it has none. columns: None for all those of the last run,
        since a baseline may lack some. compared: whether to show differences. A reference without any of these metrics
        is omitted, and so are the differences; and so are the columns of frequency groups if no run defines one.
        """
        found = [(name, run, values_of(run)) for name, run in self.shown]
        known = columns or tuple(found[-1][2])
        grouped = any(values.get(key) is not None for _, _, values in found for key in _OF_GROUPS)
        names = [key for key in known if key in found[-1][2] and (grouped or key not in _OF_GROUPS)]
        base = values_of(self.reference)
        lacking = not any(key in base for key in names)
        kept = [(name, run, values) for name, run, values in found if not (lacking and run is self.reference)]
        rows = tuple((name, *(shown(key, values.get(key)) for key in names)) for name, _, values in kept)
        if not compared or lacking or len(kept) < 2:
            return Table(title, ("run", *names), rows)
        changes = tuple(
            ("", *("" if run is self.reference else change(key, values.get(key), base.get(key)) for key in names))
            for _, run, values in kept
        )
        return Table(f"{title}; {self.against}", ("run", *names), rows, changes=changes)

    @property
    def against(self) -> str:
        """For titles, what differences are to."""
        titled = zip(self.titles, self.shown, strict=True)
        name = next(title for title, (_, run) in titled if run is self.reference)
        return f'differences are to "{name}"'

    @property
    def titles(self) -> list[str]:
        """The names of the runs, short enough for titles."""
        return short_names([name for name, _ in self.shown], TITLE_WIDTH)


def change(name: str, value: Value, base: Value) -> str:
    """The difference of two values of a metric with its sign; empty if either is undefined."""
    return "" if value is None or base is None else difference(name, value, base)


def ap_table(title: str, iou_type: str, sides: Sides, columns: Sequence[str] | None) -> Table:
    """AP and so on; all metrics, the main ones first, unless `columns` says which."""
    found = _flat(sides.shown[-1][1].metrics[iou_type])
    every = (*(name for name in AP_COLUMNS if name in found), *(name for name in found if name not in AP_COLUMNS))
    return sides.table(f"{title}, percent", lambda run: _flat(run.metrics.get(iou_type, {})), columns or every)


def nested_tables(title: str, iou_type: str, sides: Sides) -> list[Table]:
    """Fixed and pooled AP, as far as the runs have them."""

    def values_of(key: str, run: Run) -> Values:
        found = run.metrics.get(iou_type, {}).get(key)
        return found if isinstance(found, Mapping) else {}

    return [
        sides.table(f"{title}, {name}, percent", partial(values_of, key))
        for key, name in NESTED.items()
        if values_of(key, sides.shown[-1][1])
    ]


def tide_tables(title: str, iou_type: str, sides: Sides, columns: Sequence[str] | None) -> list[Table]:
    """The breakdown over all categories without differences, or if `columns` is None, all of it with differences.

    All of it is the breakdown over all categories, then by group. A breakdown by another protocol is not compared.
    """
    last = sides.shown[-1][1].tide.get(iou_type)
    if last is None:
        return []
    name = f"{title}, TIDE ({last.protocol})"
    gain = "AP50 gain from fixing each error, percent"
    counts = "; FP@R40 and FP@R60 are counts" if last.false_positives else ""

    def gains_of(group: str | None, run: Run) -> dict[str, Value]:
        tide = run.tide.get(iou_type)
        if tide is None or tide.protocol != last.protocol:
            return {}
        return _gains(tide if group is None else tide.groups.get(group))

    if columns is not None:
        count = "; FP@R60 is a count" if last.false_positives else ""
        own_ap = ("AP50",) if last.protocol == "tidecv" else ()  # in `aligned` mode it is that of the report
        return [sides.table(f"{name}: {gain}{count}", partial(gains_of, None), (*own_ap, *columns), compared=False)]
    titles = {group: f"{name}, {GROUP_TITLES.get(group, group)} categories" for group in last.groups}
    return [
        sides.table(f"{name}: {gain}{counts}", partial(gains_of, None)),
        *(sides.table(f"{part}: {gain}{counts}", partial(gains_of, group)) for group, part in titles.items()),
    ]


def reliability_tables(title: str, iou_type: str, sides: Sides) -> list[Table]:
    """D-ECE and LaECE over all categories and by group; errors at another IoU threshold are not compared."""
    last = sides.shown[-1][1].reliability.get(iou_type)
    if last is None:
        return []

    def errors_of(name: str, run: Run) -> dict[str, Value]:
        found = run.reliability.get(iou_type)
        if found is None or found.iou_threshold != last.iou_threshold:
            return {}
        return {GROUP_TITLES.get(group, group): errors.get(name) for group, errors in found.errors.items()}

    of_scores = f"of the scores at IoU {last.iou_threshold:.2f}, mean over categories, percent"
    return [sides.table(f"{title}, {name} {of_scores}", partial(errors_of, name)) for name in last.errors["all"]]


def classification_table(title: str, sides: Sides, columns: Sequence[str] | None) -> Table:
    """The metrics over all rows; all of them unless `columns` says which."""
    return sides.table(title, lambda run: _classification_metrics(run.classification), columns)


def confusion_tables(runs: Sequence[Run], titles: Sequence[str]) -> list[Table]:
    """For each run with groups one table, with a row per true group; its columns are the groups that receive scores."""
    found = [(title, run.classification) for title, run in zip(titles, runs, strict=True)]
    return [_confusion(title, one.confusion) for title, one in found if one is not None and one.confusion]


def slice_tables(title: str, kind: str, sides: Sides, sizes: Mapping[str, GroupSize]) -> list[Table]:
    """One row per slice and run: its number of images, its main metrics, and the difference of `SLICE_METRIC`.

    kind: ``bbox``, ``segm`` or ``classification``. sizes: by name of the slice, in order. No table without slices.
    """
    titles = SLICE_ACCURACIES if kind == "classification" else dict(zip(AP_COLUMNS, AP_COLUMNS, strict=True))
    every = [run.slices.get(name, {}).get(kind, {}) for name in sizes for _, run in sides.shown]
    columns = {key: column for key, column in titles.items() if any(key in found for found in every)}
    metric = SLICE_METRIC[kind]
    rows, changes = [], []
    for name, size in sizes.items():
        base = _flat(sides.reference.slices.get(name, {}).get(kind, {}))
        for side, run in sides.shown:
            found = _flat(run.slices.get(name, {}).get(kind, {}))
            if found:
                rows.append((name, side, str(size.images), *(shown(key, found.get(key)) for key in columns)))
                moved = "" if run is sides.reference else change(metric, found.get(metric), base.get(metric))
                changes.append(("", "", "", *(moved if key == metric else "" for key in columns)))
    if not rows:
        return []
    compared = any(map(any, changes))
    against = f"; {sides.against}" if compared else ""
    counted = "" if kind == "classification" else "; images are those with objects"
    header = ("slice", "run", "images", *columns.values())
    about = f"{title}, slices, percent{counted}{against}"
    return [Table(about, header, tuple(rows), (0, 1), changes=tuple(changes) if compared else ())]


def _flat(metrics: Metrics) -> dict[str, Value]:
    return {name: value for name, value in metrics.items() if not isinstance(value, Mapping)}


def _gains(gains: TideGains | Tide | None) -> dict[str, Value]:
    return {} if gains is None else {"AP50": gains.AP50, **gains.main, **gains.special, **gains.false_positives}


def _classification_metrics(found: Classification | None) -> dict[str, Value]:
    if found is None:
        return {}
    return {
        "top-1": found.top1,
        "top-5": found.top5,
        "balanced": found.balanced,
        "many": found.many,
        "medium": found.medium,
        "few": found.few,
        "ECE": found.ece,
        "class-wise ECE": found.classwise_ece,
        "NLL": found.nll,
        "Brier": found.brier,
    }


def _confusion(title: str, confusion: Mapping[str, Values]) -> Table:
    rows = [(true, *map(percent, given.values())) for true, given in confusion.items()]
    header = ("true group", *(f"to {group}" for group in next(iter(confusion.values()))))
    return Table(f"Mass of the scores by group, percent, {title}", header, tuple(rows))
