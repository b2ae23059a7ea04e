"""What ids and boxes mean, stated in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from framework_scenes import Scenes, written

import longtail_cli as ltcal
from longtail_cli.errors import InputError, UsageError

SCENES = Scenes()
INDEX = {id_: number for number, id_ in enumerate(SCENES.category_ids)}
CONTIGUOUS = [{**one, "category_id": INDEX[one["category_id"]]} for one in SCENES.detections]
OFF = [{**one, "image_id": one["image_id"] + 3} for one in SCENES.detections]
CORNERS = [
    {**one, "bbox": [x, y, x + width, y + height]} for one in SCENES.detections for x, y, width, height in [one["bbox"]]
]
WRONG = {
    "contiguous": (CONTIGUOUS, {"contiguous": True}),
    "image_offset": (OFF, {"image_offset": -3}),
    "box_format": (CORNERS, {"box_format": "xyxy"}),
}


def ap(report: Any) -> float:
    return report.runs[0].metrics["bbox"]["AP"]


@pytest.mark.parametrize("name", WRONG)
def test_evaluate(name: str) -> None:
    detections, options = WRONG[name]
    with pytest.raises(InputError, match=name if name != "image_offset" else "image_id"):
        ltcal.evaluate(detections, SCENES.annotations, tide="off")
    right = ap(ltcal.evaluate(SCENES.detections, SCENES.annotations, tide="off"))
    assert ap(ltcal.evaluate(detections, SCENES.annotations, tide="off", **options)) == pytest.approx(right)


@pytest.mark.filterwarnings("ignore:5 of 10 classes:longtail_cli.errors.LtcalWarning")
@pytest.mark.filterwarnings("ignore:the image_count or instance_count:longtail_cli.errors.LtcalWarning")
@pytest.mark.parametrize("name", WRONG)
def test_tune_and_fit(name: str) -> None:
    detections, options = WRONG[name]
    with pytest.warns(ltcal.LtcalWarning, match="differs from its own annotations"):
        counts = ltcal.count(SCENES.annotations)
    tuning = ltcal.tune(
        detections, SCENES.annotations, frequencies=counts, spaces="norcal:gamma=0..1", bootstrap=None, **options
    )
    assert tuning.report is not None
    fitted = ltcal.fit(detections, SCENES.annotations, method="platt", frequencies=counts, **options)
    right = ltcal.fit(SCENES.detections, SCENES.annotations, method="platt", frequencies=counts)
    assert fitted.record.rows == right.record.rows


@pytest.mark.parametrize("name", WRONG)
def test_rescore_in_memory_gives_the_ids_of_the_annotations(name: str) -> None:
    detections, options = WRONG[name]
    found = ltcal.rescore(detections, None, "none", annotations=SCENES.annotations, **options)
    for one, wanted in zip(found, SCENES.detections, strict=True):
        assert (one["image_id"], one["category_id"]) == (wanted["image_id"], wanted["category_id"])
        assert one["bbox"] == pytest.approx(wanted["bbox"])


@pytest.mark.parametrize("form", ["frame", "columns"])
def test_rescore_of_tables_in_memory(form: str) -> None:
    frame = pandas.DataFrame(CORNERS)
    given = frame if form == "frame" else {name: np.array(frame[name].tolist()) for name in frame}
    before = np.array(list(given["bbox"])).copy()
    found = ltcal.rescore(given, None, "none", box_format="xyxy", category_offset=2)
    assert np.array(list(found["bbox"])) == pytest.approx(np.array([one["bbox"] for one in SCENES.detections]))
    assert list(found["category_id"]) == [one["category_id"] + 2 for one in SCENES.detections]
    assert (np.array(list(given["bbox"])) == before).all()


def test_rescore_in_memory_without_options_keeps_everything_else() -> None:
    found = ltcal.rescore(SCENES.detections, None, "none", annotations=SCENES.annotations)
    assert found == SCENES.detections
    with pytest.raises(InputError, match="sampled boxes"):
        ltcal.rescore(CONTIGUOUS, None, "none", annotations=SCENES.annotations)


def test_rescore_of_a_file(tmp_path: Path) -> None:
    source, out = tmp_path / "corners.parquet", tmp_path / "out.parquet"
    pandas.DataFrame(CORNERS).to_parquet(source)
    summary = ltcal.rescore(source, None, "none", out, annotations=SCENES.annotations, box_format="xyxy")
    assert summary.entries == len(CORNERS)
    written = pandas.read_parquet(out)
    assert written["image_id"].tolist() == [one["image_id"] for one in SCENES.detections]
    boxes = np.array(written["bbox"].tolist())
    assert boxes == pytest.approx(np.array([one["bbox"] for one in SCENES.detections]))


def test_inspect(tmp_path: Path) -> None:
    predictions, annotations = written(tmp_path, SCENES, CONTIGUOUS)
    verdict = {
        False: "categories fit better by far with `contiguous=True`",
        True: "ids and boxes are what the file says",
    }
    for contiguous, expected in verdict.items():
        found = ltcal.inspect(predictions, annotations, contiguous=contiguous)
        texts = [fact.text for section in found.sections for fact in section.facts if fact.name == "verdict"]
        assert len(texts) == 1
        assert texts[0].startswith(expected)


def test_rescore_of_logits_is_a_command(tmp_path: Path) -> None:
    logits = np.zeros((4, 3), np.float32)
    np.save(tmp_path / "logits.npy", logits)
    with pytest.raises(UsageError, match="expected detections, with one score each, found logits"):
        ltcal.rescore(tmp_path / "logits.npy", None, "none", tmp_path / "out.json")
