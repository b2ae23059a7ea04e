"""Results in Parquet give the same table as in JSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opened import held_fields, read_results, write_rescored

from longtail_cli.errors import InputError, UsageError
from longtail_cli.tables import Results

BOTH = frozenset({"bbox", "masks"})
MASKS = [{"size": [2, 2], "counts": "04"}, {"size": [2, 3], "counts": "222"}]
GOOD = {
    "image_id": [12, 0],
    "category_id": [7, 1],
    "score": [0.25, 0.75],
    "bbox": [[1.0, 2.5, 3.0, 4.0], [0.0, 0.0, 1.0, 0.0]],
    "segmentation": MASKS,
    "note": ["a", None],
}


def written(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table({**GOOD, **columns}), path, row_group_size=1, compression="zstd")
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "predictions.parquet"


def as_json(path: Path) -> Path:
    plain = path.with_suffix(".json")
    plain.write_text(json.dumps(pq.read_table(path).to_pylist()))
    return plain


def lists_of(results: Results) -> list[Any]:
    assert results.bbox is not None
    assert results.masks is not None
    columns = (results.image_id, results.category_id, results.score, results.bbox)
    return [column.tolist() for column in (*columns, results.masks.counts, results.masks.size)]


def complaint(path: Path) -> str:
    with pytest.raises(InputError) as error:
        read_results(path, fields=BOTH)
    return str(error.value)


TYPES = [
    {},
    {"image_id": pa.array([12, 0], pa.int32()), "category_id": pa.array([7, 1], pa.uint8())},
    {"image_id": [12.0, 0.0]},
    {"score": pa.array([0.1, 0.7], pa.float32())},
    {"score": [1, 0]},
    {"bbox": pa.array([[1, 2, 3, 4], [5, 6, 7, 8]], pa.large_list(pa.int64()))},
    {"bbox": pa.array([[1, 2, 3, 4], [5, 6, 7, 8]], pa.list_(pa.float32(), 4))},
]


@pytest.mark.parametrize("columns", TYPES)
def test_columns_are_those_of_the_list_in_json(path: Path, columns: dict[str, Any]) -> None:
    results = read_results(written(path, **columns), fields=BOTH)
    plain = read_results(as_json(path), fields=BOTH)
    assert lists_of(results) == lists_of(plain)


def test_segmentations_may_be_json_text_or_bytes(path: Path) -> None:
    runs = lists_of(read_results(written(path), fields=BOTH))
    text = [json.dumps(mask) for mask in MASKS]
    packed = [{"size": mask["size"], "counts": str(mask["counts"]).encode()} for mask in MASKS]
    for segmentation in (text, packed):
        assert lists_of(read_results(written(path, segmentation=segmentation), fields=BOTH)) == runs


def test_geometry_is_read_on_request(path: Path) -> None:
    results = read_results(written(path), fields=frozenset())
    assert (results.bbox, results.masks) == (None, None)
    assert held_fields(path) == BOTH
    pq.write_table(pa.table({name: GOOD[name] for name in ("image_id", "category_id", "score", "segmentation")}), path)
    assert held_fields(path) == {"masks"}
    assert read_results(path, fields=frozenset({"bbox"})).masks is not None


def test_no_rows(path: Path) -> None:
    empty = pa.table(
        {
            "image_id": pa.array([], pa.int64()),
            "category_id": pa.array([], pa.int64()),
            "score": pa.array([], pa.float64()),
        }
    )
    pq.write_table(empty, path)
    assert len(read_results(path, fields=BOTH)) == 0


PROBLEMS = [
    ({"image_id": [b"a", b"b"]}, "column `image_id`: expected integers, found binary"),
    ({"image_id": [12, None]}, "entry 1, `image_id`: expected an integer id, found nan"),
    ({"image_id": [12.5, 1]}, "entry 0, `image_id`: expected an integer id, found 12.5"),
    ({"score": [0.5, float("nan")]}, "entry 1, `score`: expected a finite number, found nan"),
    ({"score": [True, False]}, "column `score`: expected numbers, found bool"),
    ({"bbox": [[1.0, 2, 3], [1, 2, 3, 4]]}, "entry 0, `bbox`: expected four numbers, found 3"),
    (
        {"bbox": [[1.0, 2, 3, 4], [1, 2, -3, 4]]},
        "entry 1, `bbox`: expected four finite numbers with a width and height",
    ),
    ({"bbox": [[1.0, 2, 3, 4], None]}, "entry 1 (image_id 0): expected a field `bbox`, which other entries have"),
    ({"bbox": ["a", "b"]}, "column `bbox`: expected lists of four numbers, found string"),
    ({"segmentation": [MASKS[0], {"size": [9, 9], "counts": "04"}]}, "entry 1 (image_id 0)"),
    ({"segmentation": [MASKS[0], None]}, "expected a field `segmentation`, which other entries have"),
]


@pytest.mark.parametrize(("columns", "expected"), PROBLEMS)
def test_faults(path: Path, columns: dict[str, Any], expected: str) -> None:
    assert expected in complaint(written(path, **columns))


def test_missing_columns(path: Path) -> None:
    pq.write_table(pa.table({"image_id": [1]}), path)
    message = complaint(path)
    assert "expected one column `category_id`, found image_id" in message
    assert "expected one column `score`" in message


@pytest.mark.parametrize("content", [b"no Parquet", b"PAR1 and more PAR1"])
def test_a_file_that_is_not_parquet(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert "expected a whole Parquet file" in complaint(path)


def test_the_content_and_not_the_name_tells_parquet(path: Path) -> None:
    other = written(path).rename(path.with_name("predictions.bin"))
    out = path.with_name("rescored.parquet")
    write_rescored(other, np.array([0.1, 0.2]), out)
    assert read_results(out, fields=frozenset()).score.tolist() == [0.1, 0.2]
    path.write_text('[{"image_id": 1, "category_id": 2, "bbox": [0, 0, 1, 1], "score": 0.5}]')
    assert read_results(path, fields=frozenset()).score.tolist() == [0.5]
    with pytest.raises(UsageError, match=r"one that does not end in .parquet, since the input is JSON"):
        write_rescored(path, np.zeros(1), out.with_name("other.parquet"))


def test_rescoring_keeps_all_other_columns_and_the_schema(path: Path) -> None:
    out = path.with_name("rescored.parquet")
    table = pq.read_table(written(path)).replace_schema_metadata({"made": "by a test"})
    pq.write_table(table, path, row_group_size=1, compression="zstd")
    write_rescored(path, np.array([0.1, 0.2]), out)
    assert pq.read_schema(out).equals(pq.read_schema(path), check_metadata=True)
    assert pq.read_table(out).drop(["score"]).equals(pq.read_table(path).drop(["score"]))
    assert pq.read_table(out)["score"].to_pylist() == [0.1, 0.2]
    assert pq.ParquetFile(out).num_row_groups == 2


def test_scores_are_not_rounded_to_the_type_of_the_column(path: Path) -> None:
    out = path.with_name("rescored.parquet")
    write_rescored(written(path, score=pa.array([0.5, 0.5], pa.float32())), np.array([0.1, 0.2]), out)
    assert pq.read_table(out)["score"].to_pylist() == [0.1, 0.2]
    write_rescored(written(path, score=[1, 0]), np.array([0.1, 0.2]), out)
    assert pq.read_table(out)["score"].to_pylist() == [0.1, 0.2]


def test_rescoring_checks_before_it_writes(path: Path) -> None:
    out = path.with_name("rescored.parquet")
    with pytest.raises(InputError, match="entries: expected 3, as there are scores, found 2"):
        write_rescored(written(path), np.zeros(3), out)
    with pytest.raises(UsageError, match=r"one that ends in .parquet, since the input is Parquet"):
        write_rescored(path, np.zeros(2), path.with_suffix(".json"))
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_columns_of_one_name_are_refused(path: Path) -> None:
    names = ["image_id", "category_id", "score", "bbox", "note", "note"]
    columns = [pa.array([value]) for value in (1, 2, 0.5, [0.0, 0.0, 1.0, 1.0], 3, 4)]
    pq.write_table(pa.table(columns, names=names), path)
    assert "expected one column `note`, found 2" in complaint(path)
