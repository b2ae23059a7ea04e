"""`ltcal compute-freq`, as a user calls it."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from longtail_cli.cli import main
from longtail_cli.files.frequencies import read_frequencies


def dataset(**stated: tuple[int, int, int]) -> dict[str, Any]:
    """Class 1 in 4 of 5 images with 6 objects, class 2 in one, class 9 in none; counts `stated` on the classes."""
    where = [(1, 1), (1, 1), (1, 1), (2, 1), (3, 1), (4, 1), (4, 2)]
    categories = [{"id": 9, "name": "never"}, {"id": 1, "name": "often, 🐟"}, {"id": 2, "name": "once"}]
    for field, counts in stated.items():
        for category, value in zip(categories, counts, strict=True):
            category[field] = value
    annotations = [{"id": n, "image_id": image, "category_id": c} for n, (image, c) in enumerate(where)]
    return {"images": [{"id": image} for image in range(1, 6)], "categories": categories, "annotations": annotations}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("train.json").write_text(json.dumps(dataset()))
    Path("train.txt").write_text("".join(f"{n}.jpg {label}\n" for n, label in enumerate([0] * 25 + [2] * 3)))
    return tmp_path


def ltcal(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["compute-freq", *arguments])


def failing(*arguments: str) -> str:
    """The stderr of a failing call, which exits with 2, prints no result and writes no file."""
    before = sorted(Path().iterdir())
    result = ltcal(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert sorted(Path().iterdir()) == before
    return result.stderr


def with_boxes() -> dict[str, Any]:
    """The data set with images of 100 x 100 and boxes: class 1 in three quarters of the image, class 2 in one."""
    data = dataset()
    for image in data["images"]:
        image.update(height=100, width=100)
    for entry, x, y in zip(data["annotations"], [0, 0, 0, 80, 0, 10, 50], [0, 0, 80, 0, 5, 10, 50], strict=True):
        entry.update(bbox=[x, y, 10, 10], area=100)
    return data


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_table_goes_to_stdout_and_the_notes_to_stderr(folder: Path) -> None:
    result = ltcal("train.json")
    assert result.exit_code == 0
    assert result.stdout == (
        "category_id,name,image_count,instance_count,group,image_rate\n"
        '1,"often, 🐟",4,6,r,0.8\n'
        "2,once,1,1,r,0.2\n"
        "9,never,0,0,r,0.0\n"
    )
    assert result.stderr == (
        "3 classes, 7 objects in 5 images; classes by group: r 3, c 0, f 0\n1 of 3 classes never occur: 9 never\n"
    )


@pytest.mark.parametrize("name", ["freq.csv", "freq.json", "freq.parquet"])
def test_the_suffix_chooses_the_format(folder: Path, name: str) -> None:
    result = ltcal("train.json", "-o", name)
    assert (result.exit_code, result.stdout) == (0, "")
    table = read_frequencies(folder / name)
    assert table.name == ("often, 🐟", "once", "never")
    assert table.image_count.tolist() == [4, 1, 0]
    assert table.num_images == 5


def test_class_labels_have_their_own_groups(folder: Path) -> None:
    rows = rows_of(ltcal("train.txt").stdout)
    assert [row["group"] for row in rows] == ["medium", "few", "few"]
    assert [row["image_count"] for row in rows] == [row["instance_count"] for row in rows] == ["25", "0", "3"]
    rows = rows_of(ltcal("train.txt", "--groups", "2,24").stdout)
    assert [row["group"] for row in rows] == ["many", "few", "medium"]


def test_a_column_of_a_csv_source(folder: Path) -> None:
    (folder / "train.csv").write_text("path,species_id\na,1\nb,1\n")
    assert "species_id" in failing("train.csv")
    counted = ltcal("train.csv", "--label-column", "species_id").stdout
    assert [row["image_count"] for row in rows_of(counted)] == ["0", "2"]


def test_crowds_are_not_counted(folder: Path) -> None:
    data = dataset()
    data["annotations"][6]["iscrowd"] = 1
    Path("crowd.json").write_text(json.dumps(data))
    result = ltcal("crowd.json")
    assert [row["image_count"] for row in rows_of(result.stdout)] == ["4", "0", "0"]
    assert "not counted: 1 annotations marked iscrowd or ignore" in result.stderr


def test_stated_counts_that_differ_from_the_file(folder: Path) -> None:
    Path("val.json").write_text(json.dumps(dataset(image_count=(8, 700, 90), instance_count=(9, 900, 95))))
    counted = ltcal("val.json")
    assert [row["image_count"] for row in rows_of(counted.stdout)] == ["4", "1", "0"]
    assert (
        "warning: the image_count or instance_count that the file states for 3 of 3 classes differs" in counted.stderr
    )
    taken = ltcal("val.json", "--from-categories")
    assert [row["image_count"] for row in rows_of(taken.stdout)] == ["700", "90", "8"]
    assert [row["group"] for row in rows_of(taken.stdout)] == ["f", "c", "r"]
    assert [row["image_rate"] for row in rows_of(taken.stdout)] == ["", "", ""]
    assert "state it with --num-images" in taken.stderr
    result = ltcal("val.json", "--from-categories", "--num-images", "1000")
    assert [row["image_rate"] for row in rows_of(result.stdout)] == ["0.7", "0.09", "0.008"]


def test_stated_counts_that_equal_those_of_the_file(folder: Path) -> None:
    Path("val.json").write_text(json.dumps(dataset(image_count=(0, 4, 1), instance_count=(0, 6, 1))))
    counted, taken = ltcal("val.json"), ltcal("val.json", "--from-categories")
    assert "warning" not in counted.stderr
    assert taken.stdout == counted.stdout


def test_frequency_letters_that_disagree_with_the_counts(folder: Path) -> None:
    stated = dataset(image_count=(8, 700, 90), instance_count=(9, 900, 95), frequency=("r", "f", "r"))
    Path("val.json").write_text(json.dumps(stated))
    stderr = ltcal("val.json", "--from-categories").stderr
    assert "the `frequency` that the file states for 1 of 3 classes differs from the groups here" in stderr
    assert "2 once" in stderr


def test_fourteen_weight_columns(folder: Path) -> None:
    rows = rows_of(ltcal("train.json", "--weights").stdout)
    variants = ["raw", "smooth", "relative", "base2", "base10", "normit", "gombit"]
    assert list(rows[0])[6:] == [f"{kind}_{variant}" for kind in ("iif", "iof") for variant in variants]
    assert float(rows[0]["iif_raw"]) == pytest.approx(np.log(5 / 4), abs=1e-15)
    assert float(rows[0]["iof_raw"]) == pytest.approx(np.log(7 / 6), abs=1e-15)
    assert rows[2]["iif_raw"] == rows[1]["iif_raw"]  # the class that never occurs has the largest weight


def test_weights_by_the_number_of_images(folder: Path) -> None:
    rows = rows_of(ltcal("train.txt", "--weights", "--normalizer", "images").stdout)
    assert float(rows[0]["iif_base2"]) == pytest.approx(np.log2(28 / 25), abs=1e-15)


def test_classes_that_never_occur_can_be_refused(folder: Path) -> None:
    assert "a count above 0" in failing("train.json", "--weights", "--zero-count", "error", "-o", "freq.csv")


@pytest.mark.parametrize("name", ["freq.csv", "freq.json", "freq.parquet"])
def test_the_fractal_dimension(folder: Path, name: str) -> None:
    Path("boxes.json").write_text(json.dumps(with_boxes()))
    result = ltcal("boxes.json", "--fractal-dimension", "-o", name)
    assert (result.exit_code, result.stdout) == (0, "")
    table = read_frequencies(folder / name)
    assert table.fractal_dimension == pytest.approx([np.log2(3), 1, 1], abs=1e-12)
    assert "fractal_dimension is 1 for 2 of 3 classes, which have fewer than 4 boxes" in result.stderr


def test_the_fractal_dimension_is_one_more_column(folder: Path) -> None:
    data = with_boxes()
    data["annotations"][6]["iscrowd"] = 1
    Path("boxes.json").write_text(json.dumps(data))
    without, beside = ltcal("boxes.json"), ltcal("boxes.json", "--fractal-dimension")
    rows = rows_of(beside.stdout)
    assert list(rows[0])[-1] == "fractal_dimension"
    assert [{k: v for k, v in row.items() if k != "fractal_dimension"} for row in rows] == rows_of(without.stdout)
    assert beside.stderr.startswith(without.stderr)


def test_the_fractal_dimension_needs_boxes_and_sizes(folder: Path) -> None:
    assert "bbox" in failing("train.json", "--fractal-dimension", "-o", "freq.csv")
    data = with_boxes()
    del data["images"][3]["height"]
    Path("boxes.json").write_text(json.dumps(data))
    message = failing("boxes.json", "--fractal-dimension", "-o", "freq.csv")
    assert "image 4: expected a height and a width above 0, found height 0, width 100" in message
    assert ltcal("boxes.json").exit_code == 0


def test_the_tail_ratio_is_printed(folder: Path) -> None:
    beside = ltcal("train.json", "-o", "freq.csv", "--tail-ratio", "0.5")
    assert beside.stdout == "TR(0.5) = 0.200000\n"
    below = ltcal("train.json", "--tail-ratio", "0.5")
    assert len(rows_of(below.stdout)) == 3
    assert below.stderr.endswith("TR(0.5) = 0.200000\n")


def test_the_plot(folder: Path) -> None:
    for name, magic in (("freq.png", b"\x89PNG"), ("freq.pdf", b"%PDF")):
        assert ltcal("train.json", "-o", "freq.csv", "--plot", name).exit_code == 0
        assert Path(name).read_bytes().startswith(magic)
    assert "iif_raw" not in Path("freq.csv").read_text()  # plotted, but not requested for the table


def test_gzip(folder: Path) -> None:
    import gzip

    Path("train.json.gz").write_bytes(gzip.compress(Path("train.json").read_bytes()))
    assert ltcal("train.json.gz").stdout == ltcal("train.json").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.json"], "No such file"),
        (["train.xlsx"], "a name that ends in .json, .txt, .csv, .npy, .npz"),
        (["train.json", "-o", "freq.xlsx"], "one that ends in .csv, .json, .parquet, found freq.xlsx"),
        (["train.json", "--plot", "freq.svg"], "one that ends in .png or .pdf, found freq.svg"),
        (["train.json", "-o", "missing/freq.csv"], "a path that can be written to"),
        (["train.json", "--groups", "10"], "expected two whole numbers such as 10,100"),
        (["train.json", "--groups", "100,10"], "two whole numbers, 0 < low < high, found 100,10"),
        (["train.json", "--from-categories"], "no `image_count`"),
        (["train.json", "--label-column", "x"], "--label-column: source: expected a CSV file with labels"),
        (["train.txt", "--from-categories"], "--from-categories: source: expected an LVIS annotation file"),
        (["train.txt", "--fractal-dimension"], "--fractal-dimension: source: expected an annotation file (.json)"),
        (["train.json", "--fractal-dimension", "--from-categories"], "expected those of the boxes in the file"),
        (["train.json", "--num-images", "5"], "--num-images: source: expected --from-categories"),
    ],
)
def test_invalid_calls(folder: Path, arguments: list[str], message: str) -> None:
    assert message in failing(*arguments)


def test_no_plot_without_its_table(folder: Path) -> None:
    failing("train.json", "-o", "missing/freq.csv", "--plot", "freq.png")
    failing("train.json", "-o", "freq.csv", "--plot", "missing/freq.png")


def test_a_plot_without_matplotlib(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    message = failing("train.json", "-o", "freq.csv", "--plot", "freq.png")
    assert "pip install 'ltcal[plots]'" in message


@pytest.mark.parametrize("name", ["a\n::error::b", "\x1b[31mred", "=cmd()", "##[error]b"])
def test_names_cannot_command_a_terminal_a_runner_or_a_spreadsheet(folder: Path, name: str) -> None:
    annotations = {
        "images": [{"id": 1}],
        "categories": [{"id": 1, "name": name}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "area": 1}],
    }
    Path("named.json").write_text(json.dumps(annotations))
    printed = ltcal("named.json").stdout
    ltcal("named.json", "-o", "named.csv")
    assert printed == Path("named.csv").read_text(encoding="utf-8")
    _, line, end = printed.split("\n")
    cell = line.split(",")[1]
    assert cell.isprintable() or "\N{REPLACEMENT CHARACTER}" in cell
    assert not cell.startswith("=")
    assert "##[" not in cell
    assert end == ""


def inaturalist(**more: list[float]) -> dict[str, Any]:
    """As visipedia/inat_comp, 2018/README.md: one annotation for each image, without boxes; `more` on the first."""
    labels = [7, 7, 3]
    annotations = [{"id": n, "image_id": n, "category_id": label} for n, label in enumerate(labels)]
    annotations[0].update(more)
    return {
        "info": {"year": 2018},
        "images": [{"id": n, "file_name": f"train_val2018/{n}.jpg"} for n in range(len(labels))],
        "categories": [{"id": 3}, {"id": 7, "name": "Larus", "supercategory": "Aves"}, {"id": 9}],
        "annotations": annotations,
    }


def test_inaturalist_annotations_are_class_labels(folder: Path) -> None:
    Path("inat.json").write_text(json.dumps(inaturalist()))
    result = ltcal("inat.json", "--groups", "1,5")
    assert [(row["category_id"], row["name"], row["image_count"], row["group"]) for row in rows_of(result.stdout)] == [
        ("3", "", "1", "few"), ("7", "Larus", "2", "medium"), ("9", "", "0", "few"),
    ]  # fmt: skip
    assert "annotations without boxes, at most one for each image: counted as class labels" in result.stderr
    assert "--task detection for r, c and f" in result.stderr


def test_the_task_can_be_stated(folder: Path) -> None:
    Path("inat.json").write_text(json.dumps(inaturalist()))
    assert {row["group"] for row in rows_of(ltcal("inat.json", "--task", "detection").stdout)} == {"r"}
    assert {row["group"] for row in rows_of(ltcal("train.json", "--task", "classification").stdout)} == {"few"}
    assert {row["group"] for row in rows_of(ltcal("train.txt", "--task", "detection").stdout)} == {"c", "r"}
    stderr = ltcal("train.json", "--task", "classification").stderr
    assert "warning: 2 of 4 images have more than one label" in stderr


def test_boxes_make_a_detection_data_set(folder: Path) -> None:
    Path("inat.json").write_text(json.dumps(inaturalist(bbox=[0, 0, 1, 1])))
    assert {row["group"] for row in rows_of(ltcal("inat.json").stdout)} == {"r"}


def test_a_folder_of_images(folder: Path) -> None:
    for path in ("train/dog/1.jpg", "train/cat/1.jpg", "train/cat/more/2.PNG", "train/emu/notes.txt"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    result = ltcal("train")
    assert result.stdout == (
        "category_id,name,image_count,instance_count,group,image_rate\n"
        "0,cat,2,2,few,0.6666666666666666\n"
        "1,dog,1,1,few,0.3333333333333333\n"
        "2,emu,0,0,few,0.0\n"
    )
    assert "numbered 0, 1, 2, ... in order of their names, as ImageFolder numbers them" in result.stderr


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ('1.jpg "guide dog"\n2.jpg cat\n', "the classes are numbered 0, 1, 2, ... in order of their names"),
        ("a/guide dog/1.jpg\na/cat/2.jpg\n", "the class of each image is the folder that it lies in"),
    ],
)
def test_lists_with_class_names(folder: Path, text: str, note: str) -> None:
    Path("names.txt").write_text(text)
    result = ltcal("names.txt")
    assert [row["name"] for row in rows_of(result.stdout)] == ["cat", "guide dog"]
    assert note in result.stderr


def test_labels_as_a_json_list(folder: Path) -> None:
    Path("labels.json").write_text("[0, 2, 0]")
    assert [row["image_count"] for row in rows_of(ltcal("labels.json").stdout)] == ["2", "0", "1"]
    Path("by_file.json").write_text('{"a.jpg": 0, "b.jpg": 2, "c.jpg": 0}')
    Path("known.json").write_text('{"targets": [0, 2, 0]}')
    assert ltcal("known.json").stdout == ltcal("by_file.json").stdout == ltcal("labels.json").stdout


def test_labels_of_no_class_are_not_counted(folder: Path) -> None:
    np.save("labels.npy", np.array([0, -1, 1, -100]))
    Path("list.txt").write_text("a.jpg 0\nb.jpg -1\nc.jpg 1\nd.jpg -100\n")
    for name in ("labels.npy", "list.txt"):
        result = ltcal(name)
        assert [row["image_rate"] for row in rows_of(result.stdout)] == ["0.5", "0.5"]
        assert "not counted: 2 labels of -1 or -100, which mean no class" in result.stderr
    np.save("none.npy", np.array([-1, -1]))
    assert "label 1: expected a class index from 0 to 10000000, found -1" in failing("none.npy")


def test_class_names_in_a_column(folder: Path) -> None:
    Path("names.csv").write_text('path,species\n1.jpg,"owl, barn"\n2.jpg,wren\n3.jpg,wren\n')
    result = ltcal("names.csv", "--label-column", "species")
    assert [(row["name"], row["image_count"]) for row in rows_of(result.stdout)] == [("owl, barn", "1"), ("wren", "2")]
    assert "in order of their names" in result.stderr


def test_counts_per_class(folder: Path) -> None:
    np.save("cls_num_list.npy", np.array([500, 20, 3]))
    result = ltcal("--counts", "cls_num_list.npy", "-o", "freq.csv")
    assert (result.exit_code, result.stdout) == (0, "")
    assert Path("freq.csv").read_text().splitlines()[1].startswith("0,,500,500,many,0.95")
    assert result.stderr == "3 classes, 523 objects in 523 images; classes by group: few 1, medium 1, many 1\n"


def test_counts_by_category_id(folder: Path) -> None:
    Path("counts.json").write_text('{"7": 300, "3": 20}')
    result = ltcal("--counts", "counts.json", "--num-images", "400")
    assert [row["image_rate"] for row in rows_of(result.stdout)] == ["0.05", "0.75"]
    assert [row["group"] for row in rows_of(result.stdout)] == ["c", "f"]
    assert "taken as images and, as no others are given, as objects" in result.stderr
    labels = ltcal("--counts", "counts.json", "--task", "classification")
    assert [row["group"] for row in rows_of(labels.stdout)] == ["medium", "many"]


def test_counts_are_never_taken_for_labels(folder: Path) -> None:
    np.save("counts.npy", np.array([500, 20, 3]))
    Path("counts.json").write_text("[500, 20, 3]")
    Path("counts.txt").write_text("500\n20\n3\n")
    Path("counts.csv").write_text("500\n20\n3\n")
    torch.save(torch.tensor([500, 20, 3]), "counts.pt")
    Path("named.json").write_text('{"cat": 500, "dog": 3}')
    for name in ("counts.npy", "counts.json", "counts.txt", "counts.csv", "counts.pt", "named.json"):
        message = failing(name, "-o", "freq.csv")
        assert "if they are counts per class, pass them as --counts" in message, name
        assert ltcal("--counts", name).exit_code == 0


def test_a_shipped_table(folder: Path) -> None:
    result = ltcal("lvis-v1", "-o", "freq.csv")
    assert result.exit_code == 0
    assert "1203 classes, 1270141 objects in 100170 images; classes by group: r 337, c 461, f 405" in result.stderr
    assert "counts from facebookresearch/Detic" in result.stderr
    assert len(read_frequencies(Path("freq.csv"))) == 1203
    grouped = ltcal("lvis-v1", "--groups", "5,50", "--weights")
    assert rows_of(grouped.stdout)[0]["group"] == "f"
    assert "did you mean lvis-v1?" in failing("lvis-v2")
    assert "count them with `ltcal compute-freq ImageNet_LT_train.txt`" in failing("imagenet-lt")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected either a source or --counts, found neither"),
        (["train.json", "--counts", "c.json"], "expected either a source or --counts, found both"),
        (["--counts", "c.json", "--label-column", "x"], "--label-column: source: expected a CSV file with labels"),
        (["--counts", "c.json", "--fractal-dimension"], "--fractal-dimension: source: expected an annotation file"),
        (["--counts", "c.json", "--num-images", "9"], "--num-images: counts: expected those of a detection data set"),
        (["--counts", "d.json", "--num-images", "3"], "expected at least the largest count, 4, found 3"),
        (["--counts", "c.xlsx"], "a file that ends in .npy, .npz, .json, .txt, .csv, .pt, .pth"),
        (["lvis-v1", "--from-categories"], "--from-categories: source: expected an LVIS annotation file"),
        (["."], "found no folders, and files such as c.json"),
        (["train.json", "--task", "segmentation"], "'segmentation' is not one of 'classification', 'detection'"),
    ],
)
def test_invalid_calls_of_other_sources(folder: Path, arguments: list[str], message: str) -> None:
    Path("c.json").write_text("[4, 2]")
    Path("d.json").write_text('{"3": 4, "5": 2}')
    assert message in failing(*arguments)
