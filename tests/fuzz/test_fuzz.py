"""A short run over all readers, the hostile inputs, and every case that once failed in a long run (`make fuzz`)."""

from collections.abc import Iterator

import pytest
from fuzz.campaign import LARGEST, REGRESSIONS, keep, kept_case
from fuzz.hostile import HOSTILE
from fuzz.runner import Case, Runner, fault
from fuzz.targets import targets

CASES = 3
"""Damaged inputs of each reader."""

kept = sorted(path.parent for path in REGRESSIONS.glob("*/case.json"))


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with Runner() as started:
        yield started


def fault_in(runner: Runner, case: Case) -> str | None:
    ending = runner.run(case)
    found = fault(case, ending)
    return found and f"{found}\n{case.arguments}\n{ending.stderr[-3000:]}"


@pytest.mark.parametrize("name", targets())
def test_the_undamaged_input_is_read(runner: Runner, name: str) -> None:
    case = targets()[name].valid
    ending = runner.run(case)
    assert ending.status == 0, ending.stderr
    assert fault(case, ending) is None


@pytest.mark.parametrize("name", targets())
def test_damaged_inputs_are_read_or_refused(runner: Runner, name: str) -> None:
    for number in range(CASES):
        assert fault_in(runner, targets()[name].case(0, number)) is None, f"case {number}"


@pytest.mark.parametrize("group", HOSTILE)
def test_hostile_inputs_are_read_or_refused(runner: Runner, group: str) -> None:
    faults = {name: fault(case, runner.run(case)) for name, case in HOSTILE[group]()}
    assert {name: one for name, one in faults.items() if one is not None} == {}


@pytest.mark.parametrize("folder", kept, ids=[path.name for path in kept])
def test_what_failed_once_does_not_fail_again(runner: Runner, folder: str) -> None:
    assert fault_in(runner, kept_case(REGRESSIONS / folder)) is None


def test_cases_can_be_made_again() -> None:
    for target in targets().values():
        assert target.case(3, 5) == target.case(3, 5)


def test_a_failure_is_kept_and_replayed(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fuzz.campaign.REGRESSIONS", tmp_path)
    case = Case(("rescore", "a.json"), {"a.json": b"12", "b/\xe9.json": b"\xff"}, {"out.json": "results"}, stale=True)
    folder = keep(case, "ValueError, files/source.py:f", "results")
    assert folder is not None
    assert kept_case(folder) == case
    smaller = Case(("rescore",), {"a.json": b"1"})
    assert keep(case, "ValueError, files/source.py:f", "results") is None
    assert keep(smaller, "ValueError, files/source.py:f", "results") == folder
    assert kept_case(folder) == smaller
    assert keep(Case((), {"a.json": bytes(LARGEST + 1)}), "too large", "results") is None
