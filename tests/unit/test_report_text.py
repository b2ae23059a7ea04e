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
from longtail_cli.reports.model import Baseline, GroupSize, Report, Run
from longtail_cli.reports.text import to_text
from longtail_cli.reports.widths import width_of


def test_runs_side_by_side_with_differences_to_the_first():
    text = to_text(report(run("before", 0.0), run("after", 0.015)))
    boxes, _, pooled = text.split("\n\n")[1:4]
    assert boxes.splitlines() == [
        'Boxes, percent; differences are to "before"',
        "run        AP         AP50",
        "------  -----------  -----------",
        "before  25.00        50.00",
        "after   26.50 +1.50  50.00 +0.00",
    ]
    assert pooled.splitlines()[0] == 'Boxes, Pooled AP, percent; differences are to "before"'


def test_differences_to_a_run_that_is_not_the_first():
    one = dataclasses.replace(report(run("a", 0.0), run("b", 0.015), run("c", 0.02)), compared_to="b")
    assert table(to_text(one), 'Boxes, percent; differences are to "b"')[2:] == [
        "a    25.00 -1.50  50.00 +0.00",
        "b    26.50        50.00",
        "c    27.00 +0.50  50.00 +0.00",
    ]
    assert table(to_text(one), 'Boxes, AP by category, percent; differences are to "b"')[2].split()[-5:] == [
        "25.00", "-1.50", "26.50", "27.00", "+0.50",
    ]  # fmt: skip


def test_the_main_metrics_unless_all_are_asked_for():
    whole = {"bbox": {"AP": 0.25, "APs": 0.1, "APr": 0.125, "APc": None, "AR@300": 0.5}}
    one = report(dataclasses.replace(run("a", 0.0), metrics=whole))
    assert to_text(one).split("\n\n")[1].splitlines()[1].split() == ["run", "AP", "APr", "APc"]
    verbose = to_text(one, verbose=True)
    assert verbose.split("\n\n")[1].splitlines()[1].split() == ["run", "AP", "APr", "APc", "APs", "AR@300"]
    assert "TIDE (aligned), rare categories" in verbose
    assert "FalseNeg" in verbose
    assert "rare categories" not in to_text(one)


def test_warnings_follow_the_rules_and_are_wrapped():
    one = dataclasses.replace(report(run("a", 0.0)), warnings=("of " * 60 + "images", "another"))
    _, first, second, boxes, *_ = to_text(one).split("\n\n")
    assert first == "warning:" + " of" * 30 + "\n " + " of" * 30 + " images"
    assert second == "warning: another"
    assert boxes.startswith("Boxes, percent\n")


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
    assert to_text(Report(signature, (both,), ()), verbose=True) == (
        "COCO protocol, at most 100 detections per image and category; 5 images, 2 categories; ltcal 0.1.0\n"
        "\n"
        "Boxes, percent\n"
        "run     AP  AR@300\n"
        "---  -----  ------\n"
        "a    12.35  100.00\n"
        "\n"
        "Boxes, Fixed AP, percent\n"
        "run     AP   APr\n"
        "---  -----  ----\n"
        "a    50.00  0.00\n"
        "\n"
        "Masks, percent\n"
        "run     AP  AR@300\n"
        "---  -----  ------\n"
        "a    25.00       -\n"
    )


def test_a_difference_needs_both_values():
    rare = {"bbox": {"AP": 0.25, "AP50": 0.5, "APr": 0.125, "APpool": {"AP": 0.2, "APr": None}}}
    text = to_text(report(run("a", 0.0), dataclasses.replace(run("b", 0.0), metrics=rare)))
    assert text.split("\n\n")[1].splitlines()[-2:] == [
        "a    25.00        50.00            -",
        "b    25.00 +0.00  50.00 +0.00  12.50",
    ]


def test_the_rules_come_first():
    assert to_text(report(run("a", 0.0))).splitlines()[0] == (
        "LVIS protocol, at most 300 detections per image; 5 images, 2 categories; ltcal 0.1.0"
    )


def test_tide_overall_and_by_group_with_undefined_as_a_dash():
    title = "Boxes, TIDE (aligned): AP50 gain from fixing each error, percent"
    assert table(to_text(report(run("a", 0.0))), title) == [
        "run   Cls   Loc  Both  Dupe    Bkg   Miss  FalsePos",
        "---  ----  ----  ----  ----  -----  -----  --------",
        "a    1.00  2.00  0.00  0.00  -0.50  10.00     20.00",
    ]
    whole = to_text(report(run("a", 0.0)), verbose=True)
    assert table(whole, title)[-1].split() == [
        "a",
        "50.00",
        "1.00",
        "2.00",
        "0.00",
        "0.00",
        "-0.50",
        "10.00",
        "20.00",
        "15.00",
    ]
    rare = "Boxes, TIDE (aligned), rare categories: AP50 gain from fixing each error, percent"
    assert table(whole, rare)[-1].split() == ["a"] + ["-"] * 9


def test_tide_of_tidecv_has_its_own_ap50():
    tide = dataclasses.replace(run("a", 0.0).tide["bbox"], protocol="tidecv", AP50=0.375)
    text = to_text(report(dataclasses.replace(run("a", 0.0), tide={"bbox": tide})))
    header, _, row = table(text, "Boxes, TIDE (tidecv): AP50 gain from fixing each error, percent")
    assert (header.split()[:2], row.split()[:2]) == (["run", "AP50"], ["a", "37.50"])


def test_numbers_of_false_positives_are_beside_the_gains_as_whole_numbers():
    before, after = counting(run("before", 0.0), 331), counting(run("after", 0.0), 162)
    title = "Boxes, TIDE (aligned): AP50 gain from fixing each error, percent; FP@R60 is a count"
    assert [line.split()[-2:] for line in table(to_text(report(before, after)), title)[::2]] == [
        ["FalsePos", "FP@R60"], ["20.00", "-"],
    ]  # fmt: skip
    counts = "; FP@R40 and FP@R60 are counts"
    title = f'{title.partition(";")[0]}{counts}; differences are to "before"'
    whole = to_text(report(before, after), verbose=True).replace("\nd", " d").replace("\n(", " (")
    assert table(whole, f"{title} (continued)") == [
        "run     FalsePos     FalseNeg     FP@R40    FP@R60",
        "------  -----------  -----------  --------  ------",
        "before  20.00        15.00        331            -",
        "after   20.00 +0.00  15.00 +0.00  162 -169       -",
    ]


def test_gates_on_counts_show_counts():
    over = verdict("failed", metric="tide/bbox/FP@R40", kind="max-rise", limit="20", value=364.0, base=331.0)
    text = to_text(gated_report(counting(run("after", 0.0), 364), gates=(over,)))
    assert "\nthe gate failed (values and limits are fractions and counts, as in the JSON)\n" in text
    assert "  364 +33     20\n" in text


def test_categories_in_id_order_with_counts():
    parts = to_text(report(run("before", 0.0), run("after", 0.015))).split("\n\n")
    assert parts[-1].splitlines() == [
        'Boxes, AP by category, percent; differences are to "before"',
        "category  id  group  images  instances  before  after",
        "--------  --  -----  ------  ---------  ------  -----------",
        "cat        7      c       3          4   25.00  26.50 +1.50",
        "dog        9      -       0          0       -      -",
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

Classification, percent; differences are to "none"
run   top-1        top-5        balanced      many        medium    few
----  -----------  -----------  -----------  -----------  ------  -----------
none  50.00        75.00        25.00        50.00             -  12.50
iif   46.88 -3.12  71.88 -3.12  21.88 -3.12  46.88 -3.12       -   9.38 -3.12

Calibration, ECE in percent; differences are to "none"
run    ECE        class-wise ECE     NLL           Brier
----  ----------  --------------  --------------  --------------
none  6.25            3.12        1.5000          0.6250
iif   6.25 +0.00      3.12 +0.00  1.3750 -0.1250  0.6250 +0.0000

Recall by class, percent; differences are to "none"
category  id  group  samples   none    iif
--------  --  -----  -------  -----  -----------
cat        0   many        6  50.00  46.88 -3.12
dog        1    few        0      -      -
"""

CONFUSION = """\
Mass of the scores by group, percent, iif
true group  to many  to few
----------  -------  ------
many          75.00   25.00
few           53.12   46.88
"""


def test_classification_with_fractions_in_percent_points_and_other_metrics_as_they_are():
    runs = classification_run("none", 0.0), classification_run("iif", -0.03125)
    assert to_text(classification_report(*runs)) == CLASSIFICATION
    assert CONFUSION in to_text(classification_report(*runs), verbose=True)


def test_without_groups_and_categories_there_are_only_metrics():
    one = classification_run("a", 0.0)
    metrics = dataclasses.replace(one.classification, confusion={}, nll=None)
    text = to_text(classification_report(dataclasses.replace(one, classification=metrics, categories=())))
    assert [part.splitlines()[0] for part in text.split("\n\n")][1:] == [
        "Classification, percent",
        "Calibration, ECE in percent",
    ]
    assert text.splitlines()[-1].split()[-2:] == ["-", "0.6250"]


def test_names_of_runs_in_titles_cannot_act_on_the_terminal():
    text = to_text(classification_report(classification_run("red\x1b[31m", 0.0)), verbose=True)
    assert "group, percent, red\N{REPLACEMENT CHARACTER}[31m\n" in text


def table(text: str, title: str) -> list[str]:
    """The lines below a title and its header."""
    (found,) = [part.splitlines() for part in text.split("\n\n") if part.startswith(f"{title}\n")]
    return found[1:]


def test_a_baseline_comes_first_and_every_run_is_compared_with_it():
    text = to_text(gated_report(run("before", 0.0), run("after", 0.015), gates=(), baseline=BASELINE))
    assert table(text, 'Boxes, percent; differences are to "baseline: main"')[2:] == [
        "baseline: main  12.50         50.00",
        "before          25.00 +12.50  50.00 +0.00",
        "after           26.50 +14.00  50.00 +0.00",
    ]
    header, _, cat, _ = table(text, 'Boxes, AP by category, percent; differences are to "baseline: main"')
    assert header.split()[-4:] == ["baseline:", "main", "before", "after"]
    assert cat.split()[-5:] == ["12.50", "25.00", "+12.50", "26.50", "+14.00"]


def test_a_baseline_that_cannot_be_compared_is_not_shown():
    other = dataclasses.replace(BASELINE, differences=("it has other annotations",))
    one = gated_report(run("before", 0.0), run("after", 0.015), gates=())
    assert to_text(dataclasses.replace(one, baseline=other)) == to_text(one)


def test_a_baseline_that_lacks_metrics_is_shown_as_far_as_it_goes():
    bare = dataclasses.replace(run("main", 0.0), metrics={"bbox": {"AP": 0.25}}, tide={}, categories=())
    text = to_text(gated_report(run("after", 0.015), gates=(), baseline=Baseline("main.json", bare, ())))
    assert table(text, 'Boxes, percent; differences are to "baseline: main"')[2:] == [
        "baseline: main  25.00            -",
        "after           26.50 +1.50  50.00",
    ]
    assert [line.split()[0] for line in table(text, "Boxes, Pooled AP, percent")[2:]] == ["after"]
    assert table(text, "Boxes, AP by category, percent")[2].split() == ["cat", "7", "c", "3", "4", "26.50"]


def test_a_category_that_the_baseline_lacks_has_no_difference():
    less = dataclasses.replace(BASELINE.run, categories=BASELINE.run.categories[1:])
    text = to_text(gated_report(run("after", 0.015), gates=(), baseline=Baseline("main.json", less, ())))
    assert table(text, "Boxes, AP by category, percent")[2].split()[-2:] == ["-", "26.50"]


def test_a_breakdown_by_other_rules_is_not_compared():
    tide = dataclasses.replace(BASELINE.run.tide["bbox"], protocol="tidecv")
    other = Baseline("main.json", dataclasses.replace(BASELINE.run, tide={"bbox": tide}), ())
    one = gated_report(run("after", 0.0), gates=(), baseline=other)
    title = "Boxes, TIDE (aligned): AP50 gain from fixing each error, percent"
    assert len(table(to_text(one), title)) == len(table(to_text(one, verbose=True), title)) == 3


DRAWN = "95% intervals from 1,000 resamples of the images, percent"


def test_intervals_of_metrics_and_of_their_differences_and_the_size_of_groups():
    one = resampled_report(run("before", 0.0), run("after", 0.015))
    assert table(to_text(one), f"{DRAWN}, before")[:3] == [
        "metric          value    95% interval",
        "--------------  -----  --------------",
        "bbox/AP         25.00  20.00 to 30.00",
    ]
    assert table(to_text(one), f'{DRAWN}, after; differences are to "before"') == [
        "metric          value    95% interval  difference  its 95% interval",
        "--------------  -----  --------------  ----------  ----------------",
        "bbox/AP         26.50  20.00 to 30.00       +1.50    -1.00 to +4.00",
        "bbox/AP50       50.00               -       +0.00                 -",
        "bbox/APpool/AP  21.50               -       +1.50                 -",
    ]
    assert "Size of the frequency groups" not in to_text(one)
    assert table(to_text(one, verbose=True), "Size of the frequency groups") == [
        "group  categories  images  ground truths",
        "-----  ----------  ------  -------------",
        "all             2       5             12",
        "rare            1       1              2",
    ]


def test_p_values_and_intervals_on_too_few_images():
    after = dataclasses.replace(run("after", 0.015), p_values={"bbox/AP": 0.0125})
    given = resampled_report(run("before", 0.0), after)
    rests = dataclasses.replace(given.bootstrap, images={"all": 2.5, "r": 1.0})
    text = to_text(dataclasses.replace(given, bootstrap=rests))
    after = table(text, f'{DRAWN}, after; differences are to "before"')
    assert [line.split("  ")[-1].strip() for line in (after[0], *after[2:4])] == ["p", "0.0125", "-"]
    assert after[3].split() == ["bbox/AP50", "50.00", "withheld", "+0.00", "withheld", "-"]


def test_intervals_of_classification_omit_the_confusion_and_print_plain_metrics_as_they_are():
    one = classification_run("a", 0.0)
    resampled = dataclasses.replace(one, intervals={"classification/nll": Interval(1.25, 1.75)})
    rows = [line.split() for line in table(to_text(classification_report(resampled)), "95% intervals, percent, a")[2:]]
    assert ["classification/nll", "1.5000", "1.2500", "to", "1.7500"] in rows
    assert len(rows) == 8
    assert "classification/classwise_ece" not in [row[0] for row in rows]  # it never has an interval


def test_reliability_overall_and_by_group():
    two = report(reliable(run("a", 0.0)), reliable(run("b", 0.0)))
    title = 'of the scores at IoU 0.50, mean over categories, percent; differences are to "a"'
    assert table(to_text(two), f"Boxes, D-ECE {title}") == [
        "run    all        rare",
        "---  -----------  ----",
        "a    12.50           -",
        "b    12.50 +0.00     -",
    ]
    assert table(to_text(two), f"Boxes, LaECE {title}")[2].split() == ["a", "25.00", "-"]


def test_errors_at_another_iou_threshold_are_not_compared():
    main = reliable(run("main", 0.0))
    stricter = dataclasses.replace(main.reliability["bbox"], iou_threshold=0.75)
    other = dataclasses.replace(main, reliability={"bbox": stricter})
    text = to_text(gated_report(reliable(run("after", 0.0)), gates=(), baseline=Baseline("main.json", other, ())))
    title = "Boxes, D-ECE of the scores at IoU 0.50, mean over categories, percent"
    assert [line.split()[0] for line in table(text, title)[2:]] == ["after"]


def test_training_images_of_categories_if_they_are_known():
    header, _, cat, dog = table(to_text(report(trained(run("a", 0.0), 17))), "Boxes, AP by category, percent")
    assert header.split()[:5] == ["category", "id", "group", "train", "images"]
    assert cat.split()[:4] == ["cat", "7", "c", "17"]
    assert dog.split()[:4] == ["dog", "9", "-", "-"]


GATES_TITLE = "2 of 5 gates failed, 1 could not be judged (values and limits are fractions, as in the JSON)"


def test_gates_come_last_and_reasons_that_the_table_does_not_show_follow():
    *_, gates, reasons = to_text(gated_report(run("after", 0.0))).split("\n\n")
    assert gates.splitlines() == [
        GATES_TITLE,
        "outcome             gate                         run     value          limit",
        "------------------  ---------------------------  -----  --------------  -----",
        "failed              max-drop bbox/APr            after  0.1000 -0.1000     1%",
        "undefined           fail-under bbox/APs          after       -           0.18",
        "not comparable      max-rise tide/bbox/FalsePos  after  0.1000           0.18",
        "passed              fail-under bbox/AP           after  0.2650           0.18",
        "undefined, allowed  fail-under bbox/APm          after       -           0.18",
    ]
    assert reasons.splitlines() == [
        "undefined: after: bbox/APr undefined",
        "not comparable: after: bbox/APr not comparable",
        "undefined, allowed: after: bbox/APr undefined",
    ]


def test_slices_by_run_with_the_number_of_images():
    def sliced(one: Run, night: float) -> Run:
        return dataclasses.replace(
            one, slices={"night": {"bbox": {"AP": night, "AP50": 0.5}}, "day": {"bbox": {"AP": None}}}
        )

    sizes = {"night": GroupSize(2, 40, 90), "day": GroupSize(1, 2, 3)}
    one = dataclasses.replace(report(sliced(run("a", 0.0), 0.25), sliced(run("b", 0.0), 0.375)), slices=sizes)
    assert table(to_text(one), 'Boxes, slices, percent; images are those with objects; differences are to "a"') == [
        "slice  run  images     AP          AP50",
        "-----  ---  ------  ------------  -----",
        "night  a        40  25.00         50.00",
        "night  b        40  37.50 +12.50  50.00",
        "day    a         2      -             -",
        "day    b         2      -             -",
    ]


def test_slices_of_a_classifier():
    def sliced(one: Run, night: float) -> Run:
        metrics = {"top1": 0.5, "balanced": night, "many": 0.75, "medium": None, "few": 0.125, "ece": 0.0625}
        intervals = {"slices/night/classification/balanced": Interval(0.125, 0.5)}
        return dataclasses.replace(one, slices={"night": {"classification": metrics}}, intervals=intervals)

    runs = sliced(classification_run("a", 0.0), 0.25), sliced(classification_run("b", 0.0), 0.375)
    found = dataclasses.replace(classification_report(*runs), slices={"night": GroupSize(2, 40, 40)})
    for text in (to_text(found), to_text(found, verbose=True)):
        assert table(text, 'Classification, slices, percent; differences are to "a"') == [
            "slice  run  images  balanced      top-1   many  medium    few   ECE",
            "-----  ---  ------  ------------  -----  -----  ------  -----  ----",
            "night  a        40  25.00         50.00  75.00       -  12.50  6.25",
            "night  b        40  37.50 +12.50  50.00  75.00       -  12.50  6.25",
        ]
        row = "slices/night/classification/balanced   25.00  12.50 to 50.00"
        assert row in table(text, "95% intervals, percent, a")


LONG = tuple(f"{name}{'-of-an-experiment' * 9}-{number}" for number, name in enumerate((*HOSTILE, "plain")))


@pytest.mark.parametrize("count", [1, 3, 8])
@pytest.mark.parametrize("names", [LONG, [f"{'数' * 90}{number}" for number in range(8)], [*HOSTILE, "plain"]])
@pytest.mark.parametrize("extreme", [False, True])
def test_the_text_fits_100_columns(count, names, extreme):
    def whole(name: str, number: int) -> Run:
        value = float(number % 2) if extreme else 0.4321 + number / 100
        columns = ("AP", "AP50", "AP75", "APr", "APc", "APf")
        metrics = {
            "bbox": {**dict.fromkeys(columns, value), "APfixed": dict.fromkeys(("AP", "APr", "APc", "APf"), value)}
        }
        row = dataclasses.replace(trained(run("a", 0.0, name), 1203).categories[0], metrics={"bbox": {"AP": value}})
        interval = {f"bbox/{column}": Interval(0.0, 1.0) for column in columns}
        return dataclasses.replace(
            reliable(run(name, 0.0)), metrics=metrics, categories=(row,) if count <= 3 else (), intervals=interval,
            deltas=interval if number else {}, slices={name: {"bbox": metrics["bbox"]} for name in names},
        )  # fmt: skip

    gates = tuple(verdict("failed", run=name, message=f"{name} " * 3, base=0.2) for name in names[:count])
    one = gated_report(*(whole(name, number) for number, name in enumerate(names[:count])), gates=gates)
    one = dataclasses.replace(one, slices=dict.fromkeys(names, GroupSize(9, 99, 999)), warnings=(names[0] * 3,))
    for verbose in (False, True):
        lines = to_text(one, verbose=verbose).splitlines()
        assert max(map(width_of, lines)) <= 100
    first = to_text(one).split("\n\n")[2].splitlines()
    shown = [
        line[: first[next(i for i, row in enumerate(first) if row.startswith("---"))].index(" ")]
        for line in first[-count:]
    ]
    assert len(set(shown)) == count


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
