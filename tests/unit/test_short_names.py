"""Names that are shortened, and lines that are wrapped, to fit a width."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longtail_cli.reports.short_names import short_names
from longtail_cli.reports.widths import WIDTH, padded, width_of, wrapped

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Z"]), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("names", "width", "expected"),
    [
        (["none", "norcal:gamma=0.6"], 16, ["none", "norcal:gamma=0.6"]),
        (["temperature:t=1.5+norcal:gamma=0.6"], 16, ["tempera…amma=0.6"]),
        (["same", "same"], 6, ["same", "same"]),
        (["run-1-of-the-model-large", "run-2-of-the-model-large"], 12, ["run-1…-large", "run-2…-large"]),
        (["the-model-of-run-1-large", "the-model-of-run-2-large"], 12, ["the-…1-large", "the-…2-large"]),
        (["a" * 9 + "1" + "b" * 9, "a" * 9 + "2" + "b" * 9], 8, ["aaaaaa…1", "aaaaaa…2"]),
        (["数" * 9], 8, ["数…数数"]),
        (["temperature:t=1.5+norcal:gamma=0.6 [oracle]"], 24, ["temper…amma=0.6 [oracle]"]),
    ],
)
def test_long_names_have_an_ellipsis_and_stay_apart(names, width, expected):
    assert short_names(names, width) == expected


@given(st.lists(TEXT, min_size=1, max_size=8), st.integers(8, 30))
def test_names_fit_and_those_that_differ_stay_different(names, width):
    short = short_names(names, width)
    assert max(map(width_of, short)) <= width
    assert len(set(short)) == len(set(names))
    assert [new for name, new in zip(names, short, strict=True) if width_of(name) <= width] == [
        name for name in names if width_of(name) <= width
    ]


@pytest.mark.parametrize(
    ("text", "width"), [("", 0), ("abc", 3), ("数a", 3), ("e\N{COMBINING ACUTE ACCENT}", 1), ("🐈", 2)]
)
def test_columns_of_a_terminal(text, width):
    assert width_of(text) == width
    assert padded(text, 4, "left") == text + " " * (4 - width)
    assert padded(text, 4, "right") == " " * (4 - width) + text


@given(st.lists(st.text(st.sampled_from("ab数🐈"), min_size=1, max_size=130), max_size=30))
def test_wrapped_lines_fit_and_keep_every_letter(words):
    text = wrapped(" ".join(words), "  ")
    assert all(width_of(line) <= WIDTH for line in text.splitlines())
    assert "".join(text.split()) == "".join(words)
    assert all(line.startswith("  ") for line in text.splitlines()[1:])


def test_lines_break_between_words():
    assert wrapped("word " * 21, "  ") == " ".join(["word"] * 20) + "\n  word"
    assert wrapped("") == ""
