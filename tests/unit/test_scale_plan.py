"""The computed plan of docs/scale.md is the one that the benchmark prints."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from scale_plan import markdown

    try:
        return markdown()
    finally:
        del sys.modules["scale_plan"]


def test_the_page_shows_the_plan(plan: str) -> None:
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    shown = page.split("<!-- plan -->\n")[1].split("<!-- end of plan -->")[0]
    assert shown == plan, "python benchmarks/scale_plan.py prints the tables between the marks"
