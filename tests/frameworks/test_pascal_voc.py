"""Folders of Pascal VOC text files: the same metrics as COCO results, what is recognised, and what is refused.

The files are written as in rbgirshick/py-faster-rcnn, lib/datasets/pascal_voc.py, _write_voc_results_file: the scores
with three digits, the corners of boxes with one, counted from 1 and part of the box.
"""

from pathlib import Path
from typing import Any

import pytest
from framework_scenes import Scenes, figures, refusal, written

from longtail_cli.errors import InputError
from longtail_cli.files.frameworks.formats import detection_format
from longtail_cli.files.frameworks.pascal_voc import class_names
from longtail_cli.files.outline import outline_of
from longtail_cli.files.results.file import open_results
from longtail_cli.tables import Results

SCENES = Scenes(named=True)
BOXES = frozenset({"bbox"})


def folder_of(tmp_path: Path, **files: str) -> Path:
    """A folder with the text files of these names."""
    folder = tmp_path / "Main"
    folder.mkdir()
    for name, content in files.items():
        (folder / f"{name}.txt").write_text(content)
    return folder


def read(folder: Path) -> Results:
    with open_results(folder) as file:
        return file.read(BOXES)


def complaint(folder: Path) -> str:
    with pytest.raises(InputError) as error:
        read(folder)
    return str(error.value)


def by_class() -> list[dict[str, Any]]:
    """The detections in the order of the files, with scores of three digits."""
    names = {one["id"]: one["name"] for one in SCENES.annotations["categories"]}
    ordered = sorted(SCENES.detections, key=lambda one: names[one["category_id"]])
    return [{**one, "score": round(one["score"], 3)} for one in ordered]


def written_as_voc(tmp_path: Path) -> Path:
    stems = {one["id"]: Path(one["file_name"]).stem for one in SCENES.annotations["images"]}
    files = {f"comp4_det_test_{one['name']}": "" for one in SCENES.annotations["categories"]}
    names = {one["id"]: one["name"] for one in SCENES.annotations["categories"]}
    for one in by_class():
        x, y, width, height = one["bbox"]
        corners = [x + 1, y + 1, x + width - 1 + 1, y + height - 1 + 1]  # 0-based and inclusive, then 1-based
        line = f"{stems[one['image_id']]} {one['score']:.3f} {' '.join(f'{value:.1f}' for value in corners)}\n"
        files[f"comp4_det_test_{names[one['category_id']]}"] += line
    return folder_of(tmp_path, **files)


def test_metrics_are_those_of_the_same_detections_in_json(tmp_path: Path) -> None:
    plain, annotations = written(tmp_path, SCENES, by_class())
    assert figures(written_as_voc(tmp_path), annotations) == figures(plain, annotations)


def test_what_a_folder_holds(tmp_path: Path) -> None:
    car = "000012 0.5 1 1 1 1\n2007_000027 0.25 2 3.5 10 20\n"
    results = read(
        folder_of(tmp_path, comp3_det_val_car=car, comp3_det_val_bus="000012 1 5 5 4 4\n", comp3_det_val_dog="")
    )
    assert results.image_id.tolist() == [0, 0, 1]
    assert results.category_id.tolist() == [0, 1, 1]
    assert results.score.tolist() == [1, 0.5, 0.25]
    assert results.bbox is not None
    assert results.bbox.tolist() == [[4, 4, 4, 4], [0, 0, 1, 1], [1, 2.5, 10, 20]]
    convention = results.convention
    assert (convention.images, convention.image_names) == ("name", ("000012", "2007_000027"))
    assert (convention.categories, convention.category_names) == ("name", ("bus", "car", "dog"))
    assert convention.boxes == "xyxy"
    assert convention.notes == (
        "the pixels of Pascal VOC boxes count from 1 and belong to the box: x = xmin - 1, width = xmax - xmin + 1",
    )


CLASSES = [
    (["comp4_det_test_car", "comp4_det_test_traffic_light"], ("car", "traffic_light")),
    (["comp4-44503_det_test_car", "comp4-44503_det_test_dog"], ("car", "dog")),
    (["run7_car", "run7_cat"], ("car", "cat")),
    (["car", "dog"], ("car", "dog")),
    (["traffic_light"], ("traffic_light",)),
    (["a_", "a_b"], ("a_", "a_b")),
]


@pytest.mark.parametrize(("stems", "expected"), CLASSES)
def test_the_class_is_in_the_name_of_the_file(stems: list[str], expected: tuple[str, ...]) -> None:
    assert class_names(tuple(f"{stem}.txt" for stem in stems)) == expected


PROBLEMS = [
    ("a 0.5 1 1 9", "car.txt, line 2: expected a line `image score xmin ymin xmax ymax`, found 5 words"),
    ("a b 0.5 1 1 9 9", "car.txt, line 2: expected a line `image score xmin ymin xmax ymax`, found 7 words"),
    ("a nan 1 1 9 9", "car.txt, line 2, score: expected a finite number, found 'nan'"),
    ("a 0.5 1 1 inf 9", "car.txt, line 2, xmax: expected a finite number, found 'inf'"),
    ("a 0.5 1 x 9 9", "car.txt, line 2, ymin: expected a finite number, found 'x'"),
    ("a 0.5 5 1 3 9", "car.txt, line 2, box: expected xmin - 1 <= xmax and ymin - 1 <= ymax, found 5, 1, 3, 9"),
    (
        "a 0.5 1 1 1e200 9",
        "car.txt, line 2, box: expected four finite numbers within 1e+150 of 0",
    ),
]


@pytest.mark.parametrize(("line", "expected"), PROBLEMS)
def test_a_line(tmp_path: Path, line: str, expected: str) -> None:
    assert expected in complaint(folder_of(tmp_path, car=f"a 0.5 1 1 9 9\n{line}\n"))


def test_confidences_of_yolo_are_not_taken_for_pixels(tmp_path: Path) -> None:
    known = detection_format(outline_of(folder_of(tmp_path, a="12 0.5 0.5 0.1 0.1 0.9")))
    assert known is not None
    assert known.module == "yolo"


def test_ids_as_names_of_images(tmp_path: Path) -> None:
    known = detection_format(outline_of(folder_of(tmp_path, car="12 0.5 1 1 9 9")))
    assert known is not None
    assert known.module == "pascal_voc"


def test_classes_that_are_not_in_the_annotations(tmp_path: Path) -> None:
    _, annotations = written(tmp_path, SCENES, [])
    folder = folder_of(tmp_path, comp4_det_test_unicorn="scene_361 0.5 1 1 9 9")
    assert "unicorn" in refusal("report", str(folder), "--annotations", str(annotations))
