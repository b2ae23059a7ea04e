"""Invariants of gates for any metric and interval."""

from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st
from reports import report, run

from longtail_cli.choices import GATE_KINDS
from longtail_cli.metrics import Interval
from longtail_cli.reports.gates.judging import judge
from longtail_cli.reports.gates.limits import Gate, parse_gate

values = st.floats(0, 1)
limits = st.floats(0, 1)
kinds = st.sampled_from(GATE_KINDS)
CLEAR = 1e-9


def outcome(kind, limit, base, value, *, on="value", interval=None, relative=False):
    """The verdict on a run of this AP after one of `base`; interval: of what the gate judges."""
    before, after = (replace(run(name, 0.0), metrics={"bbox": {"AP": ap}}) for name, ap in (("a", base), ("b", value)))
    if interval is not None:
        after = replace(after, intervals={"bbox/AP": interval}, deltas={"bbox/AP": interval})
    gate = Gate(kind, "bbox/AP", limit, relative, repr(limit))
    verdicts = judge(report(before, after), [gate], on=on, allow_undefined=False, runs=("b",))
    return verdicts[0].outcome


def excess(kind, limit, base, value):
    """How far a metric is beyond the limit; below 0 if it is not."""
    found = {"fail-under": limit - value, "fail-over": value - limit}
    return (found | {"max-drop": base - value - limit, "max-rise": value - base - limit})[kind]


@given(kinds, limits, values, values)
def test_by_value_a_metric_fails_if_and_only_if_it_is_beyond_its_limit(kind, limit, base, value):
    beyond = excess(kind, limit, base, value)
    assume(abs(beyond) > CLEAR)
    assert outcome(kind, limit, base, value) == ("failed" if beyond > 0 else "passed")


@given(kinds, st.integers(0, 10_000), st.integers(0, 10_000))
def test_by_value_equality_passes_however_it_is_rounded(kind, base, step):
    down = kind == "max-drop"
    assume(step <= base if down else base + step <= 10_000)
    value = (base - step if down else base + step) / 10_000
    limit = step / 10_000 if kind.startswith("max") else value
    assert outcome(kind, limit, base / 10_000, value) == "passed"
    text = f"bbox/AP={limit:.4f}"
    assert parse_gate(kind, text, "`option=`").limit == limit


@given(kinds, limits, values, values)
def test_a_relative_limit_is_a_share_of_the_reference(kind, share, base, value):
    assume(kind.startswith("max"))
    assume(abs(excess(kind, share * base, base, value)) > CLEAR)
    assert outcome(kind, share, base, value, relative=True) == outcome(kind, share * base, base, value)


@given(kinds, limits, values, values, st.tuples(st.floats(-1, 1), st.floats(-1, 1)))
def test_by_interval_is_never_stricter_than_by_value(kind, limit, base, value, ends):
    interval = Interval(min(ends), max(ends))
    assume(outcome(kind, limit, base, value) == "passed")
    assert outcome(kind, limit, base, value, on="interval", interval=interval) == "passed"


@given(kinds, limits, values, values, values, values)
def test_by_interval_fails_if_and_only_if_the_whole_interval_is_beyond(kind, limit, base, value, below, above):
    observed = value - base if kind.startswith("max") else value
    interval = Interval(observed - below, observed + above)
    nearest = above if kind in ("fail-under", "max-drop") else below
    beyond = excess(kind, limit, base, value) - nearest
    assume(abs(beyond) > CLEAR)
    expected = "failed" if beyond > 0 else "passed"
    assert outcome(kind, limit, base, value, on="interval", interval=interval) == expected


@given(kinds, limits, values, values)
def test_by_interval_of_no_width_is_by_value(kind, limit, base, value):
    observed = value - base if kind.startswith("max") else value
    interval = Interval(observed, observed)
    assert outcome(kind, limit, base, value, on="interval", interval=interval) == outcome(kind, limit, base, value)


@given(st.sampled_from(("fail-under", "max-drop")), st.decimals(0, 1, places=6))
def test_the_text_of_a_limit_is_kept(kind, limit):
    gate = parse_gate(kind, f"bbox/AP={limit}", "`option=`")
    assert (gate.written, gate.limit) == (str(limit), float(limit))
