"""The content of the HTML page."""

from dataclasses import replace

import pytest
from big_reports import big_report
from reports import BASELINE, classification_report, classification_run, report, run

from longtail_cli.metrics import Interval
from longtail_cli.reports.metric_names import metrics_of
from longtail_cli.reports.model import Bootstrap, GroupSize
from longtail_cli.reports.page.about import about
from longtail_cli.reports.page.cards import cards_of
from longtail_cli.reports.page.glossary import GLOSSARY, entry_of
from longtail_cli.reports.page.grid import grid_of
from longtail_cli.reports.page.html import classes_of, title_of, to_html
from longtail_cli.reports.page.matrix import REACH, matrices_of, slice_matrices
from longtail_cli.reports.plots.plot import Drawing, Plot
from longtail_cli.reports.text_tables import without_rows

BIG = big_report(12)
BEFORE, AFTER = BIG.runs
CLASSIFIERS = classification_report(classification_run("before", 0.0), classification_run("after", 0.125))


def cell(one, title, run=1):
    """The cell of a run in the only matrix of a report."""
    (matrix,) = matrices_of(one)
    return matrix.rows[run].cells[[column.title for column in matrix.columns].index(title)]


def card(one, title, run=1):
    return next(card for card in cards_of(one)[run].cards if card.title == title)


def runs(count):
    """So many runs."""
    return [run(f"run {number}", number / 100) for number in range(count)]


# Title and verdict


def test_the_title_names_up_to_three_runs_and_counts_more():
    assert title_of(report(*runs(3))) == "run 0, run 1, run 2"
    assert title_of(report(*runs(8))) == "8 runs"


def test_the_title_shortens_long_names():
    long = title_of(report(run("temperature:t=1.5+" * 9, 0.0)))
    assert len(long) <= 40
    assert long.startswith("temperature:t=1.5")


def test_warnings_stand_above_the_metrics():
    page = to_html(replace(without_rows(report(*runs(2))), warnings=("no AP can change: <b>why",)), "")
    assert page.index("no AP can change: &lt;b&gt;why") < page.index('class="matrix"')


# Runs by metrics


def test_the_columns_are_the_defined_headline_metrics():
    (matrix,) = matrices_of(BIG)
    titles = [column.title for column in matrix.columns]
    assert titles == ["AP", "AP50", "AP75", "APr", "APc", "APf", "FalsePos", "D-ECE", "LaECE"]
    assert matrix.columns[3].basis == "4 categories"
    (matrix,) = matrices_of(report(*runs(2)))
    assert [column.title for column in matrix.columns] == ["AP", "AP50", "pooled AP", "FalsePos"]  # APr is undefined


def test_the_columns_of_a_classifier():
    (matrix,) = matrices_of(CLASSIFIERS)
    titles = [column.title for column in matrix.columns]
    assert titles == ["top-1", "top-5", "balanced", "many", "few", "ECE", "NLL"]  # medium is undefined
    assert [column.falls for column in matrix.columns[-3:]] == [False, True, True]
    assert matrix.caption.startswith("In percent; NLL in nats.")


def test_the_values_are_those_of_the_report():
    (matrix,) = matrices_of(BIG)
    for row, one in zip(matrix.rows, BIG.runs, strict=True):
        metrics = metrics_of(one)
        shown = {column.name: found.measured.value for column, found in zip(matrix.columns, row.cells, strict=True)}
        assert shown == {column.name: f"{100 * metrics[column.name]:.2f}" for column in matrix.columns}


def test_a_cell_has_the_difference_and_both_intervals():
    rare = cell(BIG, "APr")
    assert (rare.measured.value, rare.measured.change, rare.measured.trend) == ("22.00", "+2.00", "gain")
    assert rare.label == (
        "after, APr: 22.00\n95% interval: 20.00 to 40.00\ndifference: +2.00\nits 95% interval: +1.00 to +3.00\n"
        "best of the column"
    )
    assert rare.bar.end == pytest.approx(REACH)  # the greatest difference of AP
    assert (rare.bar.low, rare.bar.high) == (pytest.approx(REACH / 2), REACH)  # cut off at the end of the bar


def test_the_best_of_a_column_is_marked_unless_all_are_alike():
    assert cell(BIG, "AP").best
    assert not cell(BIG, "AP", run=0).best
    assert not cell(BIG, "APf").best
    assert not cell(BIG, "APf", run=0).best


def test_the_least_error_is_the_best():
    first, second = CLASSIFIERS.runs
    less = replace(second, classification=replace(second.classification, ece=0.01))
    one = classification_report(first, less)
    assert cell(one, "ECE").best
    assert cell(one, "ECE").measured.trend == "gain"
    assert cell(one, "NLL", run=0).best
    assert cell(one, "NLL").measured.trend == "loss"


def test_the_reference_may_be_any_run():
    (matrix,) = matrices_of(replace(report(*runs(3)), compared_to="run 1"))
    assert [row.reference for row in matrix.rows] == [False, True, False]
    assert [row.cells[0].measured.change for row in matrix.rows] == ["-1.00", "", "+1.00"]
    assert [row.cells[0].bar is None for row in matrix.rows] == [False, True, False]
    assert "Differences are to run 1." in matrix.caption


def test_a_baseline_is_the_first_row_and_the_reference():
    (matrix,) = matrices_of(replace(report(*runs(2)), baseline=BASELINE))
    assert [(row.name, row.reference) for row in matrix.rows] == [
        ("baseline: main", True), ("run 0", False), ("run 1", False),
    ]  # fmt: skip
    assert len({row.colour for row in matrix.rows}) == 3


def test_a_difference_whose_interval_contains_0_is_neither_gain_nor_loss():
    uncertain = replace(AFTER, deltas={"bbox/APr": Interval(-0.01, 0.05)})
    assert cell(replace(BIG, runs=(BEFORE, uncertain)), "APr").measured.trend == "same"


def test_a_difference_on_too_few_images_is_neither_gain_nor_loss():
    bare = replace(AFTER, intervals={}, deltas={}, p_values={"bbox/APr": 0.25})
    on_few = replace(BIG, runs=(BEFORE, bare), bootstrap=Bootstrap(1000, 0, "00ff", {"all": 50.0, "r": 2.0}))
    rare = cell(on_few, "APr").measured
    assert (rare.interval, rare.change_interval, rare.p_value, rare.trend) == (
        "withheld", "withheld", "p = 0.25", "same",
    )  # fmt: skip


def test_a_difference_shown_as_0_is_neither_gain_nor_loss():
    assert cell(report(run("a", 0.0), run("b", 1e-6)), "AP").measured.trend == "same"


def test_a_lone_run_has_neither_differences_nor_a_best():
    (matrix,) = matrices_of(report(run("only", 0.0)))
    assert not any(one.best or one.bar or one.measured.change for one in matrix.rows[0].cells)
    assert matrix.caption == "In percent."


def test_runs_by_slices():
    def sliced(one, ap):
        return replace(one, slices={"night": {"bbox": {"AP": ap}}, "empty": {"bbox": {"AP": None}}})

    sizes = {"night": GroupSize(2, 1200, 9), "empty": GroupSize(0, 4, 0)}
    one = replace(report(sliced(BEFORE, 0.25), sliced(AFTER, 0.5)), slices=sizes)
    (matrix,) = slice_matrices(one)
    assert [(column.title, column.basis) for column in matrix.columns] == [("night", "1,200 images with objects")]
    assert [row.cells[0].measured.value for row in matrix.rows] == ["25.00", "50.00"]
    assert matrix.rows[1].cells[0].measured.change == "+25.00"
    assert slice_matrices(BIG) == []


# Cards


def test_cards_are_shown_for_up_to_three_runs():
    assert [row.run for row in cards_of(report(*runs(3)))] == ["run 0", "run 1", "run 2"]
    assert cards_of(report(*runs(4))) == []


def test_a_card_of_what_was_asked_for():
    assert card(report(*runs(2)), "pooled AP").measured.value == "21.00"


def test_a_card_has_what_its_group_rests_on():
    assert card(BIG, "APr").basis == "4 categories"
    assert card(BIG, "AP").basis == ""


def test_undefined_metrics_have_no_cards():
    assert [one.title for one in cards_of(CLASSIFIERS)[0].cards] == ["top-1", "balanced", "many", "few", "ECE"]


# Categories


def test_the_rows_of_the_table():
    grid = grid_of(BIG)
    assert grid.header == ("category", "id", "group", "training images", "images", "objects", "AP, before",
                           "AP, after", "change of AP, after against before")  # fmt: skip
    assert len(grid.rows) == 12
    undefined = grid.rows[0]
    assert [one.text for one in undefined[-3:]] == ["-", "-", "-"]
    assert all(one.key is None for one in undefined[-3:])
    before, after, change = grid.rows[8][-3:]
    first, last = (one.categories[8].metrics["bbox"]["AP"] for one in BIG.runs)
    assert (before.text, before.key) == (f"{100 * first:.2f}", round(first, 6))
    assert (after.text, after.key) == (f"{100 * last:.2f}", round(last, 6))
    assert (change.text, change.key) == (f"{100 * (last - first):+.2f}", round(last - first, 6))


def test_changes_are_of_the_runs_beside_the_reference():
    header = grid_of(replace(report(*runs(2)), compared_to="run 1")).header
    assert header[-3:] == ("AP, run 0", "change of AP, run 0 against run 1", "AP, run 1")


def test_a_category_without_a_name_is_called_by_its_id():
    first = CLASSIFIERS.runs[0]
    bare = replace(first, categories=tuple(replace(row, name="") for row in first.categories))
    grid = grid_of(classification_report(bare))
    assert [row[0].text for row in grid.rows] == ["class 0", "class 1"]
    assert grid.header[:1] + grid.header[5:6] == ("class", "samples")


def test_no_table_without_categories():
    assert grid_of(without_rows(BIG)) is None


# Plots


@pytest.mark.parametrize(
    ("wides", "classes"),
    [
        ((), []),
        ((False,), ["row-of-2 row-of-3"]),
        ((False, False), ["", "double-of-3"]),
        ((False, False, False), ["", "", "row-of-2"]),
        ((False, True), ["row-of-2", "wide"]),
        ((False, True, False, False), ["", "wide", "", "row-of-2 double-of-3"]),
        ((True, True), ["wide", "wide"]),
    ],
)
def test_the_last_narrow_plot_fills_what_is_left_of_its_row(wides, classes):
    plots = [Plot(f"plot {number}", "", "", "", Drawing, wide) for number, wide in enumerate(wides)]
    assert classes_of(plots) == classes


# Glossary and origin


def test_each_definition_is_one_sentence():
    assert all(entry.definition.endswith(".") and ". " not in entry.definition for entry in GLOSSARY)


def test_terms_are_unique():
    texts = [text for entry in GLOSSARY for text in (entry.term, *entry.aliases)]
    assert len(texts) == len(set(texts))
    assert len({entry.id for entry in GLOSSARY}) == len(GLOSSARY)


def test_the_page_has_a_glossary_of_the_terms_that_it_uses_and_no_empty_box_of_warnings():
    page = to_html(without_rows(BIG), "")
    assert 'id="warnings"' not in page
    for text, used in (("FalsePos", True), ("Cls", True), ("LaECE", True), ("NLL", False), ("pooled AP", False)):
        assert (f'<dd id="{entry_of(text).id}">' in page) == used, text


def test_how_a_report_was_made():
    facts = {fact.name: fact for fact in about(report(*runs(2)))}
    assert facts["annotations"].digest == "abcd"
    assert facts["frequencies"].value == "none"
    assert facts["most detections per image"].value == "300"
    assert (facts["run 1"].value, facts["run 1"].digest) == ("run 1.json", "00ff")
    assert "TIDE" not in {fact.name for fact in about(CLASSIFIERS)}


def test_a_note_that_runs_share_is_shown_once():
    both = (replace(run(name, 0.0), notes=("scores are ties",)) for name in ("before", "after"))
    page = to_html(report(*both), "")
    assert page.count("scores are ties") == page.count("all runs: scores are ties") == 1
