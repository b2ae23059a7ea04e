"""The looks of plots: a run keeps its colour, colours differ for every reader, and titles name the runs."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
from big_reports import big_report
from reports import HOSTILE

from longtail_cli.metrics import Interval
from longtail_cli.reports.model import ORACLE, Report
from longtail_cli.reports.plots.figures import plots_of, rendered
from longtail_cli.reports.plots.formats import VARIABLES, as_svg
from longtail_cli.reports.plots.plot import Plot, short, slugs_of
from longtail_cli.reports.plots.style import GAIN, LOOKS, LOSS, look_of, looks_of, styled

CSS = (files("longtail_cli.reports.page") / "report.css").read_text("utf-8")
CATEGORIES = 30


def runs_named(*names: str) -> Report:
    """Runs of one detector under these names, each a little better than the one before, with intervals."""
    small = big_report(CATEGORIES)
    runs = []
    for number, name in enumerate(names):
        metrics = {**small.runs[0].metrics["bbox"], "APr": 0.2 + 0.02 * number, "APf": 0.4 - 0.01 * number}
        rows = [
            replace(
                row, metrics={"bbox": {"AP": None if ap is None else min(ap + 0.03 * number * (-1) ** row.id, 1.0)}}
            )
            for row in small.runs[0].categories
            for ap in [row.metrics["bbox"]["AP"]]
        ]
        ends = {"bbox/APr": Interval(0.1, 0.3)}
        runs.append(
            replace(small.runs[0], name=name, metrics={"bbox": metrics}, categories=tuple(rows), intervals=ends)
        )
    return replace(small, runs=tuple(runs), weights={names[-1]: tuple(np.linspace(1, 5, CATEGORIES).tolist())})


THREE = runs_named("a", "b", "c")


def plot_named(name: str) -> Plot:
    return next(plot for plot in plots_of(THREE) if plot.name == name)


def artists(figure) -> Iterator[object]:
    return (one for one in figure.findobj() if one.get_visible())


def colours_in(figure) -> set[str]:
    """Every colour that is drawn, as hex codes."""
    from matplotlib.colors import to_hex, to_rgba_array

    found = set()
    for one in artists(figure):
        for name in ("get_facecolor", "get_edgecolor", "get_color"):
            if hasattr(one, name):
                found |= {to_hex(colour) for colour in to_rgba_array(getattr(one, name)())}
    return found


def drawn(report: Report) -> dict[str, object]:
    with styled():
        return {plot.name: plot.draw().figure for plot in plots_of(report)}


def test_a_run_keeps_its_colour_in_every_plot_and_no_other_colour_means_anything_but_gain_and_loss():
    colour = {side: look.colour for side, look in looks_of(THREE).items()}
    figures = drawn(THREE)
    all_runs, known = set(colour.values()), {*(look.colour for look in LOOKS), GAIN, LOSS}
    assert {name: colours_in(figure) & known for name, figure in figures.items()} == {
        "ap-by-group-bbox": all_runs,
        "pareto-bbox": all_runs,
        "ap-by-training-frequency-bbox-b": {colour["a"], colour["b"]},
        "ap-by-training-frequency-bbox-c": {colour["a"], colour["c"]},
        "ap-changes-bbox-b": {GAIN, LOSS},
        "ap-changes-bbox-c": {GAIN, LOSS},
        "reliability-bbox": all_runs,
        "tide-bbox": all_runs,
        "training-frequency": {colour["c"]},  # the only run with weights
    }  # fmt: skip


def test_the_colour_follows_the_order_of_the_runs_and_not_the_reference():
    assert looks_of(replace(THREE, compared_to="b"))["a"] == look_of(0)
    assert [look.variable for look in looks_of(THREE).values()] == ["--run-1", "--run-2", "--run-3"]


def test_runs_can_be_told_apart_without_colour():
    looks = [look_of(index) for index in range(24)]
    for part in ("colour", "variable", "marker", "hatch", "line"):
        assert len({getattr(look, part) for look in looks[:8]}) == 8, part
    assert len(set(looks)) == 24
    assert looks[8].colour == looks[0].colour


# Machado et al., "A Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE TVCG 2009, severity 1,
# on linear sRGB
VISION = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colour: str) -> np.ndarray:
    channel = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)


def oklab(rgb: np.ndarray) -> np.ndarray:
    """Ottosson's OKLab (2020), in which distances are about as large as they look."""
    cones = np.cbrt(np.array([[0.41222147, 0.53633254, 0.05144599], [0.21190350, 0.68069955, 0.10739696],
                              [0.08830246, 0.28171884, 0.62997870]]) @ np.clip(rgb, 0, 1))  # fmt: skip
    return np.array([[0.21045426, 0.79361779, -0.00407205], [1.97799850, -2.42859221, 0.45059371],
                     [0.02590404, 0.78277177, -0.80867577]]) @ cones  # fmt: skip


def contrast(one: str, other: str) -> float:
    """The contrast ratio of WCAG 2."""
    dark, light = sorted(float(linear(colour) @ [0.2126, 0.7152, 0.0722]) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


PAIRS = dict(re.findall(r"(--[a-z0-9-]+): light-dark\((#\w{6}, #\w{6})\)", CSS))
"""By variable of the page its colour in the light and in the dark scheme."""

LIGHT, DARK = ({name: pair.split(", ")[index] for name, pair in PAIRS.items()} for index in (0, 1))


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_differ_for_every_reader_in_both_schemes(scheme):
    assert set(VARIABLES.values()) <= set(scheme)
    colours = [scheme[name] for name in (*(look.variable for look in LOOKS), "--gain", "--loss")]
    assert all(contrast(colour, scheme["--paper"]) > 2.2 for colour in colours)
    for vision, seen in VISION.items():
        points = [oklab(np.array(seen) @ linear(colour)) for colour in colours]
        for (one, first), (other, second) in itertools.combinations(zip(colours, points, strict=True), 2):
            assert np.linalg.norm(first - second) > 0.06, (vision, one, other)


def test_runs_gain_and_loss_have_the_same_colours_on_the_page_and_in_files():
    assert [LIGHT[look.variable] for look in LOOKS] == [look.colour for look in LOOKS]
    assert (LIGHT["--gain"], LIGHT["--loss"]) == (GAIN, LOSS)


def test_a_page_takes_every_colour_from_its_scheme():
    """Hatching too, whose colours matplotlib writes in another way."""
    for name, variable in (
        ("ap-by-group-bbox", "--run-2"),
        ("reliability-bbox", "--run-3"),
        ("ap-changes-bbox-b", "--gain"),
    ):
        svg = as_svg(plot_named(name), name)
        assert not [colour for colour in VARIABLES if colour in svg], name
        assert f"fill: var({variable})" in svg


# Titles and file names


def test_titles_name_the_run_or_the_pair_that_a_plot_is_about():
    assert [plot.title for plot in plots_of(THREE)] == [
        "AP by frequency group",
        "AP of rare categories against AP of frequent categories",
        "AP by category: a \N{RIGHTWARDS ARROW} b",
        "AP by category: a \N{RIGHTWARDS ARROW} c",
        "Categories whose AP gained and lost most: a \N{RIGHTWARDS ARROW} b",
        "Categories whose AP gained and lost most: a \N{RIGHTWARDS ARROW} c",
        "Reliability of scores",
        "TIDE error breakdown (aligned)",
        "How often each class occurs in training",
    ]
    assert [plot.title for plot in plots_of(replace(THREE, runs=THREE.runs[:1]))] == [
        "AP by frequency group: a",
        "AP by category: a",
        "Reliability of scores: a",
        "TIDE error breakdown (aligned): a",
        "How often each class occurs in training",
    ]
    both = replace(THREE, signature=replace(THREE.signature, iou_types=("bbox", "segm")), runs=tuple(
        replace(run, metrics={**run.metrics, "segm": run.metrics["bbox"]}) for run in THREE.runs
    ))  # fmt: skip
    assert [plot.title for plot in plots_of(both) if plot.name.startswith("ap-by-group")] == [
        "Boxes: AP by frequency group", "Masks: AP by frequency group",
    ]  # fmt: skip


def test_files_and_figures_carry_the_title_and_the_page_writes_it_itself(monkeypatch):
    figure = THREE.plot_changes("b")
    assert (
        figure.get_suptitle().replace("\n", " ") == "Categories whose AP gained and lost most: a \N{RIGHTWARDS ARROW} b"
    )
    scatter = THREE.plot_frequency("b")
    assert scatter.legends[0].get_title().get_text() == "AP by category: a \N{RIGHTWARDS ARROW} b"
    saved = []
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, *_, **__: saved.append(figure))
    assert list(rendered(THREE, "pdf")) == [plot.name for plot in plots_of(THREE)]
    titles = [one.get_suptitle() or one.legends[0].get_title().get_text() for one in saved]
    assert [title.replace("\n", " ") for title in titles] == [plot.title for plot in plots_of(THREE)]


def test_the_svg_of_a_page_has_no_title():
    plot = plot_named("ap-changes-bbox-b")
    assert "gained and lost" not in as_svg(plot, "plot").replace(plot.alt, "")


def test_file_names_are_safe_and_unique():
    names = (*HOSTILE, "norcal:gamma=0.5", "norcal:gamma=0,5", "NorCal gamma 0.5", "x" * 300, "x" * 301)
    slugs = list(slugs_of(runs_named(*names)).values())
    assert all(re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", slug) and len(slug) <= 52 for slug in slugs)
    assert len(set(slugs)) == len(names)
    assert slugs[-5:] == ["norcal-gamma-0-5", "norcal-gamma-0-5-2", "norcal-gamma-0-5-3", "x" * 48, "x" * 48 + "-2"]
    assert slugs[1] == "run"  # nothing of the name is left


# Names


def legend_of(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_legend_does_not_cut_names_while_there_is_room():
    name = "temperature:t=1.5+norcal:gamma=0.4,prior=images"
    assert legend_of(runs_named("none", name).plot_groups()) == ["none", name]


def test_a_name_wider_than_the_figure_is_cut_in_the_middle():
    long = [f"experiments/r50-fpn-2x/{'lvis-' * 20}seed-{seed}.json" for seed in (1, 2)]
    one, two = legend_of(runs_named(*long).plot_groups())
    assert one.startswith("experiments/r50")
    assert one.endswith("seed-1.json")
    assert two.endswith("seed-2.json")
    assert len(one) <= 60


def test_runs_whose_long_names_differ_in_the_middle_stay_apart():
    long = [f"{'a' * 60}-{seed}-{'b' * 60}" for seed in (1, 2, 3)]
    named = runs_named(*long)
    assert len(set(legend_of(named.plot_groups()))) == 3
    assert len(set(legend_of(named.plot_reliability()))) == 3
    assert all(text.endswith(", ECE 2.00") for text in legend_of(named.plot_reliability()))
    assert len({plot.title for plot in plots_of(named)}) == len(plots_of(named))


def test_a_short_name():
    assert short("a\nb") == "a b"
    assert short("abcdefghij", 7) == "abc\N{HORIZONTAL ELLIPSIS}hij"
    assert short(f"abcdefghijklmnop{ORACLE}", 20).endswith(f"p{ORACLE}")
    assert short("left \u202e right") == "left \N{REPLACEMENT CHARACTER} right"
