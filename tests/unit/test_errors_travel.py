"""Errors as they arrive from other processes."""

from __future__ import annotations

import pickle

import pytest

from longtail_cli.errors import GateError, InputError, LtcalError, Problem, UsageError
from longtail_cli.execution.ray.cluster import connected

PROBLEMS = [Problem(f"entry {number}", "a finite score", "NaN") for number in range(12)]


@pytest.mark.parametrize(
    "error",
    [
        InputError("shard.parquet", PROBLEMS[:1], "write it again"),
        UsageError("`memory=`", PROBLEMS, "lower it", total=2000),
        GateError("AP", PROBLEMS, "none"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_pickled_error_says_the_same(error: LtcalError) -> None:
    found = pickle.loads(pickle.dumps(error))
    assert type(found) is type(error)
    assert (str(found), found.source, found.problems, found.total, found.exit_code) == (
        str(error), error.source, error.problems, error.total, error.exit_code,
    )  # fmt: skip


def test_without_ray_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longtail_cli.errors.find_spec", lambda name: None)
    with (
        pytest.raises(LtcalError, match=r"ray: package: expected ray, for clusters, found none\nFix: .*'ltcal\[ray\]'"),
        connected("ray", None),
    ):
        pass
