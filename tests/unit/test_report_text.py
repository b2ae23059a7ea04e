"""The report as a person reads it in a terminal."""

import dataclasses

from reports import classification_report, classification_run, report, run

from longtail_cli.report.model import Report
from longtail_cli.report.text import to_text


def test_runs_side_by_side_with_differences_to_the_first():
    text = to_text(report(run("before", 0.0), run("after", 0.015)))
    boxes, pooled = text.split("\n\n")[1:3]
    assert boxes.splitlines() == [
        "Boxes",
        "run              AP    AP50    APr",
        "------------  -----  ------  -----",
        "before        25.00   50.00      -",
        "after         26.50   50.00      -",
        "  difference  +1.50   +0.00      -",
    ]
    assert pooled.splitlines()[0] == "Boxes, Pooled AP"


def test_iou_types_one_after_the_other():
    one = run("a", 0.0)
    both = dataclasses.replace(
        one,
        metrics={
            "bbox": {"AP": 0.123456, "AR@300": 1.0, "APfixed": {"AP": 0.5, "APr": 0.0}},
            "segm": {"AP": 0.25, "AR@300": None},
        },
        tide={},
        categories=(),
    )
    signature = dataclasses.replace(report(one).signature, iou_types=("bbox", "segm"), protocol="coco", max_dets=100)
    assert to_text(Report(signature, (both,), ())) == (
        "COCO protocol, at most 100 detections per image and category; 5 images, 2 categories; ltcal 0.1.0\n"
        "\n"
        "Boxes\n"
        "run       AP    AR@300\n"
        "-----  -----  --------\n"
        "a      12.35    100.00\n"
        "\n"
        "Boxes, Fixed AP\n"
        "run       AP    APr\n"
        "-----  -----  -----\n"
        "a      50.00   0.00\n"
        "\n"
        "Masks\n"
        "run       AP    AR@300\n"
        "-----  -----  --------\n"
        "a      25.00         -\n"
    )


def test_a_difference_needs_both_figures():
    rare = {"bbox": {"AP": 0.25, "AP50": 0.5, "APr": 0.125, "APpool": {"AP": 0.2, "APr": None}}}
    text = to_text(report(run("a", 0.0), dataclasses.replace(run("b", 0.0), metrics=rare)))
    assert text.split("\n\n")[1].splitlines()[-2:] == [
        "b             25.00   50.00  12.50",
        "  difference  +0.00   +0.00      -",
    ]


def test_the_rules_stand_first():
    assert to_text(report(run("a", 0.0))).splitlines()[0] == (
        "LVIS protocol, at most 300 detections per image; 5 images, 2 categories; ltcal 0.1.0"
    )


def test_tide_overall_and_by_group_with_undefined_as_a_dash():
    parts = to_text(report(run("a", 0.0))).split("\n\n")
    assert parts[3].splitlines() == [
        "Boxes, TIDE (aligned): AP50 gained by mending",
        "run      AP50    Cls    Loc    Both    Dupe    Bkg    Miss    FalsePos    FalseNeg",
        "-----  ------  -----  -----  ------  ------  -----  ------  ----------  ----------",
        "a       50.00   1.00   2.00    0.00    0.00  -0.50   10.00       20.00       15.00",
    ]
    assert parts[4].splitlines()[0] == "Boxes, TIDE (aligned): AP50 gained by mending, rare categories"
    assert parts[4].splitlines()[-1].split() == ["a"] + ["-"] * 9


def test_categories_in_id_order_with_counts():
    parts = to_text(report(run("before", 0.0), run("after", 0.015))).split("\n\n")
    assert parts[-1].splitlines() == [
        "Boxes, AP by category",
        "category      id    group    images    instances    before    after    difference",
        "----------  ----  -------  --------  -----------  --------  -------  ------------",
        "cat            7        c         3            4     25.00    26.50         +1.50",
        "dog            9        -         0            0         -        -             -",
    ]


def test_without_categories_there_is_no_table_of_them():
    one = dataclasses.replace(run("a", 0.0), categories=())
    assert "by category" not in to_text(report(one))


def test_names_cannot_act_on_the_terminal():
    text = to_text(report(run("a", 0.0, category="red\x1b[31m\nrow")))
    assert "\x1b" not in text
    assert "red\N{REPLACEMENT CHARACTER}[31m\N{REPLACEMENT CHARACTER}row" in text


CLASSIFICATION = """\
Classification of 8 images, 2 classes; ltcal 0.1.0

Classification
run             top-1    top-5    balanced    many    medium    few    ECE    class-wise ECE      NLL    Brier
------------  -------  -------  ----------  ------  --------  -----  -----  ----------------  -------  -------
none            50.00    75.00       25.00   50.00         -  12.50   6.25              3.12   1.5000   0.6250
iif             46.88    71.88       21.88   46.88         -   9.38   6.25              3.12   1.3750   0.6250
  difference    -3.12    -3.12       -3.12   -3.12         -  -3.12  +0.00             +0.00  -0.1250  +0.0000

Mass of the scores by group, none
true group      to many    to few
------------  ---------  --------
many              75.00     25.00
few               50.00     50.00

Mass of the scores by group, iif
true group      to many    to few
------------  ---------  --------
many              75.00     25.00
few               53.12     46.88

Recall by class
category      id    group    samples    none    iif    difference
----------  ----  -------  ---------  ------  -----  ------------
cat            0     many          6   50.00  46.88         -3.12
dog            1      few          0       -      -             -
"""


def test_classification_with_shares_in_percent_points_and_the_rest_as_it_is():
    runs = classification_run("none", 0.0), classification_run("iif", -0.03125)
    assert to_text(classification_report(*runs)) == CLASSIFICATION


def test_without_groups_and_categories_the_figures_stand_alone():
    one = classification_run("a", 0.0)
    figures = dataclasses.replace(one.classification, confusion={}, nll=None)
    text = to_text(classification_report(dataclasses.replace(one, classification=figures, categories=())))
    assert [part.splitlines()[0] for part in text.split("\n\n")][1:] == ["Classification"]
    assert text.splitlines()[-1].split()[-2:] == ["-", "0.6250"]


def test_names_of_runs_cannot_act_on_the_terminal_where_they_are_titles():
    assert "group, red\N{REPLACEMENT CHARACTER}[31m\n" in to_text(
        classification_report(classification_run("red\x1b[31m", 0.0))
    )
