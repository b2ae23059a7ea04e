"""A metric of a run as text, with its interval and its difference to the reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from longtail_cli.metrics import Interval, Value
from longtail_cli.reports.format import between, between_signed, difference, shown
from longtail_cli.reports.metric_names import lower_is_better
from longtail_cli.reports.model import Report, Run
from longtail_cli.reports.reliance import is_withheld
from longtail_cli.reports.text_tables import WITHHELD

Trend = Literal["gain", "loss", "same"]


@dataclass(frozen=True, slots=True)
class Measured:
    """A metric of a run as text; parts that do not apply are empty."""

    value: str
    interval: str
    """95%, ``20.00 to 40.00``, or ``withheld``."""
    change: str
    """Difference to the reference; empty for the reference itself."""
    change_interval: str
    """Of the difference."""
    p_value: str
    """Of the difference, ``p = 0.03``."""
    trend: Trend
    """``gain`` if the run is better than the reference, ``loss`` if it is worse, and ``same`` if the difference is
    shown as 0, or its interval contains 0 or is withheld."""

    @property
    def span(self) -> str:
        """The interval in the least space, ``20.00\N{EN DASH}40.00``."""
        return self.interval.replace(" to ", "\N{EN DASH}")

    def sentence(self, about: str) -> str:
        """All parts, one per line, below a line that says what they are about."""
        lines = [f"{about}: {self.value}"]
        lines += [f"95% interval: {self.interval}"] if self.interval else []
        lines += [f"difference: {self.change}"] if self.change else []
        lines += [f"its 95% interval: {self.change_interval}"] if self.change_interval else []
        return "\n".join([*lines, self.p_value] if self.p_value else lines)


def measured(report: Report, run: Run, name: str, value: Value, base: Value) -> Measured:
    """The metric `name` of a run. base: that of the reference."""
    metric = name.rpartition("/")[2]
    none = WITHHELD if value is not None and is_withheld(report, name) else ""
    compared = run is not report.reference and base is not None and value is not None
    p_value = run.p_values.get(name)
    return Measured(
        value=shown(metric, value),
        interval=_interval(between(metric, run.intervals.get(name)), run.intervals.get(name), none),
        change=difference(metric, value, base) if compared else "",
        change_interval=_interval(between_signed(metric, run.deltas.get(name)), run.deltas.get(name), none)
        if compared
        else "",
        p_value=f"p = {p_value:.3g}" if compared and p_value is not None else "",
        trend=_trend(report, run, name, value, base) if compared else "same",
    )


def _interval(text: str, interval: Interval | None, none: str) -> str:
    return none if interval is None else text


def _trend(report: Report, run: Run, name: str, value: Value, base: Value) -> Trend:
    delta = run.deltas.get(name)
    if value is None or base is None or not difference(name.rpartition("/")[2], value, base).strip("+0."):
        return "same"
    if is_withheld(report, name) if delta is None else delta.low <= 0 <= delta.high:
        return "same"
    return "gain" if (value > base) != lower_is_better(name) else "loss"
