"""Plots of frequency tables: the same bytes for the same table, and no failure on unusual ones."""

from pathlib import Path

import numpy as np
import pytest

from longtail_cli.errors import MissingExtraError, UsageError
from longtail_cli.reports.plots.frequency_chart import frequency_plot, plot_format
from longtail_cli.tables import FrequencyTable


def table(image_count: list[int]) -> FrequencyTable:
    counts = np.array(image_count)
    groups = tuple("f" if n > 100 else "c" if n > 10 else "r" for n in image_count)
    return FrequencyTable(np.arange(len(counts)), ("",) * len(counts), counts, 2 * counts, groups, 1000)


def size_of(png: bytes) -> tuple[int, int]:
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def test_the_same_table_gives_the_same_bytes() -> None:
    weights = {"iif_raw": np.array([1.0, 2.0, 3.0])}
    for file_format in ("png", "pdf"):
        plots = [frequency_plot(table([500, 50, 0]), weights, file_format) for _ in range(2)]
        assert plots[0] == plots[1]


def test_weights_add_a_part_below() -> None:
    counts = table([500, 50, 5])
    alone = size_of(frequency_plot(counts, {}, "png"))
    below = size_of(frequency_plot(counts, {"iif_raw": np.ones(3)}, "png"))
    assert alone == (1380, 1020)
    assert below == (1380, 1560)


@pytest.mark.parametrize("image_count", [[0], [0, 0, 0], [7], list(range(300))])
def test_odd_tables(image_count: list[int]) -> None:
    assert frequency_plot(table(image_count), {}, "png").startswith(b"\x89PNG")


def test_formats_by_suffix() -> None:
    assert plot_format(Path("a/freq.png")) == "png"
    assert plot_format(Path("freq.pdf")) == "pdf"
    with pytest.raises(UsageError, match=r"one that ends in \.png or \.pdf, found freq\.svg"):
        plot_format(Path("freq.svg"))


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'ltcal\[plots\]'"):
        frequency_plot(table([1]), {}, "png")
