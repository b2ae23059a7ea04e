"""The pictures of a report: which there are, the same bytes for the same report, and no failure on odd ones."""

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from big_reports import big_report
from reports import BASELINE, classification_report, classification_run, report, run

from longtail_cli.errors import MissingExtraError
from longtail_cli.reports.page.html import to_html
from longtail_cli.reports.plots import as_svg, plots_of, rendered

SMALL = big_report(40)
WEIGHTS = {"raw": np.linspace(1, 6, 40), "smooth": np.linspace(2, 7, 40)}


def names(of, weights=None) -> list[str]:
    return [picture.name for picture in plots_of(of, weights or {})]


def test_the_pictures_of_a_detector():
    assert names(SMALL, WEIGHTS) == [
        "ap-by-group-bbox", "ap-by-training-frequency-bbox", "ap-changes-bbox", "reliability-bbox", "tide-bbox",
        "training-frequency",
    ]  # fmt: skip


def test_the_pictures_of_a_classifier():
    both = classification_report(classification_run("before", 0.0), classification_run("after", 0.125))
    assert "recall-by-group" in names(both)
    assert "reliability" in names(both)
    assert not any("tide" in name for name in names(both))


def test_pictures_without_data_are_left_out():
    bare = replace(run("only", 0.0), categories=(), tide={})
    assert "tide-bbox" not in names(report(bare))
    assert not any("changes" in name or "training" in name for name in names(report(bare)))


def test_the_baseline_is_what_comes_before():
    held = replace(report(run("after", 0.0)), baseline=BASELINE)
    assert "ap-changes-bbox" in names(held)
    other = replace(BASELINE, differences=("cap: 300 here, 100 in the baseline",))
    assert "ap-changes-bbox" not in names(replace(held, baseline=other))


@pytest.mark.parametrize(("file_format", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_files_for_papers_are_the_same_every_time(file_format, magic):
    first = rendered(SMALL, WEIGHTS, file_format)
    assert list(first) == names(SMALL, WEIGHTS)
    assert all(content.startswith(magic) for content in first.values())
    assert rendered(SMALL, WEIGHTS, file_format) == first


def test_every_class_is_a_dot_with_its_name():
    picture = next(one for one in plots_of(SMALL, {}) if one.name == "ap-by-training-frequency-bbox")
    root = ElementTree.fromstring(as_svg(picture))
    labels = [element.get("data-label") for element in root.iter() if element.get("data-label")]
    defined = [row.name for row in SMALL.runs[0].categories if row.metrics["bbox"]["AP"] is not None]
    for name in defined[7:]:
        assert sum(label.split("\n")[0].startswith(name) for label in labels) >= 2, name  # before and after


def test_ids_are_unique_in_a_page():
    ids = []
    for picture in plots_of(SMALL, WEIGHTS):
        ids += [element.get("id") for element in ElementTree.fromstring(as_svg(picture)).iter() if element.get("id")]
    assert len(ids) == len(set(ids))


def test_colours_are_those_of_the_page():
    for picture in plots_of(SMALL, WEIGHTS):
        svg = as_svg(picture)
        assert "var(--ink)" in svg
        assert "#1b1b1b" not in svg


def test_a_page_is_the_same_every_time_and_asks_for_nothing():
    page = to_html(SMALL, WEIGHTS, "ltcal report")
    assert to_html(SMALL, WEIGHTS, "ltcal report") == page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page.replace("https://example.org", "")  # a name of the test
    assert 'src="' not in page


def test_without_the_packages(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"ltcal\[html\]"):
        to_html(SMALL, {}, "")
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"ltcal\[plots\]"):
        rendered(SMALL, {}, "png")
