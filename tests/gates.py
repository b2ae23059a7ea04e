"""Runs and gates for the tests of gates."""

from dataclasses import replace

from reports import run

from longtail_cli.reports.gates.judging import judge
from longtail_cli.reports.gates.limits import parse_gate
from longtail_cli.reports.model import Baseline, GroupSize

SIZES = {"all": GroupSize(1203, 19809, 244707), "r": GroupSize(337, 400, 1205), "c": GroupSize(1, 2, 1),
         "f": GroupSize(0, 0, 0)}  # fmt: skip


def detector(name="after", *, intervals=(), deltas=(), **metrics):
    """A run with these metrics of boxes."""
    one = run(name, 0.0)
    of_boxes = {"bbox": {**one.metrics["bbox"], **metrics}}
    return replace(one, metrics=of_boxes, intervals=dict(intervals), deltas=dict(deltas))


def gate(text, kind="fail-under"):
    return parse_gate(kind, text, f"`{kind.replace('-', '_')}=`")


def judged(found, *gates, on="value", allow_undefined=False, runs=()):
    return judge(found, gates, on=on, allow_undefined=allow_undefined, runs=runs)


def with_baseline(found, base, *differences):
    return replace(found, baseline=Baseline("baseline.json", base, differences))
