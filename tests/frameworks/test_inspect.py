"""`ltcal inspect` recognises every file that a framework wrote, and how its ids and boxes are meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from framework_scenes import FILES, Scenes

import longtail_cli as ltcal

WRITTEN = sorted(path for path in FILES.iterdir() if path.suffix != ".py" and not path.name.startswith(("_", ".")))
STATED = {"ultralytics.json": {"contiguous": "True", "category_offset": "-1"}}
"""Options that a file needs, as its framework numbers the classes from 1."""


LACKING = ("transformers_predict.pkl",)
"""Files whose category ids are in the annotations alone."""


@pytest.mark.parametrize("path", WRITTEN, ids=[path.name for path in WRITTEN])
def test_it_is_recognised(path: Path) -> None:
    found = ltcal.inspect(path)
    assert found.kind in ("results", "logits", "scores", "features")
    assert (found.problem is None) == (path.name not in LACKING)
    assert found.problem is None or "`annotations=`" in found.problem


@pytest.mark.parametrize("path", WRITTEN, ids=[path.name for path in WRITTEN])
def test_it_fits_the_annotations(path: Path, tmp_path: Path) -> None:
    """As its format says, or with the options that the verdict names."""
    found = ltcal.inspect(path)
    if found.kind == "scores" or path.name == "torchmetrics.pt":  # torchmetrics' own documentation has these two boxes
        return
    named = found.kind == "results" and found.fact("images").values["meaning"] == "name"
    (tmp_path / "val.json").write_text(json.dumps(Scenes(named).annotations))
    beside = ltcal.inspect(path, tmp_path / "val.json")
    assert beside.problem is None
    if beside.kind == "results":
        stated = STATED.get(path.name, {})
        assert beside.fact("verdict").values == {"fits": not stated, **stated}
