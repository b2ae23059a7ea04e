"""Methods of files: what a tuning chose, what was fitted, and a fit that a tuning chose."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from fits import COLUMNS, IDS, fit, record
from frequency_tables import NoData
from tunings import detection_tuning

from longtail_cli.errors import InputError
from longtail_cli.fitting.rows import LabelledRows
from longtail_cli.methods.base import MethodContext
from longtail_cli.methods.steps import ColumnAffine, ScoreBeta
from longtail_cli.reports.origin import METHOD, InputDigest
from longtail_cli.reports.tuning.json import to_json
from longtail_cli.reports.tuning.model import Tuning
from longtail_cli.tables import LogitColumns
from longtail_cli.workflow.fit_logits import row_weights
from longtail_cli.workflow.saved_method import choice_of, method_of_file, method_of_fit, saved_in
from longtail_cli.workflow.target_shares import target_shares


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder."""
    monkeypatch.chdir(tmp_path)


def context(columns: LogitColumns, *, features: int | None = None, score_only: bool = False) -> MethodContext:
    return MethodContext(columns, None, None, NoData(), score_only=score_only, features=features)


def chosen(path: str) -> Tuning:
    """A tuning that chose what was fitted at `path`."""
    one = detection_tuning()
    digest = InputDigest(METHOD, path, sha256(Path(path).read_bytes()).hexdigest())
    tuned_on = replace(one.tuned_on, inputs=(*one.tuned_on.inputs, digest))
    return replace(one, chosen=replace(one.chosen, spec=f"@{path}"), tuned_on=tuned_on)


# The files


def test_the_first_bytes_tell_a_fit_from_a_tuning() -> None:
    fit("affine").write(Path("a.json"))
    Path("b.npz").write_text(to_json(detection_tuning()))
    assert [method_of_file(Path(name)).made for name in ("a.json", "b.npz")] == ["fitted", "tuned"]


def test_a_fit_is_a_method_that_names_its_file() -> None:
    fit("affine").write(Path("fit.npz"))
    found = method_of_file(Path("fit.npz"))
    assert (found.spec, found.files, found.source, found.uses_counts) == ("@fit.npz", ("fit.npz",), "fit.npz", False)
    assert found.description == "classifier:loss=iif (l2 0.01)"
    in_memory = method_of_fit(fit("affine"), "the fit")
    assert (in_memory.spec, in_memory.files) == ("@the fit", ())


@pytest.mark.parametrize(
    ("settings", "text"),
    [({}, "bcts"), ({"l2": 1e-4, "temperature": 1.23456}, "bcts (l2 0.0001, temperature 1.235)")],
)
def test_what_was_fitted_in_words(settings: dict[str, float], text: str) -> None:
    assert record(method="bcts", settings=settings).description == text


def test_a_fit_that_a_tuning_chose_remembers_both() -> None:
    fit("affine").write(Path("fit.npz"))
    tuning = chosen("fit.npz")
    both = choice_of(tuning, "tuned.json")
    assert [(one.made, one.source) for one in saved_in(both)] == [("tuned", "tuned.json"), ("fitted", "fit.npz")]
    assert (both.spec, both.files) == ("@fit.npz", ("fit.npz",))
    assert [one.made for one in saved_in(choice_of(detection_tuning(), "tuned.json"))] == ["tuned"]
    fit("confidence-affine").save("fit.npz")
    with pytest.raises(InputError, match=r"tuned\.json: fit\.npz: expected the file that was tried, found another one"):
        choice_of(tuning, "tuned.json")
    Path("fit.npz").unlink()
    with pytest.raises(InputError, match=r"fit\.npz: file: expected a file that can be read"):
        choice_of(tuning, "tuned.json")


@pytest.mark.parametrize("content", [b"", b"PK", b"category_id,image_count\n", b"[]"])
def test_another_file_is_refused(content: bytes) -> None:
    Path("other").write_bytes(content)
    with pytest.raises(InputError, match="other: "):
        method_of_file(Path("other"))


# What it applies to


def test_columns_in_any_order() -> None:
    other = LogitColumns("softmax", "last", IDS[[2, 0, 1]])
    (step,) = method_of_fit(fit("affine"), "it").adjustment(context(other)).steps
    assert isinstance(step, ColumnAffine)
    assert step.scale.tolist() == [0.5, 1.0, 2.0, 1.0]


@pytest.mark.parametrize(
    ("columns", "score_only", "found"),
    [
        (LogitColumns("softmax", "first", IDS), False, "head: expected softmax, background last, as fitted on, "
         "found softmax, background first"),
        (LogitColumns("sigmoid", "last", IDS), False, "found sigmoid, background last"),
        (LogitColumns("softmax", "last", IDS[:2]), False, "categories: expected the 3 fitted on, found 2: 9 missing, "
         "none unknown"),
        (LogitColumns("softmax", "last", np.arange(10)), False, "found 10: none missing, 0, 1, 2, 4, 5 and 2 more"),
        (LogitColumns("sigmoid", "none", IDS), True, "input: expected full logits, as fitted on, found one score per "
         "detection (a result file)"),
    ],
)  # fmt: skip
def test_other_columns_are_refused(columns: LogitColumns, score_only: bool, found: str) -> None:
    with pytest.raises(InputError) as caught:
        method_of_fit(fit("affine"), "fit.npz").adjustment(context(columns, score_only=score_only))
    assert str(caught.value).startswith("fit.npz: fitted for other classes or another head: ")
    assert found in str(caught.value)


@pytest.mark.parametrize(("features", "found"), [(None, "none"), (3, "3 columns")])
def test_features_are_needed(features: int | None, found: str) -> None:
    method = method_of_fit(fit("classify"), "fit.npz")
    expected = rf"method @fit.npz: tensors: expected `features` \[N, 2\], as it was fitted on, found {found}\n"
    with pytest.raises(InputError, match=expected):
        method.adjustment(context(COLUMNS, features=features))
    assert method.adjustment(context(COLUMNS, features=2)).columns.category_id.tolist() == [3, 7, 9]


def test_a_result_file_may_lack_classes() -> None:
    method = method_of_fit(fit("score-beta"), "fit.npz")
    (step,) = method.adjustment(context(LogitColumns("sigmoid", "none", IDS[1:]), score_only=True)).steps
    assert isinstance(step, ScoreBeta)
    assert len(step.rise) == 2
    with pytest.raises(InputError, match="found 1: 3, 7, 9 missing, 8 unknown"):
        method.adjustment(context(LogitColumns("sigmoid", "none", np.array([8])), score_only=True))


# The weights of the rows of a correction


def table(counts: str) -> str:
    Path("target.csv").write_text(f"category_id,image_count,instance_count\n{counts}")
    return "target.csv"


def test_shares_of_a_target() -> None:
    label = np.array([0, 0, 0, 2])
    assert target_shares("balanced", COLUMNS, label).tolist() == [1 / 3, 1 / 3, 1 / 3]
    assert target_shares("as-is", COLUMNS, label).tolist() == [0.75, 0, 0.25]
    assert target_shares(table("3,1,1\n7,1,1\n9,2,2\n"), COLUMNS, label).tolist() == [0.25, 0.25, 0.5]


def test_shares_of_a_table_that_does_not_fit() -> None:
    with pytest.raises(InputError, match=r"target\.csv: frequency table: expected the 3 classes of the logits"):
        target_shares(table("3,1,1\n7,1,1\n"), COLUMNS, np.array([0]))
    with pytest.raises(InputError, match=r"target\.csv: image_count: expected a count above 0 for a class of the rows"):
        target_shares(table("3,0,0\n7,1,1\n9,1,1\n"), COLUMNS, np.array([0, 0]))


def rows(target: list[int], background: str = "last") -> LabelledRows:
    columns = LogitColumns("softmax", background, IDS)
    return LabelledRows(columns, torch.tensor(target), torch.zeros(len(target), dtype=torch.bool), None, None)


@pytest.mark.parametrize(("background", "first"), [("none", 0), ("first", 1), ("last", 0)])
def test_rows_are_weighted_to_the_target(background: str, first: int) -> None:
    label = [0, 0, 0, 2]
    target = [first + one for one in label]
    if background != "none":
        target.append(0 if background == "first" else 3)
    found = row_weights(rows(target, background), "balanced")
    np.testing.assert_allclose(found[:4], [2 / 3, 2 / 3, 2 / 3, 2])  # their sum is that of the rows
    assert found[4:].tolist() == [1] * (background != "none")
    np.testing.assert_allclose(row_weights(rows(target, background), "as-is"), 1)


def test_rows_of_other_data_have_no_part_in_the_weights() -> None:
    own, other = rows([0, 0, 0, 2]), rows([1, 2, 2, 2])
    found = row_weights(own.with_held_out(other), "balanced")
    np.testing.assert_allclose(found[:4], row_weights(own, "balanced"))
