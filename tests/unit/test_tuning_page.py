"""The plots and the page of a tuning."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest
from reports import HOSTILE
from tunings import NORCAL, candidate, classification_tuning, detection_tuning, held_out, partial_tuning

from longtail_cli.errors import MissingExtraError
from longtail_cli.reports.page.tuning import grid_of, to_html
from longtail_cli.reports.plots.formats import as_file, as_svg
from longtail_cli.reports.plots.style import styled
from longtail_cli.reports.plots.tuning_figures import plots_of, rendered

TUNINGS = [detection_tuning(), classification_tuning(), partial_tuning()]
IDS = ["detection", "classification", "partial"]


def drawn(tuning, name):
    with styled():
        return next(plot for plot in plots_of(tuning) if plot.name == name).draw().figure


@pytest.mark.parametrize("tuning", TUNINGS, ids=IDS)
def test_the_plots(tuning):
    assert [plot.name for plot in plots_of(tuning)] == ["tuning-tradeoff", "tuning-strength"]


@pytest.mark.parametrize(("file_format", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_plot_files_are_reproducible(file_format, magic):
    plot = plots_of(detection_tuning())[-1]
    first = as_file(plot, file_format)
    assert first.startswith(magic)
    assert as_file(plot, file_format) == first


def test_plots_without_data_are_omitted():
    fixed = replace(detection_tuning(), candidates=detection_tuning().candidates[:1])
    assert [plot.name for plot in plots_of(fixed)] == ["tuning-tradeoff"]
    bare = replace(fixed, candidates=(replace(fixed.candidates[0], metrics={}),))
    assert plots_of(bare) == []


def test_every_candidate_is_a_labelled_point():
    for plot in plots_of(detection_tuning()):
        root = ElementTree.fromstring(as_svg(plot, plot.name))
        labels = [element.get("data-label", "").split("\n")[0] for element in root.iter()]
        assert {one.spec for one in detection_tuning().candidates[1:]} <= set(labels), plot.name


def test_a_panel_for_each_space_with_no_adjustment_and_the_choice():
    figure = drawn(detection_tuning(), "tuning-strength")
    assert [axes.get_xlabel() for axes in figure.axes if axes.get_visible()] == ["gamma", "strength"]
    assert figure.axes[0].get_ylabel() == "AP (%)"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["no adjustment", "chosen: norcal:gamma=0.5"]
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == ["variant=raw", "variant=base10"]


def test_no_adjustment_may_be_the_choice():
    whole = detection_tuning()
    one = replace(whole, chosen=replace(whole.chosen, space="none", spec="none", candidate="none", run="none"))
    assert [text.get_text() for text in drawn(one, "tuning-strength").legends[0].get_texts()] == ["no adjustment"]
    assert drawn(one, "tuning-tradeoff").legends[0].get_texts()[-1].get_text() == "chosen: none"


def test_the_axes_of_the_tradeoff():
    axes = drawn(classification_tuning(), "tuning-tradeoff").axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "accuracy of many-shot classes (%)",
        "accuracy of few-shot classes (%)",
    )


def test_at_most_nine_panels():
    many = [candidate(f"m{n}:t={t}", f"m{n}:t=0..1", {"t": t}, 0.1 * t, 0.4) for n in range(12) for t in (0.0, 1.0)]
    one = replace(detection_tuning(), candidates=(detection_tuning().candidates[0], *many), best=())
    assert len(drawn(one, "tuning-strength").axes) == 9
    assert "The 3 spaces whose best is worst are left out." in plots_of(one)[1].caption


def test_words_are_ticks():
    words = [candidate(f"bags:mode={word}", "bags:mode=*", {"mode": word}, 0.1, 0.4) for word in ("all", "rare")]
    one = replace(detection_tuning(), candidates=(detection_tuning().candidates[0], *words), best=())
    ticks = drawn(one, "tuning-strength").axes[0].get_xticklabels()
    assert [tick.get_text() for tick in ticks] == ["all", "rare"]


def test_values_far_worse_than_the_others_are_cut_off():
    broken = candidate("norcal:gamma=9.0", NORCAL, {"gamma": 9.0}, 0.0, 0.0)
    one = replace(detection_tuning(), candidates=(*detection_tuning().candidates, broken))
    assert drawn(one, "tuning-strength").axes[0].get_ylim()[0] > 15


def test_undefined_values_are_left_out():
    first, second, *others = detection_tuning().candidates
    empty = replace(second, objective=None, error=None, metrics={**second.metrics, "bbox/APr": None})
    one = replace(detection_tuning(), candidates=(first, empty, *others))
    assert len(rendered(one, "png")) == 2


@pytest.mark.parametrize("tuning", TUNINGS, ids=IDS)
def test_a_page_is_reproducible_and_loads_nothing(tuning):
    page = to_html(tuning, "ltcal tune")
    assert to_html(tuning, "ltcal tune") == page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page
    assert 'src="' not in page


def test_the_page_shows_the_choice_the_tables_and_every_candidate():
    page = to_html(replace(detection_tuning(), heldout=held_out(), split="half:0"), "ltcal tune x -o tuned.json")
    assert "<title>norcal:gamma=0.5 - ltcal tuning</title>" in page
    assert "ltcal tune x -o tuned.json" in page
    assert "chosen, cross-fitted" in page
    assert "On the other half" in page
    assert "Not complete" not in page
    assert all(one.spec in page for one in detection_tuning().candidates)


def test_a_page_of_a_search_that_was_interrupted():
    assert "The search was interrupted" in to_html(partial_tuning(), "")


def test_the_grid_sorts_by_numbers():
    grid = grid_of(detection_tuning())
    assert grid.header[:5] == ("candidate", "number", "space", "bbox/AP", "standard error")
    assert [cell.text for cell in grid.rows[2]] == [
        "norcal:gamma=0.5", "2", NORCAL, "28.67", "0.40", "18.00", "30.00", "38.00", "0.0800", "yes",
    ]  # fmt: skip
    assert grid.rows[2][3].key == detection_tuning().candidates[2].objective


def test_names_are_escaped():
    first, *others = detection_tuning().candidates
    hostile = [replace(first, spec=name, space=name, settings={"t": 1.0}) for name in HOSTILE]
    script = next(name for name in HOSTILE if "<script>" in name)
    one = replace(
        detection_tuning(),
        candidates=(first, *hostile, *others),
        chosen=replace(detection_tuning().chosen, spec=script, fold_specs=HOSTILE),
        notes=HOSTILE,
    )
    page = to_html(one, " ".join(HOSTILE))
    assert "<script>alert" not in page
    page.encode("utf-8")


def test_without_the_packages(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"ltcal\[html\]"):
        to_html(detection_tuning(), "")
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"ltcal\[plots\]"):
        rendered(detection_tuning(), "png")
