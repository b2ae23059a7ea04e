"""The content of the HTML page."""

from dataclasses import replace

from big_reports import big_report
from reports import classification_report, classification_run

from longtail_cli.metrics import Interval
from longtail_cli.reports.model import Bootstrap
from longtail_cli.reports.page.html import cards_of, grid_of
from longtail_cli.reports.text_tables import without_rows

BIG = big_report(12)


def card(report, title, run=1):
    return next(one for one in cards_of(report)[run][1] if one.title == title)


def test_a_metric_with_its_change_and_their_intervals():
    rare = card(BIG, "AP rare")
    assert (rare.value, rare.interval) == ("22.00", "20.00 to 40.00")
    assert (rare.change, rare.change_interval, rare.trend) == ("+2.00", "+1.00 to +3.00", "better")
    assert rare.basis == "4 categories, 80,000 ground truths"


def test_the_reference_has_no_change():
    rare = card(BIG, "AP rare", run=0)
    assert (rare.change, rare.change_interval, rare.trend) == ("", "", "same")


def test_a_change_within_the_noise_is_neither_better_nor_worse():
    before, after = BIG.runs
    noisy = replace(after, deltas={"bbox/APr": Interval(-0.01, 0.05)})
    assert card(replace(BIG, runs=(before, noisy)), "AP rare").trend == "same"


def test_a_change_on_too_few_images_is_neither_better_nor_worse():
    before, after = BIG.runs
    bare = replace(after, intervals={}, deltas={}, p_values={"bbox/APr": 0.25})
    on_few = replace(BIG, runs=(before, bare), bootstrap=Bootstrap(1000, 0, "00ff", {"all": 50.0, "r": 2.0}))
    rare = card(on_few, "AP rare")
    assert (rare.interval, rare.change_interval, rare.trend) == ("withheld", "withheld, p = 0.25", "same")


def test_fewer_errors_are_better():
    before, after = (classification_run(name, shift) for name, shift in (("before", 0.0), ("after", 0.125)))
    less = replace(after, classification=replace(after.classification, ece=0.01))
    report = classification_report(before, less)
    assert card(report, "ECE").trend == "better"
    assert card(report, "top-1").trend == "better"
    assert card(report, "medium").value == "-"


def test_the_rows_of_the_table():
    grid = grid_of(BIG)
    assert grid.header == ("category", "id", "group", "training images", "images", "objects", "AP, before",
                           "AP, after", "change")  # fmt: skip
    assert len(grid.rows) == 12
    undefined = grid.rows[0]
    assert [cell.text for cell in undefined[-3:]] == ["-", "-", "-"]
    assert all(cell.key is None for cell in undefined[-3:])
    before, after, change = grid.rows[8][-3:]
    assert change.key == after.key - before.key
    assert change.text == f"{100 * change.key:+.2f}"


def test_no_table_without_categories():
    assert grid_of(without_rows(BIG)) is None
