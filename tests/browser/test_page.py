"""The HTML page in a browser, opened from a file without network access."""

from __future__ import annotations

import time

import pytest
from big_reports import CATEGORIES, big_report
from reports import HOSTILE, classification_report, classification_run

from longtail_cli.reports.page.html import to_html

COMMAND = "ltcal report before.json after.json --annotations val.json --html report.html"


@pytest.fixture(scope="session")
def large() -> str:
    return to_html(big_report(), COMMAND)


@pytest.fixture(scope="session")
def small() -> str:
    return to_html(big_report(60), COMMAND)


def column(page, number: int) -> list[str]:
    return page.eval_on_selector_all(
        "#categories tbody tr:not([hidden])", f"rows => rows.map(row => row.cells[{number}].textContent)"
    )


def test_every_plot_is_drawn(opened, small: str) -> None:
    page = opened(small)
    boxes = [plot.bounding_box() for plot in page.query_selector_all("figure svg")]
    assert len(boxes) >= 6
    assert all(box["width"] > 200 and box["height"] > 100 for box in boxes)


def test_headlines_differences_and_intervals(opened, small: str) -> None:
    page = opened(small)
    after = page.query_selector_all(".cards")[1].inner_text()
    for text in ("AP rare", "22.00", "+2.00", "95%: 20.00 to 40.00", "change: +1.00 to +3.00", "ground truths"):
        assert text in after


def test_a_click_on_a_header_sorts_and_undefined_values_come_last(opened, small: str) -> None:
    page = opened(small)
    header = page.locator("#categories th", has_text="AP, after")
    for state, reverse in (("descending", True), ("ascending", False)):
        header.locator("button").click()
        assert header.get_attribute("aria-sort") == state
        shown = column(page, 7)
        defined = [float(cell) for cell in shown if cell != "-"]
        assert defined == sorted(defined, reverse=reverse)
        assert shown[len(defined) :] == ["-"] * (len(shown) - len(defined)) != []


def test_names_sort_in_natural_order(opened, small: str) -> None:
    page = opened(small)
    page.locator("#categories th button").first.click()
    names = [name for name in column(page, 0) if name.startswith("category ")]
    assert names == [f"category {number}" for number in range(len(HOSTILE), 60)]


def test_the_table_is_sorted_from_the_keyboard(opened, small: str) -> None:
    page = opened(small)
    button = page.locator("#categories th button").nth(1)
    button.focus()
    page.keyboard.press("Enter")
    assert column(page, 1)[0] == "59"


def test_search_and_group_narrow_the_table(opened, small: str) -> None:
    page = opened(small)
    page.fill("#search", "CATEGORY 5")
    assert column(page, 0) == [f"category {number}" for number in range(50, 60)]
    assert page.inner_text("#count") == "10 of 60"
    page.fill("#search", "59")
    assert column(page, 0) == ["category 59"]
    page.fill("#search", "no such name")
    assert page.inner_text("#count") == "0 of 60"
    page.fill("#search", "")
    page.select_option("#group", "c")
    assert set(column(page, 2)) == {"c"}


def test_a_point_shows_its_label(opened, small: str) -> None:
    page = opened(small)
    dot = page.locator('#ap-by-training-frequency-bbox [data-label*="category 31"]').first
    dot.scroll_into_view_if_needed()
    dot.hover(force=True)
    assert "category" in page.inner_text("#tip")
    plot = page.locator("#ap-by-training-frequency-bbox svg")
    plot.focus()
    page.mouse.move(0, 0)
    page.keyboard.press("ArrowRight")
    first = page.inner_text("#tip")
    page.keyboard.press("ArrowRight")
    assert first != page.inner_text("#tip") != ""


def test_light_and_dark_themes(opened, small: str) -> None:
    page = opened(small)
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.click("#theme")
    dark = page.evaluate(colour)
    assert light != dark
    page.click("#theme")
    assert page.evaluate(colour) == light
    page.emulate_media(color_scheme="dark")
    page.reload()
    assert page.evaluate(colour) == dark


def test_hostile_names_are_text(opened, small: str) -> None:
    """No script in them runs (a dialog or an error would fail the test), and they are shown as far as possible."""
    page = opened(small)
    names = column(page, 0)[: len(HOSTILE)]
    assert names[0] == HOSTILE[0]
    assert names[1:4] == list(HOSTILE[1:4])
    assert page.query_selector("td script") is None
    assert COMMAND in page.inner_text("#command")


def test_a_classifier(opened) -> None:
    html = to_html(classification_report(classification_run("before", 0.0), classification_run("after", 0.125)), "")
    page = opened(html)
    assert "top-1" in page.inner_text("main")
    assert page.query_selector_all("figure svg")


def test_1203_categories_are_interactive_in_two_seconds_and_five_megabytes(opened, large: str) -> None:
    """A limit of the project, not a benchmark: from opening the file to a table sorted by a click."""
    assert len(large.encode()) < 5e6
    begin = time.perf_counter()
    page = opened(large)
    page.locator("#categories th button").nth(1).click()
    shown = column(page, 1)
    seconds = time.perf_counter() - begin
    assert shown == [str(number) for number in reversed(range(CATEGORIES))]
    assert seconds < 2, f"{seconds:.2f} s"
