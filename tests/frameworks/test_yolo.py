"""Folders of YOLO text files: the same metrics as COCO results, what is recognised, and what is refused."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from framework_scenes import FILES, Scenes, figures, refusal, written

from longtail_cli.cli import main
from longtail_cli.errors import InputError
from longtail_cli.files.folder import FolderContent
from longtail_cli.files.frameworks.formats import detection_format
from longtail_cli.files.outline import outline_of
from longtail_cli.files.results.file import open_results
from longtail_cli.tables import Results

YOLO = FILES / "yolo"
SCENES = Scenes(named=True)
BOXES = frozenset({"bbox"})


def folder_of(tmp_path: Path, **files: str | bytes) -> Path:
    """A folder with the text files of these names."""
    folder = tmp_path / "labels"
    folder.mkdir()
    for name, content in files.items():
        (folder / f"{name}.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def read(folder: Path) -> Results:
    with open_results(folder) as file:
        return file.read(BOXES)


def complaint(folder: Path) -> str:
    with pytest.raises(InputError) as error:
        read(folder)
    return str(error.value)


def as_coco() -> list[dict[str, Any]]:
    """The lines of the real folder as COCO results, parsed one by one."""
    sizes = {Path(one["file_name"]).stem: one for one in SCENES.annotations["images"]}
    entries = []
    for path in sorted(YOLO.iterdir()):
        image = sizes[path.stem]
        for line in path.read_text().splitlines():
            index, *numbers, score = map(float, line.split())
            x, width = numbers[0] * image["width"], numbers[2] * image["width"]
            y, height = numbers[1] * image["height"], numbers[3] * image["height"]
            bbox = [x - width / 2, y - height / 2, width, height]
            category = SCENES.category_ids[int(index)]
            entries.append({"image_id": image["id"], "category_id": category, "bbox": bbox, "score": score})
    return entries


def test_metrics_are_those_of_the_same_detections_in_json(tmp_path: Path) -> None:
    plain, annotations = written(tmp_path, SCENES, as_coco())
    assert len(as_coco()) == len(SCENES.detections)
    assert figures(YOLO, annotations) == figures(plain, annotations)


def test_what_a_folder_holds(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, b="1 .5 0.25 1e-1 0.2 0.75\r\n\r\n  0\t0 0 0 0 1  \n", a="", c="2 1 1 .5 .5 5e-05")
    results = read(folder)
    assert results.image_id.tolist() == [1, 1, 2]
    assert results.category_id.tolist() == [1, 0, 2]
    assert results.score.tolist() == [0.75, 1, 5e-05]
    assert results.bbox is not None
    assert results.bbox.tolist() == [[0.5, 0.25, 0.1, 0.2], [0, 0, 0, 0], [1, 1, 0.5, 0.5]]
    convention = results.convention
    assert (convention.images, convention.image_names, convention.listed) == ("name", ("a", "b", "c"), 3)
    assert (convention.categories, convention.boxes) == ("index", "relative-cxcywh")


def test_boxes_are_left_out_unless_they_are_wanted() -> None:
    with open_results(YOLO) as file:
        assert file.fields == BOXES
        assert file.read(frozenset()).bbox is None


def test_a_folder_of_empty_files_has_images_without_detections(tmp_path: Path) -> None:
    results = read(folder_of(tmp_path, a="", b="\n"))
    assert len(results) == 0
    assert results.bbox is not None
    assert results.bbox.shape == (0, 4)
    assert results.convention.listed == 2


PROBLEMS = [
    ("0 .5 .5 .1 .1", "a.txt, line 2: expected a line `class cx cy width height confidence`, found no confidence"),
    ("0 .1 .2 .3 .4 .5 .6", "a.txt, line 2: expected a line `class cx cy width height confidence`, found 7 words"),
    ("0 .1 .2", "a.txt, line 2: expected a line `class cx cy width height confidence`, found 3 words"),
    ("0 .5 .5 .1 .1 nan", "a.txt, line 2, confidence: expected a finite number, found 'nan'"),
    ("0 .5 .5 .1 .1 1e999", "a.txt, line 2, confidence: expected a finite number, found '1e999'"),
    ("0 .5 0x1 .1 .1 .5", "a.txt, line 2, centre y: expected a finite number, found '0x1'"),
    ("0 .5 .5 -.1 .1 .5", "a.txt, line 2, box: expected a width and height of 0 or more, found 0.5, 0.5, -0.1, 0.1"),
    ("0 1e200 .5 .1 .1 .5", "a.txt, line 2, box: expected four finite numbers within 1e+150 of 0"),
    ("cat .5 .5 .1 .1 .5", "a.txt, line 2, class: expected a finite number, found 'cat'"),
    ("1.5 .5 .5 .1 .1 .5", "a.txt, line 2, class: expected a whole number from 0 on, found 1.5"),
    ("-1 .5 .5 .1 .1 .5", "a.txt, line 2, class: expected a whole number from 0 on, found -1"),
    (b"\xff .5 .5 .1 .1 .5", "a.txt, byte 20: expected text in UTF-8, found '\\xff .5'"),
    ("0 .5 .5 .1 .1 \0", "a.txt, line 2, confidence: expected a finite number, found '\\x00'"),
]


@pytest.mark.parametrize(("line", "expected"), PROBLEMS)
def test_a_line(tmp_path: Path, line: str | bytes, expected: str) -> None:
    content = line if isinstance(line, bytes) else line.encode()
    message = complaint(folder_of(tmp_path, a=b"0 .5 .5 .1 .1 .5555\n" + content, b="0 .5 .5 .1 .1 .5"))
    assert expected in message


def test_files_without_confidences_say_how_to_save_them(tmp_path: Path) -> None:
    assert "`save_conf`" in complaint(folder_of(tmp_path, a="0 .5 .5 .1 .1"))


def test_polygons_point_to_the_file_that_holds_masks(tmp_path: Path) -> None:
    assert "`save_json`" in complaint(folder_of(tmp_path, a="0 .1 .1 .2 .2 .3 .3 .4 .4 .9"))


def test_all_kinds_of_problems_are_reported_together(tmp_path: Path) -> None:
    message = complaint(folder_of(tmp_path, a="0 .5 .5 .1 .1\n" * 20, b="0 .5 .5 .1 -.1 x\n"))
    lines = message.splitlines()
    assert lines[0].endswith("22 problems")
    assert sum("found no confidence" in line for line in lines) == 3  # problems that differ only in where they are
    assert len(lines) == 1 + 5 + 1 + 1
    assert "b.txt, line 1, confidence: expected a finite number, found 'x'" in message


@pytest.mark.parametrize(
    "files",
    [
        {"notes": "see the paper"},
        {"img": "0.95 cat\n0.03 dog"},
        {},
    ],
)
def test_folders_of_other_files_are_not_taken_for_it(tmp_path: Path, files: dict[str, str]) -> None:
    assert detection_format(outline_of(folder_of(tmp_path, **files))) is None


def test_images_that_are_not_in_the_annotations(tmp_path: Path) -> None:
    _, annotations = written(tmp_path, SCENES, [])
    folder = folder_of(tmp_path, bus_7="0 .5 .5 .1 .1 .5")
    assert "bus_7" in refusal("report", str(folder), "--annotations", str(annotations))


def test_outputs_do_not_become_inputs(tmp_path: Path) -> None:
    _, annotations = written(tmp_path, SCENES, [])
    folder = folder_of(tmp_path, a="")
    message = refusal("report", str(folder), "--annotations", str(annotations), "--json", str(folder / "b.txt"))
    assert "expected a path outside of the input folder" in message


def test_the_digest_covers_names_and_contents(tmp_path: Path) -> None:
    def digest(**files: str) -> str | None:
        folder = folder_of(tmp_path, **files)
        with open_results(folder) as file:
            found = file.sha256()
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        return found

    line = "0 .5 .5 .1 .1 .5\n"
    digests = {digest(a=line), digest(b=line), digest(a=line, b=""), digest(a=line + line), digest(a="", b=line)}
    assert len(digests) == 5
    assert digest(a="") == hashlib.sha256(b"a.txt\x000\x00").hexdigest()


def test_a_change_while_the_folder_is_open(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a="0 .5 .5 .1 .1 .5")
    with open_results(folder) as file:
        (folder / "b.txt").write_text("0 .5 .5 .1 .1 .5")
        for attempt in (file.sha256, lambda: file.read(BOXES)):
            with pytest.raises(InputError, match="expected no change while it is read"):
                attempt()


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a="0 .5 .5 .1 .1 .5")
    (folder / "._a.txt").write_bytes(b"\0\1")
    (folder / "b.txt").mkdir()
    (folder / "args.yaml").write_text("conf: 0.001")
    content = FolderContent(folder)
    assert (content.names, content.size) == (("a.txt",), 16)
    assert len(read(folder)) == 1


def test_many_files_are_read_at_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = rng.random((3000, 6)).round(6)
    rows[:, 0] = rng.integers(0, 80, 3000)
    files = {f"{one:04}": "\n".join(" ".join(map(repr, row)) for row in rows[one::300].tolist()) for one in range(300)}
    results = read(folder_of(tmp_path, **files))
    order = np.concatenate([np.arange(3000)[one::300] for one in range(300)])
    assert np.array_equal(results.category_id, rows[order, 0])
    assert np.array_equal(results.bbox, rows[order, 1:5])
    assert np.array_equal(results.score, rows[order, 5])


def test_rescored_files_are_coco_results(tmp_path: Path) -> None:
    plain, annotations = written(tmp_path, SCENES, as_coco())
    out = tmp_path / "out.json"
    arguments = ["rescore", str(YOLO), "--annotations", str(annotations), "--method", "temperature:t=1", "-o", str(out)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert len(json.loads(out.read_bytes())) == len(as_coco())
    assert plain.exists()
