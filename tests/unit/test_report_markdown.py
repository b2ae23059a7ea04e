"""The report in a pull request."""

from reports import report, run

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
