"""The report as a person reads it in a terminal."""

import dataclasses

from reports import report, run

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
