"""Parsing of gates."""

import pytest
from gates import gate

from longtail_cli.errors import UsageError
from longtail_cli.reports.gates.limits import Gate, merge_gates, parse_gate


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("fail-under", "bbox/APr=0.18", Gate("fail-under", "bbox/APr", 0.18, False, "0.18")),
        ("fail-over", "tide/bbox/FalsePos=.1", Gate("fail-over", "tide/bbox/FalsePos", 0.1, False, ".1")),
        ("fail-under", "tide/bbox/Bkg=-2e-3", Gate("fail-under", "tide/bbox/Bkg", -0.002, False, "-2e-3")),
        ("max-drop", "bbox/APr=0.002", Gate("max-drop", "bbox/APr", 0.002, False, "0.002")),
        ("max-drop", "bbox/APr=1%", Gate("max-drop", "bbox/APr", 0.01, True, "1%")),
        ("max-rise", " bbox/APr = 150 % ", Gate("max-rise", "bbox/APr", 1.5, True, "150 %")),
        ("max-drop", "bbox/APr=0", Gate("max-drop", "bbox/APr", 0.0, False, "0")),
        ("fail-over", "classification/nll=2.5", Gate("fail-over", "classification/nll", 2.5, False, "2.5")),
        ("fail-over", "tide/bbox/FP@R60=400", Gate("fail-over", "tide/bbox/FP@R60", 400.0, False, "400")),
        (
            "max-rise",
            "tide/bbox/groups/r/false_positives/FP@R40=3",
            Gate("max-rise", "tide/bbox/r/FP@R40", 3.0, False, "3"),
        ),
        ("fail-under", "a=b=0.1", Gate("fail-under", "a=b", 0.1, False, "0.1")),
        ("fail-under", "metrics/bbox/APr=0.1", Gate("fail-under", "bbox/APr", 0.1, False, "0.1")),
        ("fail-over", "tide/bbox/groups/r/main/Bkg=1", Gate("fail-over", "tide/bbox/r/Bkg", 1.0, False, "1")),
    ],
)
def test_a_gate_is_a_name_and_a_limit(kind, text, expected):
    assert parse_gate(kind, text, "`option=`") == expected


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("fail-under", "bbox/APr", "expected METRIC=LIMIT with a finite number, found 'bbox/APr'"),
        ("fail-under", "=0.1", "expected METRIC=LIMIT"),
        ("fail-under", "bbox/APr=", "expected METRIC=LIMIT"),
        ("fail-under", "bbox/APr=high", "expected METRIC=LIMIT"),
        ("fail-under", "bbox/APr=nan", "finite number"),
        ("fail-under", "bbox/APr=inf", "finite number"),
        ("fail-under", "bbox/APr=1e999", "finite number"),
        ("fail-under", "bbox/APr=1_0", "finite number"),
        ("max-drop", "bbox/APr=%", "METRIC=PERCENT%"),
        ("fail-under", "bbox/APr=1%", "only `max_drop=` and `max_rise=` take percent; write for example bbox/APr=0.18"),
        ("max-drop", "bbox/APr=-0.1", "expected a limit from 0, found 'bbox/APr=-0.1'"),
        ("max-rise", "bbox/APr=-1%", "write how much it may rise"),
        ("fail-under", "bbox/APr=18", "metrics are fractions here, not percent points: write bbox/APr=0.18"),
        ("fail-over", "segm/AP=1.5", "write segm/AP=0.015"),
        ("max-rise", "tide/bbox/FalsePos=2", "write tide/bbox/FalsePos=0.02"),
        ("fail-over", "reliability/bbox/D-ECE=5", "write reliability/bbox/D-ECE=0.05"),
        ("fail-under", "classification/top1=75", "write classification/top1=0.75"),
    ],
)
def test_anything_else_is_refused_with_the_parameter_and_an_example(kind, text, message):
    with pytest.raises(UsageError) as caught:
        parse_gate(kind, text, "`option=`")
    assert str(caught.value).startswith("`option=`: value: expected ")
    assert message in str(caught.value)


def test_a_given_gate_replaces_all_of_its_kind_and_metric_in_the_file():
    config = [
        gate("bbox/AP=0.1"),
        gate("bbox/APr=0.1"),
        gate("bbox/APr=1%", "max-drop"),
        gate("bbox/APr=0.1", "max-drop"),
    ]
    given = [gate("bbox/APr=0.002", "max-drop"), gate("bbox/APr=2%", "max-drop"), gate("bbox/APr=2%", "max-drop")]
    assert merge_gates(given, config) == (config[0], config[1], given[0], given[1])
    assert merge_gates([], config) == tuple(config)
    assert merge_gates(given, []) == (given[0], given[1])
