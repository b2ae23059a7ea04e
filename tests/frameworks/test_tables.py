"""Tables of detections, as pandas and pyarrow write them, have the report of the same detections as COCO results."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from framework_scenes import FILES, Scenes, figures, refusal, written
from opened import held_fields, read_results

from longtail_cli.cli import main
from longtail_cli.errors import InputError
from longtail_cli.files.recognise import kind_of

PLAIN, NAMED = Scenes(), Scenes(named=True)
BOXES = frozenset({"bbox"})
WITH_IDS = ("pandas.csv", "sides.tsv", "stream.arrow")
WITH_NAMES = ("corners.csv", "open_images.csv", "corners.jsonl", "corners.parquet", "corners.feather")
FEWER = 280
"""Detections in the files of JSON Lines."""
HEADER = "image_id,category_id,score,x,y,w,h"
LINE = {"image_id": 1, "category_id": 2, "score": 0.5, "bbox": [1, 2, 3, 4]}


@pytest.mark.parametrize("name", [*WITH_IDS, *WITH_NAMES])
def test_the_report_is_that_of_the_same_coco_results(tmp_path: Path, name: str) -> None:
    scenes = NAMED if name in WITH_NAMES else PLAIN
    detections = scenes.detections[: FEWER if name.endswith("jsonl") else None]
    plain, annotations = written(tmp_path, scenes, detections)
    assert kind_of(FILES / name) == "results"
    assert held_fields(FILES / name) == BOXES
    assert figures(FILES / name, annotations) == figures(plain, annotations)


def test_masks_in_json_lines(tmp_path: Path) -> None:
    plain, annotations = written(tmp_path, PLAIN, PLAIN.masked()[:FEWER])
    lines = FILES / "masks.jsonl"
    assert held_fields(lines) == {"bbox", "masks"}
    assert figures(lines, annotations, "--iou-type", "bbox") == figures(plain, annotations, "--iou-type", "bbox")
    mine, of_json = (read_results(path, fields=frozenset({"masks"})).masks for path in (lines, plain))
    assert mine is not None
    assert of_json is not None
    assert mine.counts.tolist() == of_json.counts.tolist()


def one(tmp_path: Path, text: str, name: str = "saved.csv") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def complaint(path: Path) -> str:
    with pytest.raises(InputError) as error:
        read_results(path, fields=BOXES)
    return str(error.value)


SPELLINGS = {
    "image_id,category_id,score,x,y,w,h": "xywh",
    "image,class,conf,left,top,width,height": "xywh",
    "img,label_id,scores,bbox_x,bbox_y,bbox_w,bbox_h": "xywh",
    "ImageID,Class_ID,Confidence,X1,Y1,X2,Y2": "xyxy",
    "image_id,label,score,xmin,ymin,xmax,ymax": "xyxy",
    "image_id,category,score,XMin,YMin,XMax,YMax": "relative-xyxy",
    "image_id,category,score,cx,cy,w,h": "cxcywh",
    "image_id,category,score,xc,yc,w,h": "cxcywh",
}


@pytest.mark.parametrize("header", SPELLINGS)
def test_names_of_columns(tmp_path: Path, header: str) -> None:
    results = read_results(one(tmp_path, f"{header}\n7,3,0.5,1,2,3,4\n7,4,0.25,1,2,3.5,4\n"), fields=BOXES)
    assert results.convention.boxes == SPELLINGS[header]
    assert (results.convention.images, results.convention.categories) == ("id", "id")
    assert results.image_id.tolist() == [7, 7]
    assert results.category_id.tolist() == [3, 4]
    assert results.score.tolist() == [0.5, 0.25]
    assert results.bbox is not None
    assert results.bbox.tolist() == [[1, 2, 3, 4], [1, 2, 3.5, 4]]


@pytest.mark.parametrize(
    "values",
    [
        '"[1.5, 2, 3, 4]"',
        '"(1.5, 2, 3, 4)"',  # a tuple in pandas
        "[1.5 2.  3.  4. ]",  # an array in pandas
    ],
)
def test_boxes_as_text_in_one_column(tmp_path: Path, values: str) -> None:
    results = read_results(one(tmp_path, f"image_id,category_id,score,bbox\n7,3,0.5,{values}\n"), fields=BOXES)
    assert results.bbox is not None
    assert results.bbox.tolist() == [[1.5, 2, 3, 4]]


def test_the_column_of_the_index_may_have_no_name(tmp_path: Path) -> None:
    text = "\timage_id\tcategory_id\tscore\tx\ty\tw\th\n0\t7\t3\t0.5\t1\t2\t3\t4\n"  # as pandas writes it
    results = read_results(one(tmp_path, text), fields=BOXES)
    assert (results.image_id.tolist(), results.category_id.tolist()) == ([7], [3])


def test_values_decide_between_ids_and_names(tmp_path: Path) -> None:
    text = f"{HEADER}\n000139,person,1,0,0,1,1\n12.0,cat,1,0,0,1,1\n"
    results = read_results(one(tmp_path, text), fields=BOXES)
    assert results.image_id.tolist() == [139, 12]
    assert results.convention.images == "id"
    assert results.convention.categories == "name"
    assert results.convention.category_names == ("person", "cat")
    assert results.category_id.tolist() == [0, 1]


def test_columns_of_names_hold_names_also_if_these_are_numbers(tmp_path: Path) -> None:
    text = "file_name,class_name,score,x,y,w,h\n17,3,1,0,0,1,1\n9,3,1,0,0,1,1\n"
    convention = read_results(one(tmp_path, text), fields=BOXES).convention
    assert (convention.images, convention.image_names) == ("name", ("17", "9"))
    assert (convention.categories, convention.category_names) == ("name", ("3",))


def test_ids_are_preferred_to_names_with_a_note(tmp_path: Path) -> None:
    text = f"{HEADER},file_name,class_name\n7,3,1,0,0,1,1,a.jpg,cat\n"
    results = read_results(one(tmp_path, text), fields=BOXES)
    assert results.image_id.tolist() == [7]
    assert results.convention.images == "id"
    assert results.convention.notes == (
        "images are told by the ids in `image_id`; the names in `file_name` are not read",
        "categories are told by the ids in `category_id`; the names in `class_name` are not read",
    )


def test_names_of_a_dictionary_that_no_row_has_are_left_out(tmp_path: Path) -> None:
    labels = pd.Categorical(["cat", "cat"], categories=["dog", "cat"])
    frame = pd.DataFrame({"image_id": [1, 2], "label": labels, "score": [0.5, 0.5]})
    frame.assign(x=0.0, y=0.0, w=1.0, h=1.0).to_parquet(tmp_path / "saved.parquet")
    results = read_results(tmp_path / "saved.parquet", fields=BOXES)
    assert results.convention.category_names == ("cat",)
    assert results.category_id.tolist() == [0, 0]


def test_every_batch_may_have_a_dictionary_of_its_own(tmp_path: Path) -> None:
    parts = [["b", "a"], ["c", "a"], ["a", "b"]]
    boxes = {name: pa.array([0.0, 1.0]) for name in ("x", "y", "w", "h")}
    with pa.OSFile(str(tmp_path / "saved.arrow"), "wb") as out:
        tables = [pa.table({"image": p, "label": [1, 2], "score": [0.5, 0.25], **boxes}) for p in parts]
        with pa.ipc.new_file(out, tables[0].schema) as file:
            for table in tables:
                file.write_table(table)
    results = read_results(tmp_path / "saved.arrow", fields=BOXES)
    names = results.convention.image_names
    assert [names[key] for key in results.image_id] == [name for part in parts for name in part]


def test_coco_results_in_parquet_are_no_other_format(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([{**LINE, "label": "cat"}]), tmp_path / "coco.parquet")
    assert read_results(tmp_path / "coco.parquet", fields=BOXES).convention.format == "COCO results"


def test_no_detections(tmp_path: Path) -> None:
    results = read_results(one(tmp_path, HEADER + "\n"), fields=BOXES)
    assert len(results) == 0
    empty = pd.DataFrame({name: pd.Series(dtype=float) for name in HEADER.split(",")})
    for write, name in ((empty.to_parquet, "saved.parquet"), (empty.to_feather, "saved.feather")):
        write(tmp_path / name)
        assert len(read_results(tmp_path / name, fields=BOXES)) == 0


REFUSED = {
    f"{HEADER},conf\n1,2,0.5,0,0,1,1,0.5\n": (
        "columns: expected one column of scores, found `score` and `conf`\nFix: keep one of them: remove or rename"
    ),
    f"{HEADER},label\n1,2,0.5,0,0,1,1,3\n": "expected one column of categories, found `category_id` and `label`",
    "image,img,label,score,bbox\na.jpg,b.jpg,1,0.5,[]\n": "expected one column of images, found `image` and `img`",
    f"{HEADER},x1,y1,x2,y2\n1,2,0.5,0,0,1,1,0,0,1,1\n": (
        "expected the box of each detection once, found `x`, `y`, `w`, `h` and `x1`, `y1`, `x2`, `y2`"
    ),
    f"{HEADER},x\n1,2,0.5,0,0,1,1,3\n": "columns: expected one column `x`, found more than one",
    f"{HEADER},X\n1,2,0.5,0,0,1,1,3\n": "columns: expected one column `X`, found more than one",
    "image_id,category_id,x,y,w,h\n1,2,0,0,1,1\n": (
        "expected a column of scores: one of score, scores, confidence, conf, found none"
    ),
    f"{HEADER}\n1,2,high,0,0,1,1\n": "invalid value 'high'",
    HEADER.replace(",", ";") + "\n1;2;0,5;0;0;1;1\n": "invalid value '0,5'\nFix: begin the file with the header",
    f"{HEADER}\n1,2,,0,0,1,1\n": "entry 0, `score`: expected a finite number, found nan",
    f"{HEADER}\n1,2,inf,0,0,1,1\n": "entry 0, `score`: expected a finite number, found inf",
    f"{HEADER}\n1,2,0.5,0,0,-1,1\n": "entry 0, `x, y, w, h`: expected four finite numbers with a width and height of 0",
    f"{HEADER}\n1,2,0.5,0,nan,1,1\n": "`x, y, w, h`: expected four finite numbers",
    f"{HEADER}\n1,2,0.5,0,0,1\n": "Expected 7 columns, got 6",
    f"{HEADER}\n1,2,0.5,0,0,1,1\n,2,0.5,0,0,1,1\n": "entry 1, `image_id`: expected an id or a name, found none",
    'image_id,category_id,score,bbox\n1,2,0.5,"[1, 2, 3]"\n': "entry 0, `bbox`: expected four numbers, found 3",
    "image_id,category_id,score,bbox\n1,2,0.5,none\n": "Failed to parse string: 'none'",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_wrong_with_a_csv(tmp_path: Path, text: str) -> None:
    assert REFUSED[text] in complaint(one(tmp_path, text))


LINES = {
    '{"image_id": "x"}': "changed from number to string",
    '{"score": "x"}': "changed from number to string",
    '{"score": null}': "entry 1, `score`: expected a finite number, found nan",
    '{"bbox": [1, 2, 3]}': "entry 1, `bbox`: expected four numbers, found 3",
    '{"bbox": null}': "entry 1 (image_id 1): expected a field `bbox`, which other entries have, found none",
    '{"score": 1e999}': "Number too big",
}


@pytest.mark.parametrize("change", LINES)
def test_what_is_wrong_with_json_lines(tmp_path: Path, change: str) -> None:
    second = {**LINE, **json.loads(change)} if "1e999" not in change else {**LINE, "score": "1e999"}
    text = f"{json.dumps(LINE)}\n{json.dumps(second)}\n".replace('"1e999"', "1e999")
    assert LINES[change] in complaint(one(tmp_path, text, "saved.jsonl"))


def test_lines_that_are_cut_off(tmp_path: Path) -> None:
    text = f"{json.dumps(LINE)}\n{json.dumps(LINE)}\n"
    assert "detections in JSON Lines" in complaint(one(tmp_path, text[:-9], "saved.jsonl"))


def test_an_arrow_file_with_other_columns(tmp_path: Path) -> None:
    pyarrow.feather.write_feather(pa.table({"a": [1], "b": [2]}), tmp_path / "saved.feather")
    message = complaint(tmp_path / "saved.feather")
    assert "expected a column of images: one of image_id, image, img" in message
    assert "expected boxes (`bbox`, `x,y,w,h`" in message


def test_a_small_arrow_file_that_unpacks_to_far_more_is_refused(tmp_path: Path) -> None:
    rows = 1 << 28
    table = pa.table({name: pa.nulls(rows) for name in HEADER.split(",")})
    pyarrow.feather.write_feather(table, tmp_path / "saved.feather", chunksize=rows)
    assert (tmp_path / "saved.feather").stat().st_size < 1 << 12
    assert "table: expected content that unpacks to" in complaint(tmp_path / "saved.feather")


def test_a_report_without_annotations_is_refused(tmp_path: Path) -> None:
    assert "Missing option '--annotations'" in refusal("report", str(FILES / "corners.csv"))


def test_class_names_that_the_annotations_lack_are_refused(tmp_path: Path) -> None:
    _, annotations = written(tmp_path, NAMED, NAMED.detections)
    with (FILES / "corners.csv").open(newline="") as file:
        rows = [{**row, "class_name": row["class_name"].replace("zero", "nought")} for row in csv.DictReader(file)]
    pd.DataFrame(rows).to_csv(tmp_path / "other.csv", index=False)
    assert "nought" in refusal("report", str(tmp_path / "other.csv"), "--annotations", str(annotations))


@pytest.mark.parametrize("name", ["sides.tsv", "corners.csv", "corners.parquet"])
def test_rescoring_writes_coco_results(tmp_path: Path, name: str) -> None:
    scenes = NAMED if name in WITH_NAMES else PLAIN
    plain, annotations = written(tmp_path, scenes, scenes.detections)
    out = tmp_path / "out.json"
    arguments = ("rescore", FILES / name, "--annotations", annotations, "--method", "none", "-o", out)
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    assert figures(out, annotations) == figures(plain, annotations)
