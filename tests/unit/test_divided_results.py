"""Result files in parts: put together again, the parts are what one process reads."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from cases import make_case, write_case
from divided import Reading
from framework_scenes import SCENES, Scenes

from longtail_cli.errors import InputError, UsageError
from longtail_cli.tables import Detections, Masks
from longtail_cli.workflow.detection_inputs import RunInput
from longtail_cli.workflow.options import ConventionOptions

ROWS = [200, 10_000]


def parquet(path: Path, entries: list[dict[str, Any]], row_group: int = 40) -> Path:
    pq.write_table(pa.Table.from_pylist(entries), path, row_group_size=row_group)
    return path


def written(path: Path, entries: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(entries))
    return path


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with annotations of the scenes."""
    folder = tmp_path_factory.mktemp("scenes")
    (folder / "val.json").write_text(json.dumps(Scenes().annotations))
    return folder


def assert_same_runs(reading: Reading, rows: int, **sizes: Any) -> None:
    digest, runs = reading.in_parts(rows, **sizes)
    wanted_digest, wanted = reading.whole()
    assert digest == wanted_digest
    for one, other in zip(runs, wanted, strict=True):
        assert_same(one, other)


def assert_same(one: RunInput, other: RunInput) -> None:
    assert (one.name, one.method, one.notes, one.order_kept) == (
        other.name,
        other.method,
        other.notes,
        other.order_kept,
    )
    mine, wanted = one.detections, other.detections
    assert mine.source == wanted.source
    for name in ("image", "category", "score", "bbox", "area"):
        np.testing.assert_array_equal(getattr(mine, name), getattr(wanted, name), err_msg=name)
    assert_same_masks(mine, wanted)


def assert_same_masks(mine: Detections, wanted: Detections) -> None:
    if wanted.masks is None:
        assert mine.masks is None
        return
    assert isinstance(mine.masks, Masks)
    for name in ("size", "counts", "start"):
        np.testing.assert_array_equal(getattr(mine.masks, name), getattr(wanted.masks, name), err_msg=name)


@pytest.mark.parametrize("rows", ROWS)
def test_one_parquet_file(scenes: Path, tmp_path: Path, rows: int) -> None:
    path = parquet(tmp_path / "found.parquet", Scenes().detections)
    assert_same_runs(Reading(path, scenes / "val.json"), rows)


@pytest.mark.parametrize("rows", ROWS)
def test_parquet_in_any_order(scenes: Path, tmp_path: Path, rows: int) -> None:
    found = Scenes().detections
    shuffled = [found[row] for row in np.random.default_rng(0).permutation(len(found))]
    assert_same_runs(Reading(parquet(tmp_path / "found.parquet", shuffled), scenes / "val.json"), rows)


@pytest.mark.parametrize("rows", [100])
@pytest.mark.parametrize("iou_types", [("bbox",), ("segm",), ("bbox", "segm")])
def test_masks(scenes: Path, tmp_path: Path, iou_types: Any, rows: int) -> None:
    path = parquet(tmp_path / "found.parquet", Scenes().masked())
    assert_same_runs(Reading(path, scenes / "val.json", iou_types=iou_types), rows)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_shards_of_a_run(scenes: Path, tmp_path: Path, kind: str, rows: int) -> None:
    """Every shard has every third image, as `DistributedSampler` deals them."""
    scene = Scenes()
    ids = [one["id"] for one in scene.annotations["images"]]
    write = parquet if kind == "parquet" else written
    shards = tuple(
        write(tmp_path / f"{rank}.{kind}", [one for one in scene.detections if ids.index(one["image_id"]) % 3 == rank])
        for rank in range(3)
    )
    assert_same_runs(Reading(shards, scenes / "val.json"), rows)


@pytest.mark.parametrize("rows", [100, 10_000])
def test_methods(scenes: Path, tmp_path: Path, rows: int) -> None:
    path = parquet(tmp_path / "found.parquet", Scenes().detections)
    reading = Reading(path, scenes / "val.json", methods=["none", "temperature:t=2"])
    assert_same_runs(reading, rows)


@pytest.mark.parametrize("piece", [20, 100_000])
def test_scores_that_a_method_makes_equal_are_kept_apart_as_in_one_process(
    scenes: Path, tmp_path: Path, piece: int
) -> None:
    """At this temperature most scores become 0 or 1, and each is moved by as many floats as there are others."""
    found = [{**one, "score": float(np.float32(one["score"] ** 0.1))} for one in Scenes().detections]
    methods = ["temperature:t=0.01", "none", "temperature:t=0.02"]
    reading = Reading(parquet(tmp_path / "found.parquet", found), scenes / "val.json", methods=methods)
    assert_same_runs(reading, 100, piece=piece)
    scores = reading.whole()[1][0].detections.score
    assert (scores > 1 - 1e-12).sum() > 100


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("protocol", ["lvis", "coco"])
def test_any_results(tmp_path: Path, protocol: Any, seed: int) -> None:
    annotations, found = make_case(seed, protocol=protocol, masks=seed % 2 == 1, sure_hit=True)
    truth, predictions = write_case(tmp_path, annotations, found)
    reading = Reading(predictions, truth, iou_types=("segm",) if seed % 2 else ("bbox",))
    assert_same_runs(reading, 5)
    texts = [
        {name: json.dumps(value) if name == "segmentation" else value for name, value in one.items()} for one in found
    ]
    as_parquet = parquet(tmp_path / "found.parquet", texts, row_group=3)
    assert_same_runs(Reading(as_parquet, truth, iou_types=reading.iou_types), 5)


def test_every_image_is_in_one_part(scenes: Path, tmp_path: Path) -> None:
    reading = Reading(parquet(tmp_path / "found.parquet", Scenes().detections), scenes / "val.json")
    parts = [one.content for one in reading.planned(20).parts]
    assert len(parts) > 3
    images = np.concatenate([one.image for one in parts])
    assert sorted(images) == list(range(len(reading.truth().image_id)))
    assert all((np.diff(one.image) > 0).all() for one in parts)


def test_parts_have_about_so_many_detections(scenes: Path, tmp_path: Path) -> None:
    found = Scenes().detections
    for name, row_group, rows in (("small", 20, 100), ("large", 10_000, 100), ("even", 100, 100)):
        path = parquet(tmp_path / f"{name}.parquet", found, row_group)
        sizes = [one.size for one in Reading(path, scenes / "val.json").planned(rows).parts]
        assert sum(sizes) == len(found)
        assert max(sizes) < 1.5 * rows, name
        assert len(sizes) < 2 * len(found) / rows + 2, name


def test_an_image_counts_as_some_detections(scenes: Path, tmp_path: Path) -> None:
    """Also one without detections: then there may be parts of such images alone."""
    found = Scenes().detections
    first = [one for one in found if one["image_id"] == found[0]["image_id"]]
    for detections, most in ((found, 20), (first, 5)):
        reading = Reading(parquet(tmp_path / "found.parquet", detections, 1000), scenes / "val.json")
        parts = [one.content for one in reading.planned(100, image=100 // most).parts]
        assert sorted(np.concatenate([one.image for one in parts])) == list(range(len(reading.truth().image_id)))
        assert max(len(one.image) for one in parts) <= 2 * most
        assert_same_runs(reading, 100, image=100 // most)


def test_small_shards_share_a_part(scenes: Path, tmp_path: Path) -> None:
    found = Scenes().detections
    images = list(dict.fromkeys(one["image_id"] for one in found))
    shards = tuple(
        written(tmp_path / f"{number}.json", [one for one in found if one["image_id"] == image])
        for number, image in enumerate(images)
    )
    parts = Reading(shards, scenes / "val.json").planned(len(found) // 2).parts
    assert len(parts) in (2, 3)
    assert parts[0].name.startswith(f"{shards[0]} and ")


def test_an_image_in_two_shards_is_refused(scenes: Path, tmp_path: Path) -> None:
    found = Scenes().detections
    image = found[0]["image_id"]
    shards = tuple(parquet(tmp_path / name, found[:5]) for name in ("a.parquet", "b.parquet"))
    with pytest.raises(InputError, match=rf"b\.parquet: image {image}.*in one shard.*a\.parquet and in .*b\.parquet"):
        Reading(shards, scenes / "val.json").planned(10)


def whole_and_parts(reading: Reading) -> tuple[str, str]:
    """The errors of one process and of parts."""
    with pytest.raises(InputError) as whole:
        reading.whole()
    with pytest.raises(InputError) as parts:
        reading.in_parts(200)
    return str(whole.value), str(parts.value)


@pytest.mark.parametrize("column", ["image_id", "category_id"])
@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_unknown_ids_are_refused_as_in_one_process(scenes: Path, tmp_path: Path, kind: str, column: str) -> None:
    found = [dict(one) for one in Scenes().detections]
    for row in (17, 18, 40):
        found[row][column] = 12345 + row
    write = parquet if kind == "parquet" else written
    one, other = whole_and_parts(Reading(write(tmp_path / f"found.{kind}", found), scenes / "val.json"))
    assert one == other
    assert "first in entry 17" in other


def test_scores_that_are_not_finite_are_named_by_their_entries(scenes: Path, tmp_path: Path) -> None:
    found = [dict(one) for one in Scenes().detections]
    found[41]["score"] = float("nan")
    path = parquet(tmp_path / "found.parquet", found)
    one, other = whole_and_parts(Reading(path, scenes / "val.json"))
    assert one == other
    assert "entry 41" in other


def test_no_detections(scenes: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "none.json", [])
    assert_same_runs(Reading(path, scenes / "val.json"), 10)
    empty = tmp_path / "none.parquet"
    pq.write_table(pa.Table.from_pylist(Scenes().detections).slice(0, 0), empty)
    assert_same_runs(Reading(empty, scenes / "val.json"), 10)


@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_a_folder_of_shards_is_one_run(scenes: Path, tmp_path: Path, kind: str) -> None:
    found = Scenes().detections
    images = sorted({one["image_id"] for one in found})
    (tmp_path / "shards").mkdir()
    for rank in range(2):
        own = [one for one in found if (images.index(one["image_id"]) < 11) == (rank == 0)]
        (parquet if kind == "parquet" else written)(tmp_path / "shards" / f"{rank}.{kind}", own)
    assert_same_runs(Reading(tmp_path / "shards", scenes / "val.json"), 50)


def test_ids_off_by_one_are_refused_as_in_one_process(scenes: Path, tmp_path: Path) -> None:
    found = [{**one, "category_id": one["category_id"] - 1} for one in Scenes().detections]
    path = parquet(tmp_path / "found.parquet", found, row_group=20)
    one, other = whole_and_parts(Reading(path, scenes / "val.json"))
    assert one == other
    assert "`category_offset=1`" in other


def test_a_doubt_is_the_warning_of_one_process(scenes: Path, tmp_path: Path) -> None:
    """Boxes that fit no object under any reading; shuffled, so that no block holds all detections of an image."""
    rng = np.random.default_rng(0)
    found = [{**one, "bbox": [900.0, 900.0, *one["bbox"][2:]]} for one in Scenes().detections]
    path = parquet(tmp_path / "found.parquet", [found[row] for row in rng.permutation(len(found))], row_group=40)
    reading = Reading(path, scenes / "val.json")
    assert_same_runs(reading, 200)
    assert "warning: only 0% of" in reading.planned(10_000).runs[0].notes[0]


@pytest.mark.parametrize("convention", [
    ConventionOptions(category_offset=1), ConventionOptions(image_offset=1), ConventionOptions(box_format="xyxy"),
])  # fmt: skip
def test_conventions_that_are_stated(scenes: Path, tmp_path: Path, convention: ConventionOptions) -> None:
    found = [
        {
            **one,
            "category_id": one["category_id"] - (convention.category_offset or 0),
            "image_id": one["image_id"] - (convention.image_offset or 0),
        }
        for one in Scenes().detections
    ]
    if convention.box_format == "xyxy":
        for one in found:
            x, y, width, height = one["bbox"]
            one["bbox"] = [x, y, x + width, y + height]
    path = parquet(tmp_path / "found.parquet", found)
    assert_same_runs(Reading(path, scenes / "val.json", convention=convention), 50)


@pytest.mark.parametrize("suffix", [".parquet", ".json", ".csv"])
def test_names_of_images_and_classes(tmp_path: Path, suffix: str) -> None:
    scene = Scenes(named=True)
    truth = tmp_path / "val.json"
    truth.write_text(json.dumps(scene.annotations))
    file_name = {one["id"]: one["file_name"] for one in scene.annotations["images"]}
    path = tmp_path / f"found{suffix}"
    if suffix == ".json":
        written(path, [{**one, "image_id": file_name[one["image_id"]]} for one in scene.detections])
    else:
        name = {one["id"]: one["name"] for one in scene.annotations["categories"]}
        table = pa.table({
            "image": [file_name[one["image_id"]] for one in scene.detections],
            "class": [name[one["category_id"]] for one in scene.detections],
            "score": [one["score"] for one in scene.detections],
            **{side: [one["bbox"][at] for one in scene.detections] for at, side in enumerate(("x", "y", "w", "h"))},
        })  # fmt: skip
        if suffix == ".csv":
            pa_csv.write_csv(table, path)
        else:
            pq.write_table(table, path, row_group_size=40)
    assert_same_runs(Reading(path, truth), 100)


def test_numbers_as_texts_are_ids(scenes: Path, tmp_path: Path) -> None:
    """The ids are texts with leading zeros, as in a column of names."""
    found = Scenes().detections
    columns = {name: [one[name] for one in found] for name in ("category_id", "score", "bbox")}
    table = pa.table({"image_id": [f"{one['image_id']:06d}" for one in found], **columns})
    pq.write_table(table, tmp_path / "found.parquet", row_group_size=40)
    assert_same_runs(Reading(tmp_path / "found.parquet", scenes / "val.json"), 100)


@pytest.mark.parametrize("iou_types", [("bbox",), ("segm",)])
@pytest.mark.parametrize("suffix", [".json", ".json.gz"])
def test_a_large_list_is_read_block_by_block(scenes: Path, tmp_path: Path, suffix: str, iou_types: Any) -> None:
    path = tmp_path / f"found{suffix}"
    text = json.dumps(Scenes().masked()).encode()
    path.write_bytes(gzip.compress(text) if suffix == ".json.gz" else text)
    reading = Reading(path, scenes / "val.json", iou_types=iou_types)
    assert len(reading.planned(100).parts) > 2
    assert_same_runs(reading, 100)


def test_faults_of_a_large_list_are_those_of_one_process(scenes: Path, tmp_path: Path) -> None:
    found = [dict(one) for one in Scenes().detections]
    found[100] |= {"score": "high"}
    found[200] |= {"bbox": [1, 2, 3]}
    del found[300]["category_id"]
    path = written(tmp_path / "found.json", found)
    one, other = whole_and_parts(Reading(path, scenes / "val.json"))
    assert one == other
    path.write_text(json.dumps(found[:90])[:-20])
    one, other = whole_and_parts(Reading(path, scenes / "val.json"))
    assert one == other


def test_a_file_that_does_not_fit_is_refused(scenes: Path, tmp_path: Path) -> None:
    name = {one["id"]: one["file_name"] for one in Scenes().annotations["images"]}
    path = written(tmp_path / "found.json", [{**one, "image_id": name[one["image_id"]]} for one in Scenes().detections])
    with pytest.raises(
        UsageError, match=r"found\.json: `memory=`: expected about 0\.3 GB.*found 0\.1 GB\nFix: allow more"
    ):
        Reading(path, scenes / "val.json").planned(10, memory=100_000_000)


def test_the_example(tmp_path: Path) -> None:
    assert_same_runs(Reading(SCENES / "predictions.json", SCENES / "val.json"), 5000)
