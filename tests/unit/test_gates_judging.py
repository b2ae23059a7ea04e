"""The verdicts of gates, and the exit code of the build."""

from dataclasses import replace

import pytest
from gates import SIZES, detector, gate, judged, with_baseline
from reports import report

from longtail_cli.errors import GateError, NotComparableError, UsageError
from longtail_cli.metrics import Interval
from longtail_cli.reports.gates.judging import outcome_error
from longtail_cli.reports.model import Bootstrap, GroupSize

# By value


@pytest.mark.parametrize(
    ("kind", "text", "value", "outcome"),
    [
        ("fail-under", "bbox/APr=0.18", 0.1799, "failed"),
        ("fail-under", "bbox/APr=0.18", 0.18, "passed"),
        ("fail-under", "bbox/APr=0.3", 0.1 + 0.1 + 0.1, "passed"),
        ("fail-over", "bbox/APr=0.18", 0.1801, "failed"),
        ("fail-over", "bbox/APr=0.18", 0.18, "passed"),
        ("fail-over", "bbox/APr=0.3", 0.1 + 0.2, "passed"),
    ],
)
def test_a_metric_on_its_limit_passes(kind, text, value, outcome):
    (verdict,) = judged(report(detector(APr=value)), gate(text, kind))
    assert (verdict.outcome, verdict.allowed) == (outcome, outcome == "passed")
    assert (verdict.run, verdict.kind, verdict.metric, verdict.value) == ("after", kind, "bbox/APr", value)
    assert (verdict.base, verdict.interval) == (None, None)


@pytest.mark.parametrize(
    ("kind", "limit", "base", "value", "outcome"),
    [
        ("max-drop", "0.002", 0.3, 0.298, "passed"),  # 0.3 - 0.298 is 0.0020000000000000018
        ("max-drop", "0.002", 0.3, 0.2979, "failed"),
        ("max-drop", "0.002", 0.3, 0.9, "passed"),
        ("max-drop", "0", 0.1 + 0.2, 0.3, "passed"),
        ("max-drop", "1%", 0.3, 0.297, "passed"),
        ("max-drop", "1%", 0.3, 0.2969, "failed"),
        ("max-rise", "0.1", 0.7, 0.8, "passed"),  # 0.8 - 0.7 is 0.10000000000000009
        ("max-rise", "0.1", 0.7, 0.8001, "failed"),
        ("max-rise", "0.1", 0.7, 0.2, "passed"),
        ("max-rise", "50%", 0.2, 0.3, "passed"),
        ("max-rise", "50%", 0.2, 0.3001, "failed"),
        ("max-rise", "50%", 0.0, 0.0, "passed"),
        ("max-rise", "50%", 0.0, 0.0001, "failed"),
        ("max-drop", "10%", -0.1, -0.11, "passed"),  # a share of the magnitude: gains of TIDE can be below 0
        ("max-drop", "10%", -0.1, -0.12, "failed"),
    ],
)
def test_a_difference_on_its_limit_passes(kind, limit, base, value, outcome):
    found = report(detector("before", APr=base), detector("after", APr=value))
    (verdict,) = judged(found, gate(f"bbox/APr={limit}", kind))
    assert (verdict.run, verdict.outcome, verdict.value, verdict.base) == ("after", outcome, value, base)


def test_every_run_is_judged_or_only_the_named_ones():
    found = report(detector("a", APr=0.1), detector("b", APr=0.2), detector("c", APr=0.3))
    assert [verdict.outcome for verdict in judged(found, gate("bbox/APr=0.2"))] == ["failed", "passed", "passed"]
    assert [verdict.run for verdict in judged(found, gate("bbox/APr=0.2"), runs=("c", "a"))] == ["a", "c"]
    with pytest.raises(UsageError, match="expected one of a, b, c, found d"):
        judged(found, gate("bbox/APr=0.2"), runs=("a", "d"))


def test_without_gates_there_are_no_verdicts():
    assert judged(report(detector())) == ()


def test_gates_are_judged_on_values_or_intervals():
    with pytest.raises(
        UsageError, match="`on=`: value: expected one of value, interval, significance, found 'intervals'"
    ):
        judged(report(detector()), gate("bbox/APr=0.2"), on="intervals")


def test_runs_are_compared_with_the_first_or_with_the_baseline():
    found = report(detector("a", APr=0.3), detector("b", APr=0.2))
    drop = gate("bbox/APr=0.05", "max-drop")
    assert [(one.run, one.base, one.outcome) for one in judged(found, drop)] == [("b", 0.3, "failed")]
    based = with_baseline(found, detector("a", APr=0.25))
    assert [(one.run, one.base, one.outcome) for one in judged(based, drop)] == [
        ("a", 0.25, "passed"),
        ("b", 0.25, "passed"),
    ]


def test_absolute_and_relative_limits_can_be_combined():
    found = with_baseline(report(detector(APr=0.1975)), detector(APr=0.2))
    verdicts = judged(found, gate("bbox/APr=0.002", "max-drop"), gate("bbox/APr=2%", "max-drop"))
    assert [(one.limit, one.outcome) for one in verdicts] == [("0.002", "failed"), ("2%", "passed")]


def test_a_difference_needs_a_reference():
    drop = gate("bbox/APr=0.05", "max-drop")
    with pytest.raises(UsageError, match=r"(?s)expected a `baseline=`, or a second run.*`gate=False`") as caught:
        judged(report(detector(APr=0.3)), drop)
    assert caught.value.source == "`max_drop=`"
    with pytest.raises(UsageError, match="only a, the reference itself"):
        judged(report(detector("a"), detector("b")), drop, runs=("a",))


# By interval


@pytest.mark.parametrize(
    ("kind", "limit", "value", "interval", "outcome"),
    [
        ("fail-under", "0.18", 0.17, Interval(0.16, 0.1799), "failed"),
        ("fail-under", "0.18", 0.17, Interval(0.16, 0.18), "passed"),
        ("fail-under", "0.18", 0.185, Interval(0.16, 0.17), "passed"),  # never stricter than the value
        ("fail-over", "0.18", 0.19, Interval(0.1801, 0.2), "failed"),
        ("fail-over", "0.18", 0.19, Interval(0.18, 0.2), "passed"),
    ],
)
def test_by_interval_only_a_whole_interval_beyond_the_limit_fails(kind, limit, value, interval, outcome):
    found = report(detector(APr=value, intervals={"bbox/APr": interval}))
    (verdict,) = judged(found, gate(f"bbox/APr={limit}", kind), on="interval")
    assert (verdict.outcome, verdict.interval) == (outcome, interval)


@pytest.mark.parametrize(
    ("kind", "limit", "value", "interval", "outcome"),
    [
        ("max-drop", "0.01", 0.17, Interval(-0.05, -0.0101), "failed"),
        ("max-drop", "0.01", 0.17, Interval(-0.05, -0.01), "passed"),
        ("max-drop", "10%", 0.17, Interval(-0.05, -0.0201), "failed"),
        ("max-drop", "10%", 0.17, Interval(-0.05, -0.0199), "passed"),
        ("max-rise", "0.01", 0.23, Interval(0.0101, 0.05), "failed"),
        ("max-rise", "10%", 0.23, Interval(0.0199, 0.05), "passed"),
    ],
)
def test_by_interval_a_difference_is_judged_by_its_own_interval(kind, limit, value, interval, outcome):
    after = detector(APr=value, intervals={"bbox/APr": Interval(0.0, 1.0)}, deltas={"bbox/APr": interval})
    (verdict,) = judged(report(detector("before", APr=0.2), after), gate(f"bbox/APr={limit}", kind), on="interval")
    assert (verdict.outcome, verdict.interval) == (outcome, interval)


def test_by_value_an_interval_is_reported_but_does_not_count():
    found = report(detector(APr=0.17, intervals={"bbox/APr": Interval(0.1, 0.2)}))
    (verdict,) = judged(found, gate("bbox/APr=0.18"))
    assert (verdict.outcome, verdict.interval) == ("failed", Interval(0.1, 0.2))


def test_a_metric_without_an_interval_is_judged_by_its_value():
    (verdict,) = judged(report(detector()), gate("categories/7/bbox/AP=0.3"), on="interval")
    assert verdict.outcome == "failed"
    assert verdict.message.endswith("; it has no interval, so its value is judged")


# By interval, on few images


def on_images(found, number):
    """The report with intervals, whose metrics of rare categories rest on this many images."""
    return replace(found, bootstrap=Bootstrap(1000, 0, "00ff", {"all": 50.0, "r": number}))


@pytest.mark.parametrize(
    ("kind", "limit", "outcome"),
    [
        ("max-drop", "0.01", "withheld"),
        ("max-drop", "0.1", "passed"),
        ("fail-under", "0.18", "withheld"),
        ("fail-under", "0.1", "passed"),
    ],
)
def test_by_interval_a_metric_on_too_few_images_does_not_fail(kind, limit, outcome):
    found = on_images(report(detector("before", APr=0.2), detector("after", APr=0.15)), 2.5)
    verdict = judged(found, gate(f"bbox/APr={limit}", kind), on="interval")[-1]
    assert (verdict.run, verdict.outcome, verdict.allowed) == ("after", outcome, True)
    unjudged = ", but it is not judged: it effectively rests on 2.5 images, too few for an interval"
    assert verdict.message.endswith(unjudged) == (outcome == "withheld")
    by_value = judged(found, gate(f"bbox/APr={limit}", kind))[-1]
    assert by_value.outcome == ("failed" if outcome == "withheld" else "passed")


def test_metrics_that_never_have_intervals_are_judged_by_value_on_any_number_of_images():
    found = replace(on_images(report(detector()), 2.5), bootstrap=Bootstrap(1000, 0, "00ff", {"all": 1.0}))
    (verdict,) = judged(found, gate("categories/7/bbox/AP=0.3"), on="interval")
    assert verdict.outcome == "failed"


# By significance


def lower(**p_values):
    """Two runs, of which the second has lower metrics, with these p-values."""
    after = detector("after", AP=0.2, AP50=0.4, APr=0.1)
    p_values = {f"bbox/{name}": value for name, value in p_values.items()}
    return report(detector("before", APr=0.2), replace(after, p_values=p_values))


@pytest.mark.parametrize(
    ("limit", "p_value", "outcome"),
    [("0", 0.049, "failed"), ("0", 0.05, "passed"), ("0.09", 0.049, "failed"), ("0.11", 0.049, "passed")],
)
def test_by_significance_a_drop_beyond_the_limit_fails_with_a_small_p_value(limit, p_value, outcome):
    (verdict,) = judged(lower(APr=p_value), gate(f"bbox/APr={limit}", "max-drop"), on="significance")
    assert (verdict.outcome, verdict.p_value, verdict.p_adjusted) == (outcome, p_value, p_value)


def test_p_values_are_adjusted_for_the_gates_of_a_run():
    """Holm's procedure: the least of three is tripled, the next doubled, and none is below the one before it."""
    gates = [gate(f"bbox/{name}=0", "max-drop") for name in ("AP", "AP50", "APr")]
    found = judged(lower(AP=0.03, AP50=0.01, APr=0.02), *gates, on="significance")
    assert [one.p_adjusted for one in found] == pytest.approx([0.04, 0.03, 0.04])
    assert [one.outcome for one in found] == ["failed"] * 3
    found = judged(lower(AP=0.03, AP50=0.02, APr=0.9), *gates, on="significance")
    assert [one.p_adjusted for one in found] == pytest.approx([0.06, 0.06, 0.9])
    assert [one.outcome for one in found] == ["passed"] * 3
    assert found[2].message.startswith("bbox/APr of after is 0.1000, -0.1000 against 0.2000 of before (p = 0.9, 0.9 ")
    assert "more than the allowed drop of 0, but the difference is not significant" in found[2].message


def test_by_significance_gates_without_a_reference_are_judged_by_interval():
    after = detector(APr=0.17, intervals={"bbox/APr": Interval(0.16, 0.19)})
    (verdict,) = judged(report(after), gate("bbox/APr=0.18"), on="significance")
    assert (verdict.outcome, verdict.p_adjusted) == ("passed", None)


def test_by_significance_a_metric_without_a_p_value_is_judged_by_its_value():
    (verdict,) = judged(lower(), gate("bbox/APr=0", "max-drop"), on="significance")
    assert verdict.outcome == "failed"
    assert verdict.message.endswith("; it has no p-value, so its value is judged")


# Undefined, and not comparable


@pytest.mark.parametrize(
    ("metric", "groups", "reason"),
    [
        ("bbox/APr", {}, "no frequency groups"),
        ("bbox/APr", {"all": GroupSize(2, 3, 4)}, "no frequency groups"),
        ("bbox/APf", SIZES, "no frequent category in the data"),
        ("bbox/APr", {"c": GroupSize(2, 3, 4)}, "no rare category in the data"),
        ("bbox/APr", SIZES, "no object counts"),
        ("categories/9/bbox/AP", {}, "no object counts"),
        ("bbox/APs", {}, "no object counts"),
    ],
)
def test_an_undefined_metric_fails_with_the_reason_unless_allowed(metric, groups, reason):
    found = replace(report(detector(APr=None, APf=None, APs=None)), groups=groups)
    (verdict,) = judged(found, gate(f"{metric}=0.1"), on="interval")
    assert (verdict.outcome, verdict.allowed, verdict.value) == ("undefined", False, None)
    assert verdict.message == f"{metric} of after is undefined: {reason}"
    (verdict,) = judged(found, gate(f"{metric}=0.1"), allow_undefined=True)
    assert (verdict.outcome, verdict.allowed) == ("undefined", True)
    assert verdict.message.endswith(", which is allowed")


def test_a_metric_that_the_baseline_does_not_define_fails():
    found = with_baseline(report(detector(APr=0.2)), detector(APr=None))
    (verdict,) = judged(found, gate("bbox/APr=0.1", "max-drop"))
    assert (verdict.outcome, verdict.value, verdict.base) == ("undefined", 0.2, None)
    assert verdict.message == "bbox/APr of the baseline baseline.json is undefined: no frequency groups"


def test_gates_on_differences_do_not_pass_if_the_baseline_cannot_be_compared():
    found = with_baseline(report(detector(APr=0.2)), detector(APr=0.2), "max_dets: 300 here, 100 in the baseline")
    gates = [gate("bbox/APr=1", "max-drop"), gate("bbox/APr=100%", "max-rise"), gate("bbox/APr=0.1")]
    verdicts = judged(found, *gates, allow_undefined=True)
    assert [verdict.outcome for verdict in verdicts] == ["not comparable", "not comparable", "passed"]
    assert [verdict.allowed for verdict in verdicts] == [False, False, True]
    assert (verdicts[0].value, verdicts[0].base, verdicts[0].interval) == (0.2, None, None)
    assert verdicts[0].message == (
        "bbox/APr of after cannot be compared with the baseline baseline.json: max_dets: 300 here, 100 in the baseline"
    )


# The exit code


def ending(found, *gates, allow_undefined=False):
    return outcome_error(replace(found, gates=judged(found, *gates, allow_undefined=allow_undefined)))


def test_a_build_passes_if_every_gate_does():
    found = report(detector(APr=None))
    assert ending(found) is None
    assert ending(found, gate("bbox/AP=0.25")) is None
    assert ending(found, gate("bbox/APr=0.1"), allow_undefined=True) is None
    assert ending(with_baseline(found, detector()), gate("bbox/AP=0", "max-drop")) is None


def test_a_failed_gate_ends_it_with_exit_code_1():
    found = report(detector("before", AP=0.3, APr=None), detector("after", AP=0.2, APr=None))
    error = ending(found, gate("bbox/AP=0.1"), gate("bbox/AP=0.05", "max-drop"), gate("bbox/APr=0.1"))
    assert isinstance(error, GateError)
    assert error.exit_code == 1
    assert str(error) == (
        "gate: 3 problems\n"
        "  before, bbox/APr: expected at least 0.1, found undefined: no frequency groups\n"
        "  after, bbox/AP: expected a drop of at most 0.05 from 0.3000, found 0.2000, -0.1000 against 0.3000 of before"
        ", more than the allowed drop of 0.05\n"
        "  after, bbox/APr: expected at least 0.1, found undefined: no frequency groups\n"
        "Fix: see the tables for what changed; move a limit only on purpose, and pass `allow_undefined=True` only "
        "if the data cannot define the metric"
    )


def test_reports_that_cannot_be_compared_end_it_with_exit_code_3_first():
    found = with_baseline(report(detector(APr=0.2)), detector(), "max_dets: 300 here, 100 in the baseline")
    for gates in ([], [gate("bbox/APr=0.1")], [gate("bbox/APr=0.1", "max-drop")]):
        error = ending(found, *gates)
        assert isinstance(error, NotComparableError)
        assert error.exit_code == 3
        assert error.total == 1
    error = ending(found, gate("bbox/APr=0.9"))
    assert isinstance(error, NotComparableError)
    assert "found max_dets: 300 here, 100 in the baseline" in str(error)
    assert "after, bbox/APr: expected at least 0.9, found 0.2000, under 0.9" in str(error)
