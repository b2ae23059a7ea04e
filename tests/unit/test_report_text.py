"""The report as text."""

import dataclasses

import pytest
from reports import (
    BASELINE,
    HOSTILE,
    classification_report,
    classification_run,
    counting,
    gated_report,
    reliable,
    report,
    resampled_report,
    run,
    trained,
    verdict,
)

from longtail_cli.metrics import Interval
from longtail_cli.reports.model import Baseline, Report, Run
from longtail_cli.reports.text_tables import to_text


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


def test_a_difference_needs_both_values():
    rare = {"bbox": {"AP": 0.25, "AP50": 0.5, "APr": 0.125, "APpool": {"AP": 0.2, "APr": None}}}
    text = to_text(report(run("a", 0.0), dataclasses.replace(run("b", 0.0), metrics=rare)))
    assert text.split("\n\n")[1].splitlines()[-2:] == [
        "b             25.00   50.00  12.50",
        "  difference  +0.00   +0.00      -",
    ]


def test_the_rules_come_first():
    assert to_text(report(run("a", 0.0))).splitlines()[0] == (
        "LVIS protocol, at most 300 detections per image; 5 images, 2 categories; ltcal 0.1.0"
    )


def test_tide_overall_and_by_group_with_undefined_as_a_dash():
    parts = to_text(report(run("a", 0.0))).split("\n\n")
    assert parts[3].splitlines() == [
        "Boxes, TIDE (aligned): AP50 gain from fixing each error",
        "run      AP50    Cls    Loc    Both    Dupe    Bkg    Miss    FalsePos    FalseNeg",
        "-----  ------  -----  -----  ------  ------  -----  ------  ----------  ----------",
        "a       50.00   1.00   2.00    0.00    0.00  -0.50   10.00       20.00       15.00",
    ]
    assert parts[4].splitlines()[0] == "Boxes, TIDE (aligned): AP50 gain from fixing each error, rare categories"
    assert parts[4].splitlines()[-1].split() == ["a"] + ["-"] * 9


def test_numbers_of_false_positives_stand_beside_the_gains_as_whole_numbers():
    before, after = counting(run("before", 0.0), 331), counting(run("after", 0.0), 162)
    parts = to_text(report(before, after)).split("\n\n")
    assert parts[3].splitlines()[0] == (
        "Boxes, TIDE (aligned): AP50 gain from fixing each error, and false positives at recall 0.4 and 0.6"
    )
    assert [line.split()[-3:] for line in parts[3].splitlines()[1:] if "--" not in line] == [
        ["FalseNeg", "FP@R40", "FP@R60"], ["15.00", "331", "-"], ["15.00", "162", "-"], ["+0.00", "-169", "-"],
    ]  # fmt: skip


def test_gates_on_counts_show_counts():
    over = verdict("failed", metric="tide/bbox/FP@R40", kind="max-rise", limit="20", value=364.0, base=331.0)
    text = to_text(gated_report(counting(run("after", 0.0), 364), gates=(over,)))
    assert "Gates: 0 pass, 1 fail (values are fractions or counts)" in text
    assert "  364 (+33)  " in text


def test_categories_in_id_order_with_counts():
    parts = to_text(report(run("before", 0.0), run("after", 0.015))).split("\n\n")
    assert parts[-1].splitlines() == [
        "Boxes, AP by category",
        "category      id    group    images    instances    before    after    difference",
        "----------  ----  -------  --------  -----------  --------  -------  ------------",
        "cat            7        c         3            4     25.00    26.50         +1.50",
        "dog            9        -         0            0         -        -             -",
    ]


def test_without_categories_there_is_no_table_of_categories():
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


def test_classification_with_fractions_in_percent_points_and_other_metrics_as_they_are():
    runs = classification_run("none", 0.0), classification_run("iif", -0.03125)
    assert to_text(classification_report(*runs)) == CLASSIFICATION


def test_without_groups_and_categories_there_are_only_metrics():
    one = classification_run("a", 0.0)
    metrics = dataclasses.replace(one.classification, confusion={}, nll=None)
    text = to_text(classification_report(dataclasses.replace(one, classification=metrics, categories=())))
    assert [part.splitlines()[0] for part in text.split("\n\n")][1:] == ["Classification"]
    assert text.splitlines()[-1].split()[-2:] == ["-", "0.6250"]


def test_names_of_runs_in_titles_cannot_act_on_the_terminal():
    assert "group, red\N{REPLACEMENT CHARACTER}[31m\n" in to_text(
        classification_report(classification_run("red\x1b[31m", 0.0))
    )


def table(text: str, title: str) -> list[str]:
    """The lines below a title and its header."""
    (found,) = [part.splitlines() for part in text.split("\n\n") if part.startswith(f"{title}\n")]
    return found[1:]


def test_a_baseline_comes_first_and_every_run_is_compared_with_it():
    text = to_text(gated_report(run("before", 0.0), run("after", 0.015), gates=(), baseline=BASELINE))
    assert table(text, "Boxes")[2:] == [
        "baseline: main   12.50   50.00      -",
        "before           25.00   50.00      -",
        "  difference    +12.50   +0.00      -",
        "after            26.50   50.00      -",
        "  difference    +14.00   +0.00      -",
    ]
    header, _, cat, _ = table(text, "Boxes, AP by category")
    assert header.split()[-5:] == ["main", "before", "difference", "after", "difference"]
    assert cat.split()[-5:] == ["12.50", "25.00", "+12.50", "26.50", "+14.00"]


def test_a_baseline_that_cannot_be_compared_is_not_shown():
    other = dataclasses.replace(BASELINE, differences=("it has other annotations",))
    one = gated_report(run("before", 0.0), run("after", 0.015), gates=())
    assert to_text(dataclasses.replace(one, baseline=other)) == to_text(one)


def test_a_baseline_that_lacks_metrics_is_shown_as_far_as_it_goes():
    bare = dataclasses.replace(run("main", 0.0), metrics={"bbox": {"AP": 0.25}}, tide={}, categories=())
    text = to_text(gated_report(run("after", 0.015), gates=(), baseline=Baseline("main.json", bare, ())))
    assert table(text, "Boxes")[2:] == [
        "baseline: main  25.00       -      -",
        "after           26.50   50.00      -",
        "  difference    +1.50       -      -",
    ]
    assert [line.split()[0] for line in table(text, "Boxes, Pooled AP")[2:]] == ["after"]
    assert table(text, "Boxes, AP by category")[2].split() == ["cat", "7", "c", "3", "4", "26.50"]


def test_a_category_that_the_baseline_lacks_has_no_difference():
    less = dataclasses.replace(BASELINE.run, categories=BASELINE.run.categories[1:])
    text = to_text(gated_report(run("after", 0.015), gates=(), baseline=Baseline("main.json", less, ())))
    assert table(text, "Boxes, AP by category")[2].split()[-3:] == ["-", "26.50", "-"]


def test_a_breakdown_by_other_rules_is_not_compared():
    tide = dataclasses.replace(BASELINE.run.tide["bbox"], protocol="tidecv")
    other = Baseline("main.json", dataclasses.replace(BASELINE.run, tide={"bbox": tide}), ())
    text = to_text(gated_report(run("after", 0.0), gates=(), baseline=other))
    assert len(table(text, "Boxes, TIDE (aligned): AP50 gain from fixing each error")) == 3


def test_intervals_of_metrics_and_of_their_differences_and_the_size_of_groups():
    text = to_text(resampled_report(run("before", 0.0), run("after", 0.015)))
    assert table(text, "95% intervals from 1,000 resamples of the images, before")[:3] == [
        "metric             value    95% interval",
        "---------------  -------  --------------",
        "bbox/AP            25.00  20.00 to 30.00",
    ]
    after = table(text, "95% intervals from 1,000 resamples of the images, after")
    assert after[0].split("  ")[-1] == "95% interval of the difference"
    assert after[2:5] == [
        "bbox/AP            26.50  20.00 to 30.00         +1.50                    -1.00 to +4.00",
        "bbox/AP50          50.00               -         +0.00                                 -",
        "bbox/APr               -               -             -                                 -",
    ]
    assert table(text, "Size of the frequency groups") == [
        "group      categories    images    ground truths",
        "-------  ------------  --------  ---------------",
        "all                 2         5               12",
        "rare                1         1                2",
    ]


def test_p_values_and_intervals_on_too_few_images():
    after = dataclasses.replace(run("after", 0.015), p_values={"bbox/AP": 0.0125})
    given = resampled_report(run("before", 0.0), after)
    rests = dataclasses.replace(given.bootstrap, images={"all": 2.5, "r": 1.0})
    text = to_text(dataclasses.replace(given, bootstrap=rests))
    after = table(text, "95% intervals from 1,000 resamples of the images, after")
    assert [line.split("  ")[-1].strip() for line in (after[0], *after[2:5])] == ["p", "0.0125", "-", "-"]
    assert after[3].split() == ["bbox/AP50", "50.00", "withheld", "+0.00", "withheld", "-"]
    assert after[4].split() == ["bbox/APr", "-", "-", "-", "-", "-"]  # undefined


def test_intervals_of_classification_omit_the_confusion_and_print_plain_metrics_as_they_are():
    one = classification_run("a", 0.0)
    resampled = dataclasses.replace(one, intervals={"classification/nll": Interval(1.25, 1.75)})
    rows = [line.split() for line in table(to_text(classification_report(resampled)), "95% intervals, a")[2:]]
    assert ["classification/nll", "1.5000", "1.2500", "to", "1.7500"] in rows
    assert len(rows) == 10


def test_reliability_overall_and_by_group():
    assert table(
        to_text(report(reliable(run("a", 0.0)), reliable(run("b", 0.0)))), "Boxes, reliability of scores at IoU 0.50"
    ) == [
        "run             D-ECE    LaECE    D-ECE rare    LaECE rare",
        "------------  -------  -------  ------------  ------------",
        "a               12.50    25.00             -             -",
        "b               12.50    25.00             -             -",
        "  difference    +0.00    +0.00             -             -",
    ]


def test_errors_at_another_iou_threshold_are_not_compared():
    main = reliable(run("main", 0.0))
    stricter = dataclasses.replace(main.reliability["bbox"], iou_threshold=0.75)
    other = dataclasses.replace(main, reliability={"bbox": stricter})
    text = to_text(gated_report(reliable(run("after", 0.0)), gates=(), baseline=Baseline("main.json", other, ())))
    assert [line.split()[0] for line in table(text, "Boxes, reliability of scores at IoU 0.50")[2:]] == ["after"]


def test_training_images_of_categories_if_they_are_known():
    header, _, cat, dog = table(to_text(report(trained(run("a", 0.0), 17))), "Boxes, AP by category")
    assert header.split()[:5] == ["category", "id", "group", "train", "images"]
    assert cat.split()[:4] == ["cat", "7", "c", "17"]
    assert dog.split()[:4] == ["dog", "9", "-", "-"]


def test_gates_come_last_and_those_that_fail_come_first():
    text = to_text(gated_report(run("after", 0.0)))
    assert [part.splitlines()[0] for part in text.split("\n\n")][-1] == ("Gates: 2 pass, 3 fail (values are fractions)")
    assert [line.split("  ")[0] for line in table(text, "Gates: 2 pass, 3 fail (values are fractions)")[2:]] == [
        "failed",
        "undefined",
        "not comparable",
        "passed",
        "undefined, allowed",
    ]
    assert "failed              max-drop bbox/APr            after  0.1000 (-0.1000)       1%  after: bbox/APr" in text


def hostile_report(name: str) -> Report:
    baseline = Baseline("main.json", run(name, 0.0), ())
    one: Run = run(name, 0.0, category=name)
    return gated_report(one, gates=(verdict("failed", run=name, message=name),), baseline=baseline)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_on_their_line_and_give_no_commands_to_terminals_or_runners(name):
    text = to_text(hostile_report(name))
    assert len(text.splitlines()) == len(to_text(hostile_report("plain")).splitlines())
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert not [line for line in text.splitlines() if line.lstrip().startswith("::") or "##[" in line]


def test_colons_within_a_name_stay():
    assert "std::vector" in to_text(report(run("a", 0.0, category="std::vector")))
