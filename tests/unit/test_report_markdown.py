"""The report as Markdown."""

import dataclasses

import pytest
from reports import (
    BASELINE,
    HOSTILE,
    classification_report,
    classification_run,
    gated_report,
    many_categories,
    report,
    run,
    verdict,
)

from longtail_cli.reports.markdown import to_markdown
from longtail_cli.reports.model import Baseline, Report


def test_tables_that_github_renders_with_differences_in_the_cells():
    parts = to_markdown(report(run("before", 0.0), run("after", 0.015))).split("\n\n")
    assert parts[1] == '**Boxes, percent; differences are to "before"**'
    assert parts[2].splitlines() == [
        "| run    |            AP |          AP50 |",
        "|:-------|--------------:|--------------:|",
        "| before |         25.00 |         50.00 |",
        "| after  | 26.50 (+1.50) | 50.00 (+0.00) |",
    ]


def test_notes_at_the_end():
    assert to_markdown(report(run("a", 0.0))).endswith("- a note on all\n- a: a note\n")


def test_a_note_that_several_runs_share_is_listed_once():
    notes = {"a": ("shared", "alike", "alike"), "b": ("shared", "of two"), "c": ("shared", "of two")}
    runs = [dataclasses.replace(run(name, 0.0), notes=own) for name, own in notes.items()]
    assert to_markdown(report(*runs)).endswith("\n\n- a note on all\n- all runs: shared\n- a: alike\n- b, c: of two\n")


def test_warnings_come_before_the_gates():
    one = dataclasses.replace(gated_report(run("a", 0.0)), warnings=("no <b>", "twice"))
    parts = to_markdown(one).split("\n\n")
    assert parts[1] == "> **Warning:** no &lt;b&gt;\n>\n> **Warning:** twice"
    assert parts[2].startswith("**2 of 5 gates failed")


def test_names_cannot_break_the_table_or_the_page():
    text = to_markdown(report(run("a", 0.0, category='<script>|x|\n*b* [l](u) $m$ \u202eמ 🐈 "q", `c`')))
    row = next(line for line in text.splitlines() if "script" in line)
    assert row.startswith('| &lt;script&gt;\\|x\\| \\*b\\* \\[l\\](u) \\$m\\$ \u202eמ 🐈 "q", \\`c\\`')
    assert row.count("|") - row.count("\\|") == 7


def test_confusion_by_group_with_the_run_in_the_title():
    parts = to_markdown(classification_report(classification_run("none", 0.0))).split("\n\n")
    assert parts[3] == "**Mass of the scores by group, percent, none**"
    assert parts[4].splitlines() == [
        "| true group   |   to many |   to few |",
        "|:-------------|----------:|---------:|",
        "| many         |     75.00 |    25.00 |",
        "| few          |     50.00 |    50.00 |",
    ]


def test_names_of_runs_cannot_break_titles():
    text = to_markdown(classification_report(classification_run("<b>*a*\n# b", 0.0)))
    assert "**Mass of the scores by group, percent, &lt;b&gt;\\*a\\* \\# b**" in text


def test_gates_come_first_with_a_mark_beside_the_word():
    parts = to_markdown(gated_report(run("after", 0.0))).split("\n\n")
    assert parts[1] == (
        "**2 of 5 gates failed, 1 could not be judged (values and limits are fractions, as in the JSON)**"
    )
    assert [line.split("|")[1].strip() for line in parts[2].splitlines()[2:]] == [
        "❌ **failed**",
        "❌ **undefined**",
        "❌ **not comparable**",
        "✅ **passed**",
        "⚠️ **undefined, allowed**",
    ]
    assert (
        parts[2]
        .splitlines()[2]
        .endswith(
            "| max-drop bbox/APr           | after | 0.1000 (-0.1000) |      1% | after: bbox/APr failed         |"
        )
    )


def test_notes_state_why_a_baseline_cannot_be_compared():
    other = dataclasses.replace(BASELINE, differences=("other annotations", "another cap"))
    text = to_markdown(gated_report(run("a", 0.0), baseline=other))
    assert text.endswith(
        "\n\n- baseline main.json cannot be compared: other annotations\n"
        "- baseline main.json cannot be compared: another cap\n- a note on all\n- a: a note\n"
    )


def size(text: str) -> int:
    return len(text.encode())


def categories_in(text: str) -> list[int]:
    """The ids of the table of categories."""
    return [
        int(line.split("|")[2])
        for line in text.splitlines()
        if line.startswith("| c") and line.split("|")[2].strip().isdigit()
    ]


def changed(count: int) -> Report:
    """Two runs over `count` categories; the greater the id, the greater the change, up and down in turn."""
    before = [0.5] * count
    after = [0.5 + (-1) ** key * key / (4 * count) for key in range(count)]
    return report(many_categories("before", before), many_categories("after", after))


def test_within_the_limit_nothing_is_omitted():
    whole = to_markdown(changed(50))
    assert to_markdown(changed(50), size(whole)) == whole
    assert to_markdown(changed(50), size(whole) - 1) != whole


def test_the_rows_that_changed_most_are_kept_whole_and_in_order():
    one = changed(50)
    limit = size(to_markdown(one)) - 1000
    text = to_markdown(one, limit)
    kept = categories_in(text)
    (row,) = [line for line in text.splitlines() if line.startswith("| c49 ")]
    assert limit - size(row) - 1 < size(text) <= limit
    assert kept == list(range(50 - len(kept), 50))
    assert set(text.splitlines()) - set(to_markdown(one).splitlines()) == {
        f"{50 - len(kept)} of 50 rows omitted to stay within the size limit; those that changed most are kept; "
        "the CSV report has all rows."
    }


def test_the_first_rows_of_a_single_run_are_kept():
    one = report(many_categories("a", [0.5] * 50))
    text = to_markdown(one, size(to_markdown(one)) - 500)
    kept = categories_in(text)
    assert 0 < len(kept) < 50
    assert kept == list(range(len(kept)))
    assert "the first by id are kept" in text


def test_no_limit_is_exceeded_and_every_line_is_whole():
    one = gated_report(*changed(20).runs, baseline=BASELINE)
    whole = to_markdown(one)
    lines = {line.replace(" ", "").replace("-", "") for line in whole.splitlines()}
    sizes = []
    for limit in range(-1, size(whole) + 40, 37):
        text = to_markdown(one, limit)
        assert size(text) <= max(limit, 0)
        assert text == "" or text.endswith("\n")
        other = [line for line in text.splitlines() if line.replace(" ", "").replace("-", "") not in lines]
        assert all(" omitted to stay within the size limit" in line for line in other)
        sizes.append(size(text))
    assert sizes == sorted(sizes)


def test_without_space_for_tables_gates_stay_with_a_line_on_what_is_missing():
    one = gated_report(*changed(20).runs)
    text = to_markdown(one, 1250)
    assert "❌ **failed**" in text
    assert "6 of 6 tables omitted to stay within the size limit; the JSON report has all metrics." in text
    assert to_markdown(one, 200).splitlines()[-1] == (
        "All warnings, gates, tables and notes omitted to stay within the size limit; the JSON report has all metrics."
    )
    assert to_markdown(one, 20) == ""


def hostile_report(name: str) -> Report:
    one = gated_report(run(name, 0.0, category=name), gates=(verdict("failed", run=name, message=name),))
    return dataclasses.replace(one, baseline=Baseline(name, run(name, 0.0), ()), notes=(name,))


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_leaves_the_page_as_it_is(name):
    def shape(text: str) -> list[int]:
        return [line.count("|") - line.count("\\|") for line in text.splitlines()]

    text = to_markdown(hostile_report(name))
    assert shape(text) == shape(to_markdown(hostile_report("plain")))
    assert not set("<>\x00\x1b\ud800") & set(text)
    text.encode()
