"""The shards that the processes of an evaluation wrote are read as one run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longtail_cli.errors import InputError, UsageError
from longtail_cli.files.paths import expanded, name_of_shards
from longtail_cli.files.recognise import kind_of
from longtail_cli.files.results.file import open_results
from longtail_cli.files.results.merged import merged
from longtail_cli.tables import Convention, Results

BOTH = frozenset({"bbox", "masks"})
BOXES = frozenset({"bbox"})
MASK = {"size": [2, 2], "counts": "04"}


def entry(image: int, score: float = 0.5, **more: Any) -> dict[str, Any]:
    return {"image_id": image, "category_id": 3, "score": score, "bbox": [1, 2, 3, 4], **more}


def shards(folder: Path, *parts: list[dict[str, Any]]) -> list[Path]:
    paths = [folder / f"rank_{number}.json" for number in range(len(parts))]
    for path, part in zip(paths, parts, strict=True):
        path.write_text(json.dumps(part))
    return paths


def read(paths: list[Path], fields: frozenset[str] = BOXES) -> Results:
    with open_results(paths) as file:
        return file.read(fields)


def test_rows_are_in_the_order_of_the_shards(tmp_path: Path) -> None:
    results = read(shards(tmp_path, [entry(9, 0.25), entry(1)], [], [entry(4, 0.75)]))
    assert results.image_id.tolist() == [9, 1, 4]
    assert results.score.tolist() == [0.25, 0.5, 0.75]
    assert results.source == f"{tmp_path / 'rank_0.json'} and 2 more"
    assert results.convention == Convention("3 shards of COCO results")


def test_repeated_images_are_taken_once_whatever_their_order(tmp_path: Path) -> None:
    first, second = [entry(1, 0.25), entry(1, 0.5), entry(2)], [entry(3), entry(1, 0.5), entry(1, 0.25)]
    results = read(shards(tmp_path, first, second))
    assert results.image_id.tolist() == [1, 1, 2, 3]
    assert results.convention.notes == (
        "1 image is in several shards with the same detections (padding of a sampler); "
        "2 repeated detections were dropped",
    )


def test_equal_detections_within_a_shard_stay(tmp_path: Path) -> None:
    assert len(read(shards(tmp_path, [entry(1), entry(1)], [entry(1), entry(1)]))) == 2


@pytest.mark.parametrize(
    "other",
    [
        [entry(1)],
        [entry(1), entry(1), entry(1)],
        [entry(1), entry(1, 0.75)],
        [entry(1), entry(1, category_id=4)],
        [entry(1), entry(1, bbox=[1, 2, 3, 5])],
    ],
)
def test_an_image_with_other_detections_is_refused(tmp_path: Path, other: list[dict[str, Any]]) -> None:
    paths = shards(tmp_path, [entry(1), entry(1)], [entry(8)], other)
    with pytest.raises(InputError) as error:
        read(paths)
    expected = f"image 1: expected the detections that {paths[0]} has of it, or none, found others in {paths[2]}"
    assert expected in str(error.value)


def test_all_images_with_other_detections_are_counted(tmp_path: Path) -> None:
    ids = range(30)
    with pytest.raises(InputError) as error:
        read(shards(tmp_path, [entry(i) for i in ids], [entry(i, 0.75) for i in ids]))
    assert error.value.total == 30


def test_which_rows_are_read_does_not_depend_on_the_fields(tmp_path: Path) -> None:
    paths = shards(tmp_path, [entry(1, segmentation=MASK)], [entry(1, segmentation=MASK), entry(2, segmentation=MASK)])
    for fields in (frozenset[str](), BOXES, frozenset({"masks"}), BOTH):
        results = read(paths, fields)
        assert results.image_id.tolist() == [1, 2]
        assert (results.bbox is not None, results.masks is not None) == ("bbox" in fields, "masks" in fields)


def test_masks_without_boxes(tmp_path: Path) -> None:
    def masked(image: int, counts: str) -> dict[str, Any]:
        return {"image_id": image, "category_id": 3, "score": 0.5, "segmentation": {"size": [2, 2], "counts": counts}}

    same = shards(tmp_path, [masked(1, "04")], [masked(2, "13"), masked(1, "04")])
    results = read(same, frozenset({"masks"}))
    assert results.masks is not None
    assert results.masks.counts.tolist() == [0, 4, 1, 3]
    assert results.masks.start.tolist() == [0, 2, 4]
    with pytest.raises(InputError, match="image 1"):
        read(shards(tmp_path, [masked(1, "04")], [masked(1, "13")]), BOTH)


def test_names_of_each_shard(tmp_path: Path) -> None:
    header = "file_name,label,score,x,y,w,h\n"
    for number, rows in enumerate(("b.jpg,cat\na.jpg,dog", "c.jpg,cat\nb.jpg,cat")):
        lines = "".join(f"{row},0.5,0,0,1,1\n" for row in rows.split("\n"))
        (tmp_path / f"{number}.csv").write_text(header + lines)
    results = read([tmp_path / "0.csv", tmp_path / "1.csv"])
    convention = results.convention
    assert [convention.image_names[key] for key in results.image_id] == ["b.jpg", "a.jpg", "c.jpg"]
    assert [convention.category_names[key] for key in results.category_id] == ["cat", "dog", "cat"]


def test_shards_have_one_format(tmp_path: Path) -> None:
    paths = [*shards(tmp_path, [entry(1)], [entry(2)]), tmp_path / "2.csv"]
    paths[2].write_text("image_id,category_id,score,x1,y1,x2,y2\n3,3,0.5,1,2,3,4\n")
    with pytest.raises(InputError) as error:
        read(paths)
    assert str(error.value) == (
        f"{paths[2]}: shard: expected COCO results with xywh boxes, images by id, categories by id, as in {paths[0]}, "
        "found detections in CSV with xyxy boxes, images by id, categories by id\n"
        "Fix: pass shards that were written in the same way"
    )


def test_positions_do_not_tell_the_images_of_shards_apart() -> None:
    positions = Convention("lists in the order of the data set", images="position")
    part = Results(np.zeros(1, np.int64), np.ones(1, np.int64), np.ones(1), np.ones((1, 4)), None, "a.pkl", positions)
    with pytest.raises(InputError, match="expected ids or file names, by which those of several shards are told apart"):
        merged([part, part], "a.pkl and 1 more")
    assert merged([part], "a.pkl") is part


def test_a_fault_names_the_shard(tmp_path: Path) -> None:
    paths = shards(tmp_path, [entry(1)], [{"image_id": 2}])
    with pytest.raises(InputError, match=r"rank_1\.json"):
        read(paths)


def test_the_digest_depends_on_every_shard_and_their_order(tmp_path: Path) -> None:
    one, other = shards(tmp_path, [entry(1)], [entry(2)])
    digests = set()
    for paths in ([one, other], [other, one], [one]):
        with open_results(paths) as file:
            digests.add(file.sha256())
    assert len(digests) == 3


def test_the_size_is_that_of_all_shards(tmp_path: Path) -> None:
    paths = shards(tmp_path, [entry(1)], [entry(2), entry(3)])
    with open_results(paths) as file:
        assert file.size == sum(path.stat().st_size for path in paths)


def test_fields_are_those_of_the_first_shard_with_detections(tmp_path: Path) -> None:
    with open_results(shards(tmp_path, [], [entry(1, segmentation=MASK)])) as file:
        assert file.fields == BOTH
    with open_results(shards(tmp_path, [], [])) as file:
        assert file.fields == frozenset()
        assert len(file.read(BOXES)) == 0


def test_logits_are_no_shards_of_results(tmp_path: Path) -> None:
    paths = shards(tmp_path, [entry(1)])
    np.save(tmp_path / "logits.npy", np.zeros((2, 3)))
    with pytest.raises(UsageError, match="put the shards of logits into one folder"):
        kind_of([*paths, tmp_path / "logits.npy"])


def test_patterns(tmp_path: Path) -> None:
    paths = shards(tmp_path, [], [], [])
    literal = tmp_path / "rank_[0].json"
    literal.write_text("[]")
    assert expanded([tmp_path / "rank_?.json"]) == tuple(paths)
    assert expanded([literal, paths[2]]) == (literal, paths[2])  # a file of that name is no pattern
    with pytest.raises(InputError, match="expected one that fits the name of a file, found no such file"):
        expanded([tmp_path / "other_*.json"])
    with pytest.raises(InputError, match="a pattern for the names of files"):
        expanded([Path("/**a/x")])


def test_names_of_shards() -> None:
    assert name_of_shards([Path("a.json")]) == "a.json"
    assert name_of_shards([Path("a.json"), Path("b.json"), Path("c.json")]) == "a.json and 2 more"
