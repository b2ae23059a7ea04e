"""The report in a pull request."""

from reports import classification_report, classification_run, report, run

from longtail_cli.report.markdown import to_markdown


def test_tables_that_github_renders():
    parts = to_markdown(report(run("before", 0.0), run("after", 0.015))).split("\n\n")
    assert parts[1] == "**Boxes**"
    assert parts[2].splitlines() == [
        "| run        |    AP |   AP50 |   APr |",
        "|:-----------|------:|-------:|------:|",
        "| before     | 25.00 |  50.00 |     - |",
        "| after      | 26.50 |  50.00 |     - |",
        "| difference | +1.50 |  +0.00 |     - |",
    ]


def test_notes_at_the_end():
    assert to_markdown(report(run("a", 0.0))).endswith("- a note on all\n- a: a note\n")


def test_names_can_break_neither_the_table_nor_the_page():
    text = to_markdown(report(run("a", 0.0, category='<script>|x|\n*b* [l](u) $m$ \u202eמ 🐈 "q", `c`')))
    row = next(line for line in text.splitlines() if "script" in line)
    assert row.startswith('| &lt;script&gt;\\|x\\| \\*b\\* \\[l\\](u) \\$m\\$ \u202eמ 🐈 "q", \\`c\\`')
    assert row.count("|") - row.count("\\|") == 7


def test_confusion_by_group_with_the_run_in_the_title():
    parts = to_markdown(classification_report(classification_run("none", 0.0))).split("\n\n")
    assert parts[3] == "**Mass of the scores by group, none**"
    assert parts[4].splitlines() == [
        "| true group   |   to many |   to few |",
        "|:-------------|----------:|---------:|",
        "| many         |     75.00 |    25.00 |",
        "| few          |     50.00 |    50.00 |",
    ]


def test_names_of_runs_can_break_no_title():
    text = to_markdown(classification_report(classification_run("<b>*a*\n# b", 0.0)))
    assert "**Mass of the scores by group, &lt;b&gt;\\*a\\* \\# b**" in text
