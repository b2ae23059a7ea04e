"""The head that made the logits of a file, from its features and weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fit_files import classifier, detector, model, ordered

from longtail_cli.errors import InputError
from longtail_cli.files.logits.reader import open_logits
from longtail_cli.workflow.given_head import given_head, lengths

REVERSED = (50, 20, 30, 10, 40)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("background", ["none", "first", "last"])
@pytest.mark.parametrize("write", [classifier, detector])
def test_the_bias_follows_from_the_logits(write: object, background: str) -> None:
    """The classes are in order of id, whatever the order of the columns."""
    write("a.npz", background=background, ids=REVERSED)
    found = given_head(open_logits(Path("a.npz")))
    weight, bias = model(background=background)
    np.testing.assert_array_equal(found.weight, weight)
    np.testing.assert_allclose(found.bias, bias, atol=1e-6)
    assert found.weight.dtype == found.bias.dtype == np.float64


def test_half_precision_is_precise_enough() -> None:
    own = classifier("a.npz")
    classifier("a.npz", **{name: own[name].astype("f2") for name in ("logits", "features", "weight")})
    found = given_head(open_logits(Path("a.npz")))
    np.testing.assert_allclose(found.bias, model()[1], atol=0.01)


def test_without_features_or_weight_there_is_none() -> None:
    classifier("a.npz", features=None, weight=None)
    assert given_head(open_logits(Path("a.npz"))) is None
    classifier("a.npz", weight=None)
    assert given_head(open_logits(Path("a.npz"))) is None


@pytest.mark.parametrize("half", [False, True])
def test_a_weight_that_did_not_make_the_logits_is_refused(half: bool) -> None:
    own = classifier("a.npz")
    wrong = own["weight"][ordered("none", REVERSED)]
    tensors = own | {"weight": wrong}
    if half:
        tensors = {name: one.astype("f2") if name != "labels" else one for name, one in tensors.items()}
    classifier("a.npz", **tensors)
    with pytest.raises(
        InputError, match=r"a.npz: `logits` - `features` · `weight`: expected the same bias in each row"
    ):
        given_head(open_logits(Path("a.npz")))


def test_a_bias_that_differs_from_row_to_row_is_refused() -> None:
    own = classifier("a.npz")
    classifier("a.npz", logits=own["logits"] + np.arange(95, dtype="f4")[:, None] / 100)
    with pytest.raises(InputError, match=r"found up to 0.94 apart\n.*save the weight of the last layer and its input"):
        given_head(open_logits(Path("a.npz")))


def test_lengths() -> None:
    assert lengths(np.array([[3.0, 4.0], [0.0, 0.0]])) == (5.0, 0.0)
