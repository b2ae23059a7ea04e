"""The record of a fit as text and as JSON, ltcal-fitted/1; and how it is made."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from fits import AFFINE, COLUMNS, record
from hypothesis import given
from hypothesis import strategies as st

from longtail_cli.errors import InputError
from longtail_cli.fitting.fitted import Fitted, Tried
from longtail_cli.fitting.methods import parse_fit_method
from longtail_cli.methods.base import Note
from longtail_cli.methods.steps import ColumnAffine
from longtail_cli.reports.fitting.json import from_json, to_json
from longtail_cli.reports.fitting.model import ClassNorms, RowCounts
from longtail_cli.reports.fitting.model import Tried as Shown
from longtail_cli.reports.fitting.text import to_text
from longtail_cli.reports.origin import Origin
from longtail_cli.workflow.fit_record import FitData, fit_of

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


# As text


def test_the_text_of_a_head() -> None:
    assert to_text(record()) == (
        """\
Fitted classifier:loss=iif (l2 0.01), seed 4; ltcal 0.1.0

1,200 rows of 90 images, 3 classes, 900 of them background, 240 held out to choose; 3,000 left out

Tried
l2    held-out NLL
----  ------------
1           2.2500
0.1         1.5000
0.01        1.1250

Loss 2.5 -> 1 in 2 steps, 40 passes over the rows
"""
    )


def test_the_text_of_a_correction_with_notes() -> None:
    one = record(
        method="temperature",
        target="as-is",
        settings={"temperature": 1.5},
        tried=(),
        converged=False,
        rows=RowCounts(95, 0, None, None, 0, 5),
        notes=("a note", "another"),
    )
    assert to_text(one) == (
        """\
Fitted temperature (temperature 1.5), target as-is, seed 4; ltcal 0.1.0

95 rows, 5 classes

Loss 2.5 -> 1 in 2 steps, 40 passes over the rows, not converged

- a note
- another
"""
    )


def test_the_text_of_a_closed_form_and_of_tau() -> None:
    tried = (Shown(0.0, 0.5), Shown(0.5, 0.625))
    one = record(
        method="tau-norm", settings={"tau": 0.5}, tried=tried, curve=(), rows=RowCounts(95, 0, None, None, 0, 5)
    )
    assert to_text(one) == (
        """\
Fitted tau-norm (tau 0.5), seed 4; ltcal 0.1.0

95 rows, 5 classes

Tried
tau  balanced accuracy
---  -----------------
0                50.00
0.5              62.50
"""
    )


def test_the_text_of_detections() -> None:
    origin = replace(record().fitted_on, kind="results")
    rows = RowCounts(480, 0, 30, 398, 12, 5)
    text = to_text(record(method="platt", settings={}, tried=(), curve=(), rows=rows, fitted_on=origin))
    assert text == (
        "Fitted platt, seed 4; ltcal 0.1.0\n\n"
        "480 detections of 30 images, 5 classes, 398 of them matched to nothing; 12 left out\n"
    )


def test_the_text_escapes_what_a_terminal_would_obey() -> None:
    assert "\x1b" not in to_text(record(target="\x1b[2J.csv", notes=("\x1b[31mred",)))


# As JSON


def test_the_schema() -> None:
    document = json.loads(to_json(record()))
    assert list(document) == [
        "format", "version", "method", "seed", "target", "settings", "tried", "curve", "passes", "converged", "rows",
        "accuracy", "norms", "notes", "fitted_on",
    ]  # fmt: skip
    assert document["format"] == "ltcal-fitted/1"
    assert document["tried"][0] == {"value": 1.0, "score": 2.25}
    assert document["rows"] == {
        "used": 1200, "held_out": 240, "images": 90, "background": 900, "left_out": 3000, "classes": 3
    }  # fmt: skip
    assert document["fitted_on"]["images"] == {"1": "a.jpg", "2": ""}
    assert document["norms"]["before"] == [1.5, 1.0, 0.5]


@pytest.mark.parametrize(
    "one",
    [
        record(),
        record(target="balanced", settings={}, tried=(), curve=(), norms=ClassNorms(), accuracy=0.75, notes=("é",)),
        record(fitted_on=Origin("logits", "sigmoid", "none", (1, 2), (), {}, (0, 2**64 - 1))),
    ],
    ids=["head", "correction", "rows"],
)
def test_what_is_written_reads_back_equal(one: object) -> None:
    assert from_json(to_json(one), "here") == one


@given(
    st.lists(NUMBERS).map(tuple),
    st.dictionaries(st.text(), NUMBERS),
    st.dictionaries(st.integers(-(2**63), 2**63 - 1), st.text()),
    st.lists(st.text()).map(tuple),
)
def test_any_values_read_back_equal(curve: tuple, settings: dict, images: dict, notes: tuple) -> None:
    one = record(curve=curve, settings=settings, notes=notes, fitted_on=replace(record().fitted_on, images=images))
    assert from_json(to_json(one), "here") == one


@pytest.mark.parametrize(
    ("part", "wrong", "found"),
    [
        ('"seed":4', '"seed":4.5', "Expected `int`, got `float`"),
        ('"rows":""', '"rows":"AAAA"', "8 bytes each"),
        ('"head":"softmax"', '"head":"tanh"', "Invalid enum value 'tanh'"),
        ('"converged":true,', "", "missing required field `converged`"),
    ],
)
def test_a_damaged_record_is_refused(part: str, wrong: str, found: str) -> None:
    compact = json.dumps(json.loads(to_json(record())), separators=(",", ":"))
    assert part in compact
    with pytest.raises(InputError, match=found):
        from_json(compact.replace(part, wrong, 1), "fit.npz")


# How it is made

ORIGIN = Origin("logits", "softmax", "last", (3, 7, 9), (), {}, (1, 2, 3, 4, 5))
DATA = FitData(RowCounts(5, 2, None, None, 0, 3), ORIGIN, 0.5, notes=("of the data",))
CHOSEN = Fitted((AFFINE,), COLUMNS, {"l2": 0.1}, (Tried(0.1, 1.0),), (2.0, 1.0), 9, converged=True)


def test_a_record_of_what_was_chosen() -> None:
    one = fit_of(parse_fit_method("vector"), CHOSEN, DATA, None, 7, "as-is").record
    assert (one.method, one.seed, one.target, one.settings) == ("vector", 7, "as-is", {"l2": 0.1})
    assert one.tried == (Shown(0.1, 1.0),)
    assert (one.rows.used, one.rows.held_out, one.accuracy) == (5, 2, 0.5)
    assert one.notes == ("of the data",)
    assert one.fitted_on == ORIGIN


@pytest.mark.parametrize("tau", [False, True])
def test_held_out_rows_that_nothing_was_chosen_on_are_not_stated(tau: bool) -> None:
    """Tau is chosen on all rows, unless others are passed for it."""
    fitted = replace(CHOSEN, settings={"tau": 0.5}) if tau else replace(CHOSEN, settings={}, tried=())
    own = fit_of(parse_fit_method("tau-norm"), fitted, DATA, None, 0, None).record
    assert (own.rows.used, own.rows.held_out, own.fitted_on) == (5, 0, ORIGIN)
    apart = fit_of(parse_fit_method("tau-norm"), fitted, replace(DATA, other_rows=2), None, 0, None).record
    expected = (5, 2, (1, 2, 3, 4, 5)) if tau else (3, 0, (1, 2, 3))
    assert (apart.rows.used, apart.rows.held_out, apart.fitted_on.rows) == expected


def test_notes_name_classes_and_a_search_without_end() -> None:
    fitted = replace(CHOSEN, converged=False, notes=(Note(np.array([False, True, False]), "have no rows"),))
    assert fit_of(parse_fit_method("vector"), fitted, DATA, None, 0, None).record.notes == (
        "of the data",
        "1 of 3 classes have no rows: 7",
        "stopped after 9 passes over the rows before it converged. A stronger penalty (l2) makes it converge sooner",
    )


@pytest.mark.parametrize("spec", ["temperature", "platt", "classifier:norm=cosine", "crt"])
def test_a_penalty_is_advised_only_where_there_is_one(spec: str) -> None:
    (_, note) = fit_of(parse_fit_method(spec), replace(CHOSEN, converged=False), DATA, None, 0, None).record.notes
    assert note == "stopped after 9 passes over the rows before it converged"


@pytest.mark.parametrize(
    ("spec", "advice"),
    [("classifier:solver=sgd", "lower lr, or scale the features"), ("crt", "scale the features")],
)
def test_a_loss_that_grows_is_noted(spec: str, advice: str) -> None:
    diverged = replace(CHOSEN, curve=(6.9, 12.5, 1e34), converged=False)
    notes = fit_of(parse_fit_method(spec), diverged, DATA, None, 0, None).record.notes
    assert notes[-1] == f"the loss grew from 6.9 to 1e+34; {advice}"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_result_that_is_not_finite_is_refused(value: float) -> None:
    fitted = replace(CHOSEN, steps=(ColumnAffine(np.full(4, value), np.zeros(4)),))
    with pytest.raises(InputError, match="fit: result: expected finite numbers, found NaN or infinity"):
        fit_of(parse_fit_method("vector"), fitted, DATA, None, 0, None)
