"""Shifted ids and misread boxes stop every command; the option that is named settles it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from framework_scenes import SCENES, Scenes

from longtail_cli.cli import main

PLATT = ("--method", "platt")


@dataclass(frozen=True)
class Folder:
    """The digit scenes with categories 1 to 10 beside a category 0 without objects, and files of other ids."""

    path: Path

    @cached_property
    def detections(self) -> list[dict[str, Any]]:
        scenes = Scenes()
        new = {id_: number for number, id_ in enumerate(scenes.category_ids, 1)}
        return [{**one, "category_id": new[one["category_id"]]} for one in scenes.detections]

    @cached_property
    def annotations(self) -> str:
        scenes = Scenes()
        new = {id_: number for number, id_ in enumerate(scenes.category_ids, 1)}
        document = {
            **scenes.annotations,
            "annotations": [
                {**one, "category_id": new[one["category_id"]]} for one in scenes.annotations["annotations"]
            ],
            "categories": [
                {**scenes.annotations["categories"][0], "id": 0, "name": "digits"},
                *({**one, "id": new[one["id"]]} for one in scenes.annotations["categories"]),
            ],
        }
        for image in document["images"]:
            for field in ("neg_category_ids", "not_exhaustive_category_ids"):
                if field in image:
                    image[field] = [new[id_] for id_ in image[field]]
        return self.write("val.json", document)

    def write(self, name: str, content: Any) -> str:
        (self.path / name).write_text(json.dumps(content))
        return str(self.path / name)

    def shifted(self, by: int) -> str:
        return self.write("shifted.json", [{**one, "category_id": one["category_id"] + by} for one in self.detections])

    def corners(self) -> str:
        boxes = [one["bbox"] for one in self.detections]
        return self.write(
            "corners.json",
            [
                {**one, "bbox": [x, y, x + width, y + height]}
                for one, (x, y, width, height) in zip(self.detections, boxes, strict=True)
            ],
        )

    @cached_property
    def table(self) -> str:
        out = str(self.path / "freq.csv")
        assert ltcal("compute-freq", self.annotations, "-o", out).exit_code == 0
        return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("conventions"))


def ltcal(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def metrics(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["runs"][0]["metrics"]


def report(*arguments: str) -> Result:
    return ltcal("report", *arguments, "--json", "-", "--tide", "off")


def commands(folder: Folder, predictions: str) -> list[list[str]]:
    """Every command that reads detections with annotations."""
    given = [predictions, "--annotations", folder.annotations, "--freq", folder.table]
    return [
        ["report", *given],
        ["tune", *given, "--method", "norcal:gamma=0..1", "--no-bootstrap", "-o", str(folder.path / "tuned.json")],
        ["fit", *given, *PLATT, "-o", str(folder.path / "fitted.npz")],
        ["rescore", *given, "--method", "norcal", "-o", str(folder.path / "out.json")],
    ]


@pytest.mark.parametrize("number", range(4))
def test_every_command_stops_at_shifted_categories(folder: Folder, number: int) -> None:
    arguments = commands(folder, folder.shifted(-1))[number]
    result = ltcal(*arguments)
    assert result.exit_code == 2
    assert "found as stated (ids) 2% of 83 sampled boxes; with --category-offset 1 77%" in result.stderr
    assert "Fix: pass --category-offset 1 if the categories are so, or --category-offset 0 if" in result.stderr
    assert ltcal(*arguments, "--category-offset", "1").exit_code == 0
    assert "sampled boxes" not in ltcal(*arguments, "--category-offset", "0").stderr


def test_boxes_as_corners_stop_and_are_read_when_stated(folder: Folder) -> None:
    plain = folder.write("plain.json", folder.detections)
    arguments = [folder.corners(), "--annotations", folder.annotations]
    stopped = report(*arguments)
    assert stopped.exit_code == 2
    assert (
        "Fix: pass --box-format xyxy if the boxes are so, or --box-format xywh if they are as stated" in stopped.stderr
    )
    read = metrics(report(*arguments, "--box-format", "xyxy"))
    wanted = metrics(report(plain, "--annotations", folder.annotations))
    assert read["bbox"] == pytest.approx(wanted["bbox"], abs=1e-12)


def test_the_corrected_file_has_the_metrics_of_the_right_one(folder: Folder) -> None:
    plain = folder.write("plain.json", folder.detections)
    right = metrics(report(plain, "--annotations", folder.annotations))
    arguments = [folder.shifted(-1), "--annotations", folder.annotations]
    assert metrics(report(*arguments, "--category-offset", "1")) == right
    kept = metrics(report(*arguments, "--category-offset", "0"))
    assert kept["bbox"]["AP"] < right["bbox"]["AP"] / 10


@pytest.mark.parametrize("ending", ["json", "json.gz", "parquet"])
def test_rescore_writes_corrected_ids_and_boxes(folder: Folder, ending: str) -> None:
    out = str(folder.path / f"corrected.{ending}")
    written = ltcal(
        "rescore", folder.corners(), "--box-format", "xyxy", "--image-offset", "0", "--method", "none", "-o", out
    )
    assert written.exit_code == 0, written.output
    plain = folder.write("plain.json", folder.detections)
    wanted = metrics(report(plain, "--annotations", folder.annotations))
    assert metrics(report(out, "--annotations", folder.annotations))["bbox"] == pytest.approx(wanted["bbox"], abs=1e-12)


def test_rescore_of_contiguous_classes_needs_annotations(folder: Folder) -> None:
    scenes, out = Scenes(), str(folder.path / "ids.json")
    new = {id_: number for number, id_ in enumerate(scenes.category_ids)}
    contiguous = folder.write(
        "contiguous.json", [{**one, "category_id": new[one["category_id"]]} for one in scenes.detections]
    )
    arguments = ["rescore", contiguous, "--contiguous", "--method", "none", "-o", out]
    refused = ltcal(*arguments)
    assert refused.exit_code == 2
    assert (
        "--annotations: expected those of the detections, for the ids of the categories, found none" in refused.stderr
    )
    annotations = folder.write("sparse.json", scenes.annotations)
    assert ltcal(*arguments, "--annotations", annotations).exit_code == 0
    assert json.loads(Path(out).read_bytes()) == [
        {name: one[name] for name in ("image_id", "category_id", "bbox", "score")} for one in scenes.detections
    ]


def test_rescore_without_options_still_changes_scores_alone(folder: Folder) -> None:
    plain, out = folder.write("plain.json", folder.detections), folder.path / "same.json"
    arguments = ["rescore", plain, "--method", "none", "-o", str(out), "--annotations", folder.annotations]
    assert ltcal(*arguments).exit_code == 0
    assert out.read_bytes() == Path(plain).read_bytes()


def logits(folder: Folder, *, category_by: int = 0, image_by: int = 0) -> str:
    """The logits of the first digit scenes, with other ids."""
    arrays = dict(np.load(SCENES / "logits.npz"))
    first = np.isin(arrays["image_id"], first_images())
    arrays = {name: array[first] if len(array) == len(first) else array for name, array in arrays.items()}
    arrays["image_id"] = arrays["image_id"] + image_by
    meta = json.loads((SCENES / "logits.meta.json").read_bytes())
    meta["category_ids"] = [id_ + category_by for id_ in meta["category_ids"]]
    name = f"logits{category_by}{image_by}"
    np.savez(folder.path / f"{name}.npz", **arrays)
    folder.write(f"{name}.meta.json", meta)
    return str(folder.path / f"{name}.npz")


def first_images() -> list[int]:
    return [one["id"] for one in json.loads((SCENES / "val.json").read_bytes())["images"]][:60]


def scene_annotations(folder: Folder) -> str:
    """The annotations of these scenes, with categories before and after each, so that a shift leaves known ids."""
    document, images = json.loads((SCENES / "val.json").read_bytes()), set(first_images())
    document["images"] = [one for one in document["images"] if one["id"] in images]
    document["annotations"] = [one for one in document["annotations"] if one["image_id"] in images]
    ids = {one["id"] for one in document["categories"]}
    more = {id_ + by for id_ in ids for by in (-1, 1)} - ids
    document["categories"] += [{**document["categories"][0], "id": id_, "name": f"other {id_}"} for id_ in sorted(more)]
    return folder.write("scenes.json", document)


@pytest.mark.parametrize(
    "command",
    [
        ("report", "--tide", "off"),
        ("tune", "--method", "temperature:t=1..2", "--no-bootstrap", "-o", "tuned.json"),
        ("fit", "--method", "temperature", "-o", "fitted.npz"),
        ("rescore", "--method", "none", "-o", "out.json"),
    ],
    ids=lambda command: command[0],
)
def test_logits_are_checked_by_what_they_decode_to(
    folder: Folder, command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = [command[0], logits(folder, category_by=-1), "--annotations", scene_annotations(folder), *command[1:]]
    stopped = ltcal(*arguments)
    assert stopped.exit_code == 2, stopped.output
    assert "; with --category-offset 1 " in stopped.stderr
    if command[0] == "report":
        settled, plain = (
            report(*given) for given in (
                [*arguments[1:], "--category-offset", "1"],
                [logits(folder), *arguments[2:]],
            )
        )  # fmt: skip
        assert metrics(settled) == metrics(plain)
    else:
        settled = ltcal(*arguments, "--category-offset", "1")
        assert settled.exit_code == 0, settled.output


def test_logits_with_shifted_images(folder: Folder) -> None:
    annotations = scene_annotations(folder)
    arguments = [logits(folder, image_by=1000), "--annotations", annotations]
    assert report(*arguments).exit_code == 2
    plain = report(logits(folder), "--annotations", annotations)
    assert metrics(report(*arguments, "--image-offset", "-1000")) == metrics(plain)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--box-format", "xyxy"), "--box-format: expected none for logits"),
        (("--category-offset", "99999999999999999999"), "--category-offset: value: expected a whole number from"),
    ],
)
def test_options_that_do_not_fit_are_refused(folder: Folder, options: tuple[str, ...], message: str) -> None:
    result = ltcal("report", str(SCENES / "logits.npz"), "--annotations", str(SCENES / "val.json"), *options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_verification_is_of_files_as_they_are(folder: Folder) -> None:
    plain = folder.write("plain.json", folder.detections)
    arguments = ["report", plain, "--annotations", folder.annotations, "--verify", "--category-offset", "0"]
    result = ltcal(*arguments)
    assert result.exit_code == 2
    assert "--verify is for COCO results as they are" in result.stderr


def test_counts_of_other_classes_are_refused(folder: Folder) -> None:
    rows = Path(folder.table).read_text().splitlines()
    header = next(number for number, row in enumerate(rows) if row.startswith("category_id"))
    names = [row.split(",")[1] for row in rows[header + 1 :]]
    moved = [
        ",".join([row.split(",")[0], name, *row.split(",")[2:]])
        for row, name in zip(rows[header + 1 :], names[1:] + names[:1], strict=True)
    ]
    shifted = folder.path / "shifted.csv"
    shifted.write_text("\n".join([*rows[: header + 1], *moved]) + "\n")
    plain = folder.write("plain.json", folder.detections)
    result = report(plain, "--annotations", folder.annotations, "--freq", str(shifted))
    assert result.exit_code == 2
    assert "--freq: 11 problems" in result.stderr
    assert "category_id 0 (zero): expected the same class in" in result.stderr
