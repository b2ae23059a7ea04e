"""Verdicts in words: the metric, its limit, what it is based on; and unknown metrics."""

from dataclasses import replace

import pytest
from gates import SIZES, detector, gate, judged, with_baseline
from reports import NOTHING, classification_report, classification_run, counting, report

from longtail_cli.errors import UsageError
from longtail_cli.metrics import CategoryMetrics, Interval, Tide
from longtail_cli.reports.model import GroupSize


def message(found, text, kind="fail-under", on="value"):
    return judged(found, gate(text, kind), on=on)[-1].message


def test_messages_state_metric_interval_limit_and_basis():
    rare = detector("after.json", APr=0.1712, intervals={"bbox/APr": Interval(0.1501, 0.1923)})
    found = replace(report(rare), groups=SIZES)
    head = "bbox/APr of after.json is 0.1712 (95% 0.1501 to 0.1923)"
    tail = "; based on 337 categories, 400 images and 1,205 ground truths"
    assert message(found, "bbox/APr=0.18") == f"{head}, under 0.18{tail}"
    assert (
        message(found, "bbox/APr=0.18", on="interval")
        == f"{head}, under 0.18, but its interval reaches back within the limit{tail}"
    )
    assert message(found, "bbox/APr=0.1") == f"{head}, not under 0.1{tail}"
    assert message(found, "bbox/APr=0.1", "fail-over") == f"{head}, over 0.1{tail}"
    assert message(found, "bbox/AP=0.18") == "bbox/AP of after.json is 0.2500, not under 0.18"


def test_messages_of_differences_state_both_metrics():
    after = detector("after", APc=0.19, deltas={"bbox/APc": Interval(-0.02, 0.001)})
    found = replace(report(detector("before", APc=0.2), after), groups=SIZES)
    head = "bbox/APc of after is 0.1900, -0.0100 against 0.2000 of before (95% -0.0200 to 0.0010)"
    tail = "; based on 1 category, 2 images and 1 ground truth"
    assert message(found, "bbox/APc=0.002", "max-drop") == f"{head}, more than the allowed drop of 0.002{tail}"
    assert message(found, "bbox/APc=0.002", "max-drop", "interval") == (
        f"{head}, more than the allowed drop of 0.002, but its interval reaches back within the limit{tail}"
    )
    assert message(found, "bbox/APc=10%", "max-drop") == f"{head}, within the allowed drop of 10% (0.0200){tail}"
    based = with_baseline(report(after), detector("old", APc=0.1))
    assert message(based, "bbox/APc=0.05", "max-rise") == (
        "bbox/APc of after is 0.1900, +0.0900 against 0.1000 of the baseline baseline.json (95% -0.0200 to 0.0010), "
        "more than the allowed rise of 0.05"
    )


def test_a_drop_that_is_none_by_chance_but_may_be_within_the_limit():
    """Zero is outside of the interval, the limit of 1% inside."""
    drop = Interval(-0.0103, -0.0038)
    found = report(detector("before", AP=0.4862), detector("after", AP=0.4793, deltas={"bbox/AP": drop}))
    (verdict,) = judged(found, gate("bbox/AP=1%", "max-drop"), on="interval")
    assert verdict.outcome == "passed"
    assert verdict.message == (
        "bbox/AP of after is 0.4793, -0.0069 against 0.4862 of before (95% -0.0103 to -0.0038), "
        "more than the allowed drop of 1% (0.0049), but its interval reaches back within the limit"
    )


def test_messages_print_as_many_digits_as_tell_the_metric_from_its_limit():
    assert message(report(detector(APr=0.17999)), "bbox/APr=0.18") == "bbox/APr of after is 0.179990, under 0.18"
    assert message(report(detector(APr=0.1 + 0.2)), "bbox/APr=0.3") == "bbox/APr of after is 0.3000, not under 0.3"


def test_counts_are_whole_numbers():
    found = report(counting(detector("before"), 331), counting(detector("after"), 364))
    head = "tide/bbox/FP@R40 of after is 364"
    assert message(found, "tide/bbox/FP@R40=300", "fail-over") == f"{head}, over 300"
    assert message(found, "tide/bbox/FP@R40=20", "max-rise") == (
        f"{head}, +33 against 331 of before, more than the allowed rise of 20"
    )
    assert message(found, "tide/bbox/FP@R40=10%", "max-rise") == (
        f"{head}.0, +33.0 against 331.0 of before, within the allowed rise of 10% (33.1)"
    )


def test_a_count_at_a_recall_that_is_not_reached_is_undefined():
    found = replace(report(counting(detector(), 331)), groups=SIZES)
    reason = "is undefined: recall 0.6 is not reached"
    assert message(found, "tide/bbox/FP@R60=300", "fail-over") == f"tide/bbox/FP@R60 of after {reason}"
    assert message(found, "tide/bbox/r/FP@R60=300", "fail-over") == f"tide/bbox/r/FP@R60 of after {reason}"


@pytest.mark.parametrize(
    ("metric", "basis"),
    [
        ("bbox/APr", "337 categories"),
        ("bbox/APpool/APr", "337 categories"),
        ("tide/bbox/r/Bkg", "337 categories"),
        ("tide/bbox/Bkg", None),
        ("bbox/AP50", None),
        ("categories/7/bbox/AP", None),
    ],
)
def test_metrics_of_a_group_state_their_basis(metric, basis):
    tide = Tide("aligned", 0.5, {"Bkg": 0.1}, {}, {"r": replace(NOTHING, main={"Bkg": 0.1})})
    one = replace(detector(APr=0.2, APpool={"APr": 0.2}), tide={"bbox": tide})
    expected = message(replace(report(one), groups=SIZES), f"{metric}=0.01")
    assert ("based on" in expected) == (basis is not None)
    assert (basis or "") in expected


def test_classification_metrics_are_based_on_classes_and_images():
    found = replace(classification_report(classification_run("a", 0.0)), groups={"few": GroupSize(20, 1000, 1000)})
    assert message(found, "classification/few=0.2") == (
        "classification/few of a is 0.1250, under 0.2; based on 20 classes and 1,000 images"
    )
    (verdict,) = judged(found, gate("classification/medium=0.2"))
    assert verdict.message == "classification/medium of a is undefined: no medium-shot class in the data"


def test_categories_are_found_by_their_ids():
    rows = tuple(CategoryMetrics(i, f"c{i}", None, 1, 1, {"bbox": {"AP": 0.5}}) for i in range(1203))
    (verdict,) = judged(report(replace(detector(), categories=rows)), gate("categories/1202/bbox/AP=0.6"))
    assert verdict.message == "categories/1202/bbox/AP of after is 0.5000, under 0.6"


# Names


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("bbox/AP5", "such as bbox/AP50 or bbox/AP"),
        ("APr", "such as bbox/APr or"),
        ("bbox/apr", "such as bbox/APr or"),
        ("tide/bbox/FalsePositive", "such as tide/bbox/FalsePos or"),
        ("zzz", "such as bbox/AP or"),
        ("bbox/APfixed/APr", "; evaluate with `fixed_ap=True` to add what is missing"),
        ("segm/APr", "; evaluate with `iou_types='segm'` to add what is missing"),
        ("reliability/bbox/D-ECE", "; evaluate with `reliability=True` to add what is missing"),
        ("tide/bbox/c/FalsePos", "; evaluate with `frequencies=` to add what is missing"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_ones_and_the_parameter_that_adds_it(metric, expected):
    with pytest.raises(UsageError) as caught:
        judged(report(detector()), gate(f"{metric}=0.1"))
    assert str(caught.value).startswith("`fail_under=`: metric: expected a metric of the report, such as")
    assert f"found {metric}" in str(caught.value)
    assert expected in str(caught.value)


def test_parameters_are_named_for_what_is_off():
    bare = replace(detector(), tide={}, categories=(), metrics={"bbox": {"AP": 0.25}})
    with pytest.raises(UsageError) as caught:
        judged(report(bare), *map(gate, ("tide/bbox/FalsePos=0.1", "categories/7/bbox/AP=0.1", "bbox/APpool/AP=0.1")))
    assert (
        "evaluate with `tide='aligned'` and `per_category=True` and `pooled_ap=True` to add what is missing"
        in caught.value.fix
    )


def test_a_baseline_must_have_the_metrics_that_runs_are_compared_with():
    base = replace(detector(), metrics={"bbox": {"AP": 0.25}})
    found = with_baseline(report(detector()), base)
    missing = r"(?s)this metric in the baseline baseline.json, found none.*again with `pooled_ap=True`"
    with pytest.raises(UsageError, match=missing):
        judged(found, gate("bbox/APpool/AP=0.1", "max-drop"))
    (verdict,) = judged(found, gate("bbox/APpool/AP=0.1"))
    assert verdict.outcome == "passed"
