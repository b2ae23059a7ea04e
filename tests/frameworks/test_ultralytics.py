"""COCO results with names of images, as Ultralytics writes them: the same metrics as with ids, and what is refused."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from framework_scenes import FILES, Scenes, figures, refusal, written

from longtail_cli.errors import InputError
from longtail_cli.files.frameworks.formats import detection_format
from longtail_cli.files.outline import outline_of
from longtail_cli.files.results.file import open_results
from longtail_cli.tables import Results

PREDICTIONS = FILES / "ultralytics.json"
SCENES = Scenes(named=True)
GOOD = {"image_id": "bus_7", "category_id": 2, "bbox": [1.5, 2, 3, 4], "score": 0.5}
BOXES = frozenset({"bbox"})


def written_to(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "predictions.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def read(path: Path, fields: frozenset[str] = BOXES) -> Results:
    with open_results(path) as file:
        return file.read(fields)


def complaint(tmp_path: Path, content: Any) -> str:
    with pytest.raises(InputError) as error:
        read(written_to(tmp_path, content))
    return str(error.value)


def module_of(path: Path) -> str | None:
    known = detection_format(outline_of(path))
    return known and known.module


def with_ids() -> list[dict[str, Any]]:
    """The real file with the ids of the annotations."""
    images = {Path(one["file_name"]).stem: one["id"] for one in SCENES.annotations["images"]}
    return [
        {
            "image_id": images[one["image_id"]],
            "category_id": SCENES.category_ids[one["category_id"] - 1],
            "bbox": one["bbox"],
            "score": one["score"],
        }
        for one in json.loads(PREDICTIONS.read_bytes())
    ]


def test_metrics_are_those_of_the_same_detections_with_ids(tmp_path: Path) -> None:
    plain, annotations = written(tmp_path, SCENES, with_ids())
    counted = ("--contiguous", "--category-offset", "-1")  # this version counts the classes of a data set from 1
    assert figures(PREDICTIONS, annotations, *counted) == figures(plain, annotations)


def test_names_with_ids_of_the_annotations(tmp_path: Path) -> None:
    """As other programs write them: without a file name, the name in `image_id`, and masks."""
    plain, annotations = written(tmp_path, SCENES, SCENES.masked())
    names = {one["id"]: one["file_name"] for one in SCENES.annotations["images"]}
    named = written_to(tmp_path, [{**one, "image_id": names[one["image_id"]]} for one in SCENES.masked()])
    assert figures(named, annotations) == figures(plain, annotations)


def test_classes_that_count_from_elsewhere_are_refused(tmp_path: Path) -> None:
    _, annotations = written(tmp_path, SCENES, [])
    message = refusal("report", str(PREDICTIONS), "--annotations", str(annotations))
    assert "found as stated (ids) 0% of 46 sampled boxes, and categories that the annotations lack; with" in message
    assert "Fix: pass --contiguous and --category-offset -1 if the categories are so" in message


@pytest.mark.parametrize("packed", [False, True])
def test_what_a_file_holds(tmp_path: Path, packed: bool) -> None:
    entries = [
        GOOD,
        {**GOOD, "image_id": 12},
        {**GOOD, "image_id": "büs"},
        GOOD,
    ]
    path = written_to(tmp_path, entries)
    if packed:
        path = tmp_path / "predictions.json.gz"
        path.write_bytes(gzip.compress(json.dumps(entries).encode()))
    results = read(path)
    assert results.image_id.tolist() == [0, 1, 2, 0]
    assert results.category_id.tolist() == [2] * 4
    assert results.score.tolist() == [0.5] * 4
    assert results.bbox is not None
    assert results.bbox.tolist() == [[1.5, 2, 3, 4]] * 4
    convention = results.convention
    assert (convention.images, convention.image_names) == ("name", ("bus_7", "12", "büs"))
    assert (convention.categories, convention.boxes, convention.listed) == ("id", "xywh", None)


@pytest.mark.parametrize("named", range(3))
def test_any_entry_may_be_the_first_with_a_name(tmp_path: Path, named: int) -> None:
    entries = [{**GOOD, "image_id": "bus_7" if row == named else row} for row in range(3)]
    expected = tuple("bus_7" if row == named else str(row) for row in range(3))
    assert read(written_to(tmp_path, entries)).convention.image_names == expected


def test_file_names_are_read_in_place_of_stems(tmp_path: Path) -> None:
    entries = [{**GOOD, "image_id": 12, "file_name": "000012.jpg"}, {**GOOD, "file_name": "bus_7.jpg"}]
    assert read(written_to(tmp_path, entries)).convention.image_names == ("000012.jpg", "bus_7.jpg")


def test_one_name_may_be_spelled_in_two_ways(tmp_path: Path) -> None:
    content = (
        '[{"image_id": "b\\u00fc", "category_id": 1, "score": 0}, {"image_id": "bü" , "category_id": 1, "score": 1}]'
    )
    results = read(written_to(tmp_path, content), frozenset())
    assert results.image_id.tolist() == [0, 0]


def test_compressed_files(tmp_path: Path) -> None:
    path = tmp_path / "predictions.json.gz"
    path.write_bytes(gzip.compress(PREDICTIONS.read_bytes()))
    assert read(path).convention.image_names == read(PREDICTIONS).convention.image_names


def test_lists_in_memory() -> None:
    with open_results([GOOD, {**GOOD, "image_id": 3}]) as file:
        assert file.read(BOXES).convention.image_names == ("bus_7", "3")


RECOGNISED = [
    ([GOOD], "ultralytics"),
    ([{**GOOD, "image_id": 1}, GOOD], None),  # told while it is read
    ([{"file_name": "a.jpg", "category_id": 1, "score": 1, "bbox": [0, 0, 1, 1]}], "ultralytics"),
    ([{**GOOD, "image_id": 1}, {**GOOD, "image_id": 2}], None),
    ([{**GOOD, "image_id": 1, "file_name": "1.jpg"}], None),
    ([{"image_id": "a", "label": 1}], None),
    ([], None),
    ([7], None),
]


@pytest.mark.parametrize(("entries", "module"), RECOGNISED)
def test_lists_that_begin_with_a_name_are_recognised(tmp_path: Path, entries: list[Any], module: str | None) -> None:
    assert module_of(written_to(tmp_path, entries)) == module


PROBLEMS = [
    ({"image_id": None}, "entry 1, `image_id`: expected a name or an id, found null"),
    ({"image_id": ["a"]}, 'entry 1, `image_id`: expected a name or an id, found ["a"]'),
    ({"image_id": ""}, 'entry 1, `image_id`: expected a name or an id, found ""'),
    ({"image_id": 1.5}, "entry 1, `image_id`: expected a name or an id, found 1.5"),
    ({"image_id": "x" * 5000}, 'entry 1, `image_id`: expected a name or an id, found "xxx'),
    ({"category_id": "bus"}, 'entry 1 (image_id "bus_7"), `category_id`: expected an integer id, found "bus"'),
    ({"score": "0.5"}, 'entry 1 (image_id "bus_7"), `score`: expected a number, found "0.5"'),
    ({"score": float("nan")}, 'entry 1 (image_id "bus_7"), `score`: expected a finite number, found NaN'),
    ({"bbox": [1, 2, -3, 4]}, 'entry 1 (image_id "bus_7"), `bbox`: expected a width of 0 or more, found -3'),
    ({"bbox": [1, 2, 3]}, "`bbox`: expected four numbers [x, y, width, height], found 3 numbers"),
]


@pytest.mark.parametrize(("fields", "expected"), PROBLEMS)
def test_a_field_of_an_entry(tmp_path: Path, fields: dict[str, Any], expected: str) -> None:
    assert expected in complaint(tmp_path, [GOOD, {**GOOD, **fields}, GOOD])


def test_an_entry_without_a_name(tmp_path: Path) -> None:
    entry = {name: value for name, value in GOOD.items() if name != "image_id"}
    expected = "entry 1: expected a field `image_id`, found only `category_id`, `bbox`, `score`"
    assert expected in complaint(tmp_path, [GOOD, entry])


def test_problems_that_are_alike_are_listed_three_times(tmp_path: Path) -> None:
    message = complaint(tmp_path, [GOOD, *[{**GOOD, "image_id": None}] * 50, GOOD])
    assert message.splitlines()[0].endswith("50 problems")
    assert "  ... and 47 more" in message


def test_a_file_that_is_cut_off(tmp_path: Path) -> None:
    text = json.dumps([GOOD] * 3)
    assert "after 2 whole entries: it is cut off" in complaint(tmp_path, text[:-5])
