"""Intervals of metrics and of differences, from resamples."""

from dataclasses import replace

import numpy as np
from reports import report, run

from longtail_cli.metrics import Interval
from longtail_cli.workflow.intervals import intervals_of, with_deltas

SPREAD = np.linspace(-0.5, 0.5, 101)


def test_an_interval_stays_within_the_range_of_the_metric():
    one = run("one", 0.0)
    found = intervals_of(
        one, {"bbox/AP": 0.25 + SPREAD, "tide/bbox/Bkg": SPREAD, "bbox/AP50": np.full(101, 0.5)}, report(one)
    )
    assert found["bbox/AP"].low == 0.0
    assert found["tide/bbox/Bkg"].low < -0.4  # a gain may be negative
    assert found["bbox/AP50"] == Interval(0.5, 0.5)


def test_undefined_metrics_have_no_interval():
    one = run("one", 0.0)
    assert intervals_of(one, {"bbox/APr": np.full(5, np.nan)}, report(one)) == {}


def test_differences_are_paired_resample_by_resample():
    before, after = run("before", 0.0), run("after", 0.125)
    found = with_deltas(after, {"bbox/AP": 0.375 + SPREAD}, before, {"bbox/AP": 0.25 + SPREAD}, report(before))
    assert found.deltas == {"bbox/AP": Interval(0.125, 0.125)}  # although each of the two varies widely


def test_metrics_missing_from_one_run_have_no_difference():
    before, after = run("before", 0.0), run("after", 0.125)
    bare = replace(before, metrics={"bbox": {}})
    assert with_deltas(after, {"bbox/AP": SPREAD}, bare, {"bbox/AP": SPREAD}, report(before)).deltas == {}
