"""The HTML page in a browser, opened from a file without network access."""

from __future__ import annotations

import time

import pytest
from big_reports import CATEGORIES, big_report
from reports import HOSTILE

from longtail_cli.reports.page.html import to_html

COMMAND = "ltcal report before.json after.json --annotations val.json --html report.html"


@pytest.fixture(scope="module")
def large() -> str:
    return to_html(big_report(), COMMAND)


@pytest.fixture(scope="module")
def small() -> str:
    return to_html(big_report(60), COMMAND)


def column(page, number: int) -> list[str]:
    return page.eval_on_selector_all(
        "#categories tbody tr:not([hidden])", f"rows => rows.map(row => row.cells[{number}].textContent)"
    )


def test_the_content_of_a_page(opened, small: str) -> None:
    """Every plot is drawn. No script in a name runs (a dialog or an error would fail the test), and names are shown as
    far as possible. A point shows its label under the pointer, and the arrow keys go to the next.
    """
    page = opened(small)
    boxes = [plot.bounding_box() for plot in page.query_selector_all("figure svg")]
    assert len(boxes) >= 6
    assert all(box["width"] > 200 and box["height"] > 100 for box in boxes)

    after = page.locator(".cards").nth(1).locator(".card", has_text="APr").inner_text()
    assert after.split() == [
        "APr",
        "22.00",
        "20.00\N{EN DASH}40.00",
        "+2.00",
        *["+1.00", "to", "+3.00", "20", "categories"],
    ]

    assert column(page, 0)[:4] == list(HOSTILE[:4])
    assert page.query_selector("td script") is None
    assert COMMAND in page.inner_text("#command")

    dot = page.locator('#ap-by-training-frequency-bbox-after [data-label*="category 31"]').first
    dot.scroll_into_view_if_needed()
    dot.hover(force=True)
    assert "category" in page.inner_text("#tip")
    page.locator("#ap-by-training-frequency-bbox-after svg").focus()
    page.mouse.move(0, 0)
    page.keyboard.press("ArrowRight")
    first = page.inner_text("#tip")
    page.keyboard.press("ArrowRight")
    assert first != page.inner_text("#tip") != ""


def test_the_table_is_sorted_by_clicks_and_keys(opened, small: str) -> None:
    """Undefined values come last both ways, and names are in natural order."""
    page = opened(small)
    header = page.locator("#categories th").nth(7)
    assert header.inner_text().startswith("AP, after")
    for state, reverse in (("descending", True), ("ascending", False)):
        header.locator("button").click()
        assert header.get_attribute("aria-sort") == state
        shown = column(page, 7)
        defined = [float(cell) for cell in shown if cell != "-"]
        assert defined == sorted(defined, reverse=reverse)
        assert shown[len(defined) :] == ["-"] * (len(shown) - len(defined)) != []

    page.locator("#categories th button").first.click()
    names = [name for name in column(page, 0) if name.startswith("category ")]
    assert names == [f"category {number}" for number in range(len(HOSTILE), 60)]

    page.locator("#categories th button").nth(1).focus()
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


def test_1203_categories_are_interactive_in_two_seconds_and_five_megabytes(opened, large: str) -> None:
    """A limit of the project, not a benchmark: from opening the file to a table sorted by a click.

    The fastest of up to three times counts, as other processes share the machine.
    """
    assert len(large.encode()) < 5e6
    times: list[float] = []
    while len(times) < 3 and min(times, default=2) >= 2:
        begin = time.perf_counter()
        page = opened(large)
        page.locator("#categories th button").nth(1).click()
        shown = column(page, 1)
        times.append(time.perf_counter() - begin)
        assert shown == [str(number) for number in reversed(range(CATEGORIES))]
    assert min(times) < 2, times
