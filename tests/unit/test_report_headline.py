"""The headline table in a notebook."""

import dataclasses
import re

import pytest
from reports import BASELINE, HOSTILE, classification_report, classification_run, report, run


def unpadded(table: str) -> str:
    return re.sub(r" *(<[^>]*>) *", r"\1", table).replace(' style="text-align: right;"', "")


def test_a_table_of_the_headline_metrics_that_are_defined():
    assert unpadded(report(run("before", 0.0), run("after", 0.015))._repr_html_()) == (
        "<p>LVIS protocol, at most 300 detections per image; 5 images, 2 categories; ltcal 0.1.0</p>\n"
        "<table>\n"
        "<thead>\n"
        "<tr><th>run</th><th>AP</th><th>AP50</th><th>TIDE FalsePos</th></tr>\n"
        "</thead>\n"
        "<tbody>\n"
        "<tr><td>before</td><td>25.00</td><td>50.00</td><td>20.00</td></tr>\n"
        "<tr><td>after</td><td>26.50</td><td>50.00</td><td>20.00</td></tr>\n"
        "</tbody>\n"
        "</table>\n"
    )


def test_the_baseline_comes_first():
    table = dataclasses.replace(report(run("after", 0.0)), baseline=BASELINE)._repr_html_()
    assert table.index("baseline: main") < table.index("after")
    assert "12.50" in table


def test_classification():
    table = classification_report(classification_run("iif", 0.0))._repr_html_()
    assert [title for title in ("top-1", "balanced", "many", "medium", "few", "ECE") if title in table] == [
        "top-1", "balanced", "many", "few", "ECE",
    ]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text(name):
    table = report(run(name, 0.0))._repr_html_()
    assert "<script" not in table
    assert table.count("<tr>") == 2
    table.encode()
