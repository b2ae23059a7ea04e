"""Fitted files: what is written reads back equal, steps follow the order of the columns, and damage is refused."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fits import AFFINE, BAGS, BETA, COLUMNS, CONFIDENT, HEAD, IDS, KNOTS, SCORES, SLICES, STEPS, fit, record
from frequency_tables import NoData
from hypothesis import given
from hypothesis import strategies as st
from tunings import detection_tuning

from longtail_cli.errors import InputError
from longtail_cli.files.fitted import DOCUMENT, read_fitted, write_fitted
from longtail_cli.methods.apply import Adjuster
from longtail_cli.methods.base import MethodContext
from longtail_cli.methods.fitted import FittedStep, LearnedStep, from_arrays
from longtail_cli.reports.fitting.json import to_json
from longtail_cli.reports.tuning.json import to_json as tuning_json
from longtail_cli.tables import LogitColumns
from longtail_cli.workflow.saved_method import read_fit

CPU = torch.device("cpu")


def same(one: LearnedStep, other: LearnedStep) -> bool:
    """Whether two steps have the same numbers and columns."""
    if type(one) is not type(other):
        return False
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(one)]
    return all(
        a.head == b.head
        and a.background == b.background
        and a.bags == b.bags
        and (a.category_id == b.category_id).all()
        if isinstance(a, LogitColumns)
        else np.array_equal(a, b)
        for a, b in pairs
    )


# The files


@pytest.mark.parametrize("kind", STEPS)
def test_what_is_written_reads_back_equal(tmp_path: Path, kind: str) -> None:
    made = fit(kind)
    made.write(tmp_path / "fit.npz")
    found = read_fit(tmp_path / "fit.npz")
    assert found.record == made.record
    assert same(found.step.step, made.step.step)


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        fit().write(tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_fit_is_saved_over_another(tmp_path: Path) -> None:
    (tmp_path / "fit.npz").write_bytes(b"old")
    fit().save(tmp_path / "fit.npz")
    assert read_fit(tmp_path / "fit.npz").record == fit().record


def test_a_document_beside_arrays(tmp_path: Path) -> None:
    path = tmp_path / "fit.npz"
    write_fitted(path, "é\n", {"a": np.arange(3)})
    text, arrays = read_fitted(path)
    assert (text, list(arrays)) == ("é\n", ["a"])
    with np.load(path) as archive:
        assert bytes(archive[DOCUMENT]).decode() == "é\n"


def damaged(path: Path, changes: dict[str, Any], kind: str = "classify") -> str:
    """The message for a file of which some arrays are replaced, or left out where they are None."""
    arrays = fit(kind).step.to_arrays()
    document = to_json(fit(kind).record)
    write_fitted(path, document, {name: one for name, one in (arrays | changes).items() if one is not None})
    with pytest.raises(InputError) as caught:
        read_fit(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "write the file again with `ltcal fit`" in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ").partition("\n")[0]


SHAPES = "arrays: expected those of a step for 3 classes and 4 columns, found others"
SCORE_SHAPES = "arrays: expected those of a step for 3 classes and 3 columns, found others"
DAMAGES: dict[str, tuple[str, dict[str, Any], str]] = {
    "no kind": ("classify", {"step": None}, "array `step`: expected one of affine, confidence-affine, classify, "
                "score-beta, score-knots, found none"),
    "another kind": ("classify", {"step": np.array("none\n")}, "score-knots, found none\\n"),
    "a number as the kind": ("classify", {"step": np.array(3)}, "score-knots, found none"),
    "several kinds": ("affine", {"step": np.array(["affine"] * 2)}, "found ['affine' 'affine']"),
    "no weight": ("classify", {"weight": None}, "array `weight`: expected an array of floats, found none"),
    "NaN": ("classify", {"bias": HEAD.bias * np.nan}, "array `bias`: expected finite numbers, found NaN or infinity"),
    "infinity": ("affine", {"scale": np.full(4, np.inf)}, "array `scale`: expected finite"),
    "NaN in a number": ("confidence-affine", {"bias": np.array(np.nan)}, "array `bias`: expected finite numbers"),
    "NaN in edges": ("score-beta", {"edges": BETA.edges * np.nan}, "array `edges`: expected finite numbers"),
    "integers": ("classify", {"weight": HEAD.weight.astype(int)}, "array `weight`: expected an array of floats, found "
                 "int64 (4, 2)"),
    "an array for a number": ("confidence-affine", {"bias": np.zeros(2)}, "array `bias`: expected one float, found "
                              "float64 (2,)"),
    "a number for an array": ("affine", {"shift": np.array(0.0)}, "array `shift`: expected an array of floats, found "
                              "float64 ()"),
    "a number for a truth": ("classify", {"unit_length": np.array(1)}, "array `unit_length`: expected one bool, found "
                             "int64 ()"),
    "floats for integers": ("score-knots", {"start": KNOTS.start / 1}, "array `start`: expected an array of integers, "
                            "found float64 (3,)"),
    "too few weights": ("classify", {"weight": HEAD.weight[:3]}, SHAPES),
    "too few numbers": ("affine", {"scale": AFFINE.scale[:3]}, SHAPES),
    "weights for other logits": ("confidence-affine", {"of_features": np.array(False)}, SHAPES),
    "another background": ("classify", {"background": np.array("none")}, SHAPES),
    "an unknown head": ("classify", {"head": np.array("tanh")}, "arrays `head`, `background`: expected softmax, "
                        "sigmoid or bags, and none, first or last, found tanh, last"),
    "no slices": ("classify, bags", {"slices": None}, "array `slices`: expected one slice for each of 3 "
                  "classes, found [0]"),
    "a class in two slices": ("classify, bags", {"slices": np.ones((2, 3), bool)}, "one slice for each of 3 classes"),
    "slices of numbers": ("classify, bags", {"slices": np.eye(3)}, "one slice for each of 3 classes, found [3, 3]"),
    "maps of fewer classes": ("score-beta", {"rise": BETA.rise[:2]}, SCORE_SHAPES),
    "edges that descend": ("score-beta", {"edges": np.array([[2.0, 1.0]] * 3)} | dict.fromkeys(
                           ("rise", "fall", "shift"), np.ones((3, 3))), SCORE_SHAPES),
    "a map that falls": ("score-beta", {"rise": -BETA.rise}, SCORE_SHAPES),
    "knots that fall": ("score-knots", {"y": KNOTS.y[::-1]}, SCORE_SHAPES),
    "knots above 1": ("score-knots", {"x": KNOTS.x * 2}, SCORE_SHAPES),
    "an unknown curve": ("score-knots", {"curve": KNOTS.curve + 1}, SCORE_SHAPES),
    "curves that end elsewhere": ("score-knots", {"start": np.array([0, 0, 2])}, SCORE_SHAPES),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_arrays_are_refused(tmp_path: Path, name: str) -> None:
    kind, changes, message = DAMAGES[name]
    assert message in damaged(tmp_path / "fit.npz", changes, kind)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "content: expected a fit (ltcal-fitted/1), found Input data was truncated"),
        (to_json(record())[:300], "content: expected a fit (ltcal-fitted/1), found Input data was truncated"),
        (tuning_json(detection_tuning()), "format: expected ltcal-fitted/1, found ltcal-tuned/1"),
        (to_json(record()).replace("fitted/1", "fitted/2"), "format: expected ltcal-fitted/1, found ltcal-fitted/2"),
        (to_json(record()).replace('"seed": 4', '"seed": "4"'), "found Expected `int`, got `str` - at `$.seed`"),
        (
            to_json(record(fitted_on=replace(record().fitted_on, category_ids=(7, 3)))),
            "category_ids: expected at least one",
        ),
        (
            to_json(record(fitted_on=replace(record().fitted_on, category_ids=()))),
            "category_ids: expected at least one",
        ),
        (
            to_json(record(fitted_on=replace(record().fitted_on, category_ids=(3, 7)))),
            "2 classes and 3 columns, found others",
        ),
    ],
)
def test_damaged_documents_are_refused(tmp_path: Path, document: str, message: str) -> None:
    write_fitted(tmp_path / "fit.npz", document, fit().step.to_arrays())
    with pytest.raises(InputError) as caught:
        read_fit(tmp_path / "fit.npz")
    assert message in str(caught.value)


def test_a_document_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fit.npz"
    for content in (np.full(9, 200, np.uint8), np.zeros((2, 2), np.uint8), np.array("{}")):
        np.savez(path, **{DOCUMENT: content})
        with pytest.raises(InputError, match=r"document|UTF-8"):
            read_fit(path)


@given(st.data())
def test_a_truncated_file_is_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("truncated") / "fit.npz"
    fit().write(path)
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(InputError, match=str(path)):
        read_fit(path)


def test_numbers_in_single_precision_are_read(tmp_path: Path) -> None:
    path = tmp_path / "fit.npz"
    write_fitted(path, to_json(fit().record), fit().step.to_arrays() | {"weight": HEAD.weight.astype("f4")})
    assert same(read_fit(path).step.step, HEAD)


# Steps on the columns of other logits

OTHER = LogitColumns("softmax", "last", np.array([9, 3, 7]))
ORDER = [2, 0, 1, 3]
"""The column of `COLUMNS` that each column of `OTHER` is."""


def applied(step: LearnedStep, columns: LogitColumns, z: np.ndarray, f: np.ndarray) -> tuple[np.ndarray, LogitColumns]:
    context = MethodContext(columns, None, None, NoData(), features=2)
    found = FittedStep(step, COLUMNS).adjustment(context)
    adjuster = Adjuster(found.steps, columns, CPU, torch.float64)
    return adjuster(torch.tensor(z), torch.tensor(f)).numpy(), found.columns


@pytest.mark.parametrize(
    "step", [AFFINE, CONFIDENT, replace(CONFIDENT, weight=np.arange(4.0), of_features=False), HEAD]
)
def test_the_order_of_the_columns_does_not_matter(step: LearnedStep) -> None:
    random = np.random.default_rng(0)
    z, f = random.normal(size=(6, 4)), random.normal(size=(6, 2))
    straight, columns = applied(step, COLUMNS, z, f)
    moved, others = applied(step, OTHER, z[:, ORDER], f)
    np.testing.assert_allclose(moved, straight[:, ORDER], atol=1e-12)
    assert columns.category_id.tolist() == [3, 7, 9]
    assert others.category_id.tolist() == [9, 3, 7]


def test_slices_are_decoded_into_scores_of_the_classes() -> None:
    f = np.random.default_rng(0).normal(size=(6, 2))
    straight, columns = applied(SLICES, COLUMNS, np.zeros((6, 4)), f)
    moved, others = applied(SLICES, OTHER, np.zeros((6, 4)), f)
    assert (columns.head, columns.background, straight.shape) == ("sigmoid", "none", (6, 3))
    np.testing.assert_allclose(moved, straight[:, ORDER[:3]], atol=1e-12)
    assert others.category_id.tolist() == [9, 3, 7]


def test_scores_of_some_of_the_classes() -> None:
    context = MethodContext(LogitColumns("sigmoid", "none", np.array([9, 3])), None, None, NoData(), score_only=True)
    (step,) = FittedStep(BETA, SCORES).adjustment(context).steps
    assert step.rise.tolist() == BETA.rise[[2, 0]].tolist()
    (step,) = FittedStep(KNOTS, SCORES).adjustment(context).steps
    assert step.curve.tolist() == [[1], [0]]


@pytest.mark.parametrize(
    ("step", "number"),
    [
        (AFFINE, None),
        (CONFIDENT, 2),
        (replace(CONFIDENT, weight=np.zeros(4), of_features=False), None),
        (HEAD, 2),
        (SLICES, 2),
    ],
)
def test_how_many_features_a_step_needs(step: LearnedStep, number: int | None) -> None:
    assert FittedStep(step, COLUMNS).features == number


def test_arrays_say_which_classes_are_in_a_slice() -> None:
    arrays = FittedStep(SLICES, COLUMNS).to_arrays()
    assert arrays["slices"].tolist() == [[True, False, True], [False, True, False]]
    assert str(arrays["head"]) == "bags"
    found = from_arrays(arrays, COLUMNS, "here").step
    assert found.columns.bags == BAGS.bags
    assert found.columns.category_id.tolist() == IDS.tolist()
