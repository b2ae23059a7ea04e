"""Methods that need no labels: on logits files and arrays, against twins written from their definitions."""

from __future__ import annotations

import math
from pathlib import Path

import adjust_twins as twins
import numpy as np
import pytest
from click.testing import CliRunner
from frequency_tables import NoData

import longtail_cli as ltcal
from longtail_cli.choices import BackgroundName, HeadName
from longtail_cli.cli import main
from longtail_cli.errors import InputError, LtcalWarning, UsageError
from longtail_cli.methods.base import MethodContext
from longtail_cli.methods.label_free import mean_and_variance_of, mean_of
from longtail_cli.methods.registry import parse_method
from longtail_cli.tables import Floats, LogitColumns
from longtail_cli.workflow import logit_batches

IDS = [31, 4, 77]  # the order of the columns, which is not that of the counts by id
COUNTS = {4: 3, 31: 200, 77: 40}
LOG_SHARES = [math.log(COUNTS[i] / 243) for i in IDS]
HEADS: list[tuple[HeadName, BackgroundName]] = [
    ("softmax", "none"), ("softmax", "first"), ("softmax", "last"), ("sigmoid", "none"), ("sigmoid", "last"),
]  # fmt: skip
heads = pytest.mark.parametrize(("head", "background"), HEADS)


def logits_for(background: BackgroundName, seed: int = 0, rows: int = 50) -> Floats:
    """Single-precision numbers, as in a file."""
    spread = np.random.default_rng(seed).normal(0, 3, (rows, len(IDS) + (background != "none")))
    return (spread + np.arange(spread.shape[1])).astype(np.float32).astype(np.float64)


def column_of(background: BackgroundName) -> int | None:
    return {"none": None, "first": 0, "last": len(IDS)}[background]


def save(path: str, logits: Floats, head: HeadName, background: BackgroundName) -> None:
    with ltcal.LogitsWriter(Path(path), head=head, background=background, category_ids=IDS, dtype="float32") as writer:
        writer.append(logits.astype(np.float32))


def adjusted_array(spec: str, logits: Floats, head: HeadName, background: BackgroundName) -> Floats:
    counts = COUNTS if "logit-adjust" in spec else None
    found: Floats = ltcal.adjust(logits, counts, spec, head=head, background=background, category_ids=IDS)
    return found


def by_prior(logits: Floats, background: BackgroundName, prior: list[float]) -> Floats:
    """Logits plus ln u - ln q of each class, with the background as it is."""
    expected = logits.copy()
    for c, column in enumerate(twins.class_columns(logits[0].tolist(), column_of(background))):
        expected[:, column] += math.log(1 / len(IDS)) - math.log(prior[c])
    return expected


def by_moments(logits: Floats, background: BackgroundName, moments: list[tuple[float, float]]) -> Floats:
    expected = logits.copy()
    columns = twins.class_columns(logits[0].tolist(), column_of(background))
    for column, (shift, deviation) in zip(columns, moments, strict=True):
        expected[:, column] = (logits[:, column] - shift) / deviation
    return expected


@heads
@pytest.mark.parametrize("trained", ["ce", "logit-adjust"])
def test_the_prior_of_an_array_is_divided_out(head: HeadName, background: BackgroundName, trained: str) -> None:
    logits = logits_for(background)
    log_shares = LOG_SHARES if trained == "logit-adjust" else None
    prior = twins.prior_of_model(logits.tolist(), column_of(background), head, log_shares)
    found = adjusted_array(f"prior2posterior:trained={trained}", logits, head, background)
    assert found == pytest.approx(by_prior(logits, background, prior), rel=1e-12, abs=1e-12)


@heads
def test_the_logits_of_an_array_are_normalized(head: HeadName, background: BackgroundName) -> None:
    logits = logits_for(background)
    moments = twins.log_normalized(logits.tolist(), column_of(background))
    found = adjusted_array("logn", logits, head, background)
    assert found == pytest.approx(by_moments(logits, background, moments), rel=1e-12, abs=1e-12)


@heads
def test_statistics_of_another_file(
    head: HeadName, background: BackgroundName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read in many batches."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(logit_batches.LOGITS_PER_BATCH, "cpu", 16)
    train, logits = logits_for(background, seed=1, rows=301), logits_for(background)
    save("train", train, head, background)
    column = column_of(background)
    moments = twins.log_normalized(train.tolist(), column)
    found = adjusted_array("logn:file=train", logits, head, background)
    assert found == pytest.approx(by_moments(logits, background, moments), rel=1e-12, abs=1e-12)
    for trained, log_shares in (("ce", None), ("logit-adjust", LOG_SHARES)):
        prior = twins.prior_of_model(train.tolist(), column, head, log_shares)
        found = adjusted_array(f"prior2posterior:file=train,trained={trained}", logits, head, background)
        assert found == pytest.approx(by_prior(logits, background, prior), rel=1e-6, abs=1e-6)  # float32 scores


@pytest.mark.parametrize("method", ["logn", "prior2posterior"])
def test_statistics_are_of_the_logits_after_the_preceding_methods(method: str) -> None:
    logits = logits_for("last")
    cooled = adjusted_array("temperature:t=2", logits, "softmax", "last")
    chain = adjusted_array(f"temperature:t=2+{method}", logits, "softmax", "last")
    assert chain == pytest.approx(adjusted_array(method, cooled, "softmax", "last"), rel=1e-12)


@pytest.mark.parametrize("method", ["logn", "prior2posterior"])
def test_a_file_is_adjusted_by_its_own_rows_or_by_those_of_another(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    val, train = logits_for("none"), logits_for("none", seed=1)
    save("val", val, "softmax", "none")
    save("train", train, "softmax", "none")
    for spec in (method, f"{method}:file=train"):
        out = f"{len(spec)}.npz"
        result = CliRunner().invoke(main, ["rescore", "val", "--method", spec, "--keep-logits", "-o", out])
        assert result.exit_code == 0, result.stderr
        with np.load(out) as written:
            found = written["logits"]
        assert found == pytest.approx(adjusted_array(spec, val, "softmax", "none"), rel=1e-5, abs=1e-5)


def test_files_that_do_not_fit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save("val", logits_for("none"), "softmax", "none")
    save("detector", logits_for("last"), "softmax", "last")
    save("empty", logits_for("none")[:0], "softmax", "none")
    for name, message in (
        ("detector", "detector: columns: expected logits of the head and the category ids of val"),
        ("empty", "rows: expected at least one, found none"),
    ):
        result = CliRunner().invoke(main, ["rescore", "val", "--method", f"logn:file={name}", "-o", "out.npz"])
        assert result.exit_code == 2
        assert message in result.stderr


@pytest.mark.parametrize("spec", ["logn", "logn:file=t.npz", "prior2posterior", "prior2posterior:trained=logit-adjust"])
def test_a_result_file_has_no_logits(spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    entry = '{"image_id": 1, "category_id": 3, "bbox": [0, 0, 1, 1], "score": 0.8}'
    Path("in.json").write_text(f"[{entry}]")
    Path("freq.csv").write_text("category_id,name,image_count,instance_count\n3,rare,2,3\n")
    result = CliRunner().invoke(main, ["rescore", "in.json", "--freq", "freq.csv", "--method", spec, "-o", "out.json"])
    assert result.exit_code == 2
    assert f"input: expected full logits, for the method {parse_method(spec).spec}" in result.stderr


def test_only_a_model_trained_with_logit_adjustment_needs_counts() -> None:
    assert not parse_method("prior2posterior").uses_counts
    assert not parse_method("logn").uses_counts
    assert parse_method("none+prior2posterior:trained=logit-adjust").uses_counts
    with pytest.raises(UsageError, match="frequency table: expected one, for the method prior2posterior:trained"):
        ltcal.adjust(np.ones((2, 3)), None, "prior2posterior:trained=logit-adjust")


def test_bags_are_decoded_first() -> None:
    columns = LogitColumns("bags", "none", np.array([1, 2]), ((1,), (2,)))
    for spec in ("logn", "prior2posterior"):
        with pytest.raises(UsageError, match=r"decode the slices first: bags\+METHOD"):
            parse_method(spec).adjustment(MethodContext(columns, None, None, NoData()))


def test_a_prior_close_to_0_is_replaced_and_noted_by_id() -> None:
    logits = np.array([[0.0, 0.0, -40.0], [0.0, 0.0, -50.0]])
    with pytest.warns(LtcalWarning, match=r"1 of 3 classes have a prior below 1e-08 in these predictions; .*: 4$"):
        found = ltcal.adjust(logits, None, "prior2posterior", category_ids=[31, 77, 4])
    assert found[0] == pytest.approx([math.log(2 / 3), math.log(2 / 3), -40 + math.log(1 / 3 / 1e-8)])


def test_a_class_with_equal_logits_is_noted() -> None:
    with pytest.warns(LtcalWarning, match="1 of 2 classes have logits that hardly vary .*: 1$"):
        found = ltcal.adjust(np.array([[0.0, 5.0], [2.0, 5.0]]), None, "logn")
    assert found == pytest.approx(np.array([[0.0, 1 / math.sqrt(1e-11)], [2.0, 1 / math.sqrt(1e-11)]]))


@pytest.mark.parametrize("spec", ["logn", "prior2posterior"])
def test_rows_that_allow_no_statistics_are_refused(spec: str) -> None:
    with pytest.raises(InputError, match="rows: expected at least one, found none"):
        ltcal.adjust(np.zeros((0, 3)), None, spec)
    with pytest.raises(InputError, match="expected finite numbers, found NaN or infinity"):
        ltcal.adjust(np.array([[0.0, np.nan], [0.0, 1.0]]), None, spec)


def test_scores_that_are_all_0_are_refused() -> None:
    with pytest.raises(InputError, match="scores: expected some above 0, found none"):
        ltcal.adjust(np.full((2, 3), -1e5), None, "prior2posterior", head="sigmoid")


def test_moments_of_blocks_are_those_of_all_rows() -> None:
    """Around a mean so large that a sum of squares would lose the variance; also with an empty block."""
    rows = np.random.default_rng(0).normal(1e8, 1, (1000, 3))
    blocks = [rows[:1], rows[1:1], rows[1:700], rows[700:]]
    mean, variance = mean_and_variance_of(blocks, 3)
    assert mean == pytest.approx(rows.mean(axis=0), rel=1e-15)
    assert variance == pytest.approx(rows.var(axis=0), rel=1e-6)
    assert mean_of(blocks, 3) == pytest.approx(rows.mean(axis=0), rel=1e-15)


def test_another_file_needs_the_features_of_a_preceding_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    arrays = {
        "logits": logits_for("none").astype(np.float32),
        "features": generator.normal(size=(50, 2)).astype(np.float32),
        "weight": generator.normal(size=(3, 2)).astype(np.float32),
    }
    for name in ("val", "train"):
        np.savez(f"{name}.npz", **arrays)
        Path(f"{name}.meta.json").write_text('{"head": "softmax", "background": "none"}')
    arguments = ["rescore", "val.npz", "--method", "tau-norm+logn:file=train.npz", "-o", "out.npz"]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    Path("out.npz").unlink()
    np.savez("train.npz", logits=arrays["logits"])
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "train.npz: tensors: expected `features`, which the preceding method needs, found none" in result.stderr
