"""The layout of the pages in a browser, on a phone, a laptop and a wide screen, in both colour schemes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from big_reports import big_report
from reports import BASELINE, HOSTILE, classification_report, classification_run, gated_report, run
from tunings import detection_tuning

from longtail_cli.metrics import Interval
from longtail_cli.reports.metric_names import metrics_of
from longtail_cli.reports.model import Report
from longtail_cli.reports.page.html import to_html
from longtail_cli.reports.page.tuning import to_html as tuning_to_html

LONG = "temperature:t=1.5+norcal:gamma=0.6+logit-adjust:tau=1.0,prior=train-images"
SIZES = {390: 844, 1280: 900, 1920: 1080}


def many_runs(count: int) -> Report:
    """Runs with intervals, the first ones with long and hostile names."""
    one = big_report(12)
    before, after = one.runs
    names = (LONG, "W" * 90, *HOSTILE[:2], *(f"run {number}" for number in range(count)))[: count - 1]
    return replace(one, runs=(before, *(replace(after, name=name, method=LONG) for name in names)))


def without_plots_of_categories(one: Report) -> Report:
    """The report with its first category alone, whose AP is undefined, as plots of eight runs take seconds."""
    return replace(one, runs=tuple(replace(run, categories=run.categories[:1]) for run in one.runs))


def classifiers() -> Report:
    first, second = classification_run("before", 0.0), classification_run("after", 0.125)
    nameless = [
        replace(one, categories=tuple(replace(row, name="") for row in one.categories)) for one in (first, second)
    ]
    return classification_report(*nameless)


PAGES = {
    "one run": lambda: to_html(gated_report(run("after", 0.0)), ""),
    "eight runs": lambda: to_html(replace(without_plots_of_categories(many_runs(8)), baseline=BASELINE), ""),
    "a classifier": lambda: to_html(classifiers(), ""),
    "a tuning": lambda: tuning_to_html(detection_tuning(), "ltcal tune"),
}
"""Beside a page of three runs, which all tests share."""

BROKEN = """() => {
  const texts = [...document.querySelectorAll("th, td, dt, dd, li, p, small, h1, h2, h3, figcaption, summary")];
  return texts.filter((element) => {
    const range = document.createRange();
    const nodes = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    const tops = new Set();
    while (nodes.nextNode()) {
      range.selectNodeContents(nodes.currentNode);
      for (const box of range.getClientRects()) if (box.width) tops.add(Math.round(box.top / 12));
    }
    return tops.size > 2 && element.textContent.replace(/\\s+/g, "").length < 4 * tops.size;
  }).map((element) => element.outerHTML.slice(0, 200));
}"""
"""Elements whose text stands in more than two lines of fewer than four letters each."""

FAINT = """() => {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const luminance = (colours) => {
    context.clearRect(0, 0, 1, 1);
    for (const colour of colours) { context.fillStyle = colour; context.fillRect(0, 0, 1, 1); }
    const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => getComputedStyle(element).backgroundColor;
  const behind = (element) => element ? [...behind(element.parentElement), ground(element)] : [];
  const kinds = new Map();
  for (const element of document.querySelectorAll("header *, main :not(svg, svg *, script)")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    const name = (one) => `${one.tagName}.${one.className}`;
    const kind = `${name(element)} in ${name(element.parentElement)}`;
    if (own && !kinds.has(kind) && element.getClientRects().length) kinds.set(kind, element);
  }
  return [...kinds].map(([kind, element]) => {
    const paper = luminance(behind(element));
    const ink = luminance([...behind(element), getComputedStyle(element).color]);
    return [kind, (Math.max(paper, ink) + 0.05) / (Math.min(paper, ink) + 0.05)];
  }).filter(([, contrast]) => contrast < 4.5);
}"""
"""Kinds of text whose contrast is below 4.5, that of WCAG 2.2 AA."""


@pytest.mark.parametrize("name", [*PAGES, "three runs"])
def test_a_page_at_all_widths_in_both_schemes(opened, name: str, three: str) -> None:
    """It does not scroll sideways, with all tables open; no text is broken into letters; all text can be read; and
    every plot is drawn.
    """
    page = opened(PAGES[name]() if name in PAGES else three)
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true })")
    for width, height in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(BROKEN) == []
    plots = [plot.bounding_box() for plot in page.query_selector_all("figure svg")]
    assert all(plot["width"] > 200 and plot["height"] > 50 for plot in plots)
    assert plots
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate(FAINT) == [], scheme


@pytest.fixture(scope="module")
def judged() -> Report:
    """Three runs under gates; what the last one changes in AP is uncertain."""
    one = many_runs(3)
    uncertain = replace(one.runs[2], name="last", deltas={**one.runs[2].deltas, "bbox/AP": Interval(-0.01, 0.05)})
    gates = gated_report(run("after", 0.0)).gates
    return replace(one, runs=(*one.runs[:2], uncertain), gates=gates, warnings=("no AP can change: " + "W" * 300,))


@pytest.fixture(scope="module")
def three(judged: Report) -> str:
    return to_html(judged, "ltcal report " + "path/" * 60)


def test_the_page_begins_with_warnings_the_verdict_and_the_runs(opened, three: str, judged: Report) -> None:
    page = opened(three)
    tops = [
        page.locator(part).first.bounding_box()["y"]
        for part in ("#warnings", ".verdict", ".matrix", ".cards", "figure")
    ]
    assert tops == sorted(tops)
    assert "failed" in page.locator(".verdict").get_attribute("class").split()
    assert page.inner_text(".verdict") == "2 of 5 gates failed, 1 could not be judged"
    assert page.locator(".gates li").first.inner_text().startswith("failed")

    rows = page.eval_on_selector_all(
        ".matrix tbody tr", "rows => rows.map(row => [...row.querySelectorAll('.value')].map(one => one.textContent))"
    )
    names = ["AP", "AP50", "AP75", "APr", "APc", "APf"]
    for row, one in zip(rows, judged.runs, strict=True):
        metrics = metrics_of(one)
        assert row[: len(names)] == [f"{100 * metrics[f'bbox/{name}']:.2f}" for name in names]

    colours = page.eval_on_selector_all(
        ".matrix tbody td:nth-of-type(1) .change", "all => all.map(one => getComputedStyle(one).color)"
    )
    swatches = page.eval_on_selector_all(
        ".matrix .swatch", "all => all.map(one => getComputedStyle(one).backgroundColor)"
    )
    assert len({*colours, *swatches}) == 5  # gain, uncertain, and three runs


def test_terms_and_cells_are_explained_on_focus_on_hover_and_on_a_tap(opened, three: str) -> None:
    page = opened(three)
    definition = page.text_content("#term-ap")
    page.locator(".matrix").locator("xpath=..").focus()
    page.keyboard.press("Tab")
    assert page.inner_text("#tip") == definition
    page.keyboard.press("Escape")
    assert page.is_hidden("#tip")
    assert definition in page.inner_text(".glossary")

    page.locator(".card .term", has_text="APr").first.hover()
    assert page.inner_text("#tip") == page.text_content("#term-apr")
    page.mouse.move(0, 0)
    assert page.is_hidden("#tip")
    page.locator(".card .term", has_text="APc").first.dispatch_event("click")
    assert page.inner_text("#tip") == page.text_content("#term-apc")

    page.locator(".matrix td").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#tip").splitlines()[:2] == [f"{LONG}, AP50: 52.00", "95% interval: 20.00 to 40.00"]


def test_tables_show_that_they_scroll_and_keep_their_first_column(opened, three: str) -> None:
    page = opened(three)
    box = page.locator(".scroll", has=page.locator("#categories"))
    edges = box.locator("xpath=..")
    page.set_viewport_size({"width": 390, "height": 844})
    assert "more-right" in edges.get_attribute("class")
    name = page.locator("#categories tbody td").first
    left = name.bounding_box()["x"]
    box.evaluate("box => { box.scrollLeft = box.scrollWidth; box.dispatchEvent(new Event('scroll')) }")
    assert "more-right" not in edges.get_attribute("class")
    assert "more-left" in edges.get_attribute("class")
    assert name.bounding_box()["x"] == left

    page.set_viewport_size({"width": 1920, "height": 1080})
    assert page.locator("#categories").bounding_box()["width"] > 1500
    page.emulate_media(media="print")
    assert box.evaluate("box => getComputedStyle(box).overflow") == "visible"
    assert page.is_hidden("#theme")
