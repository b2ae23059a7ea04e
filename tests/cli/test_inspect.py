"""`ltcal inspect`: what it prints, its exit codes, its JSON, and that the commands it names run."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

import longtail_cli as ltcal
from longtail_cli.cli import main
from longtail_cli.reports.inspection.json import from_json

EXAMPLES = Path(__file__).parents[2] / "examples"
SCENES, DIGITS = EXAMPLES / "digit_scenes", EXAMPLES / "digits_lt"

PREDICTIONS = """\
predictions.json: COCO results, 15,202 detections of 10 classes in 180 images

File
  content      a JSON list, 1.08 MB
  fields       image_id (int), category_id (int), bbox (list of 4), score (float)

Detections
  images       180 ids, 361 to 540, contiguous
  classes      10 ids, 3 to 40, with gaps
  per image    median 84.5, most 155; images 53 with 100 or more, 0 with 300 or more

Scores
  range        0.01 to 0.9995, median 0.05209
  distinct     14,239 values; 6.3% of the scores repeat another
  meaning      can be probabilities: all in [0, 1]

Boxes
  format       x, y, width, height in pixels
  range        x 0 to 156, y 0 to 115, width 1 to 80, height 2 to 79
  sides        largest 80

Methods
  that fit     none, iif, logit-adjust, norcal, balanced-softmax, target-prior, foreground,
               temperature, lws, disalign, vector, ldam
  that do not  fracal, prior2posterior, logn, tau-norm, bags: they need the full logits

Notes
  - Whether ids and boxes mean what they should is checked with --annotations.

Next
  Evaluate (VAL.json: the annotations of the images)
    ltcal report predictions.json --annotations VAL.json
  Count the training set (TRAIN: annotations or labels of the training set)
    ltcal compute-freq TRAIN -o freq.csv
  See what a score-only method changes (VAL.json: the annotations of the images)
    ltcal report predictions.json --annotations VAL.json --freq freq.csv --method none \\
      --method norcal
  Write adjusted scores
    ltcal rescore predictions.json --freq freq.csv --method norcal -o predictions_adjusted.json
"""

AGAINST_ANNOTATIONS = """\
Annotations
  image ids        ids: 59.2% of 860 boxes overlap an object (IoU >= 0.5)
  class ids        ids: 76.2% of 509 such boxes have the class of the object
  boxes            xywh: 59.2% of 860 boxes overlap an object (IoU >= 0.5); as cxcywh 0.0%
  verdict          ids and boxes are what the file says; nothing else fits better by far
  images covered   180 of 180 (100.0%) have detections
  classes covered  10 of 10 (100.0%) have detections

"""

CLASSIFIER = """\
logits.npz: logits of a classifier, 860 rows of 10 classes

File
  content            NumPy arrays, 24.6 kB

Rows
  `logits`           float16 [860, 10]
  `labels`           int64 [860]

Columns
  head               softmax over all columns
  background         no such column
  classes            10 ids, 0 to 9, contiguous

Values
  range              -5.098 to 7.109, median -0.2045
  meaning            logits
  of each row        sum -0.02173 to 0.02124, log-sum-exp 2.674 to 7.115

Labels
  classes with rows  10 ids, 0 to 9, contiguous; the columns are 0 to 9
  agreement          590 of 860 (68.6%) rows have their highest value in the column of the label

Methods
  that fit           none, iif, logit-adjust, norcal, balanced-softmax, fracal, target-prior,
                     prior2posterior, logn, temperature, lws, disalign, vector, ldam
  that do not        foreground, tau-norm, bags
  heads              cannot be fitted: the file has no `features`

Next
  Count the training set (TRAIN: annotations or labels of the training set)
    ltcal compute-freq TRAIN -o freq.csv
  Compare methods
    ltcal report logits.npz --freq freq.csv --method none --method iif --method logit-adjust
  Choose a method on held-out rows
    ltcal tune logits.npz --freq freq.csv -o tuned.json
  Write adjusted scores
    ltcal rescore logits.npz --freq freq.csv --method logit-adjust -o logits_adjusted.npz
"""

ANNOTATIONS = """\
val.json: LVIS annotations, 741 objects of 10 classes in 180 images

File
  content         a JSON object, 122 kB

Annotations
  images          180 ids, 361 to 540, contiguous
  file names      180 of 180 (100.0%) images have one
  sizes           180 of 180 (100.0%) images have one, up to 160 x 120 pixels
  per image       median 4, most 10 objects; 8 images without any
  left out of AP  0 crowds, 0 ignored

Classes
  classes         10 ids, 3 to 40, with gaps
  names           zero, one, two, three, four and 5 more
  objects         68 to 80 of a class, median 73
  groups          3 r, 4 c, 3 f
  stated counts   of the training set, for each class (--from-categories)

Next
  Count the classes, if it is the training set
    ltcal compute-freq val.json -o freq.csv
  Evaluate, if it is the validation set (PREDICTIONS: a result file or logits)
    ltcal report PREDICTIONS --annotations val.json
"""

LABELS = """\
train.txt: class labels, 249 labels of 10 classes

File
  content        text, 4.48 kB

Classes
  classes        10 ids, 0 to 9, contiguous
  images         2 to 86 of a class, median 13.5
  groups         6 few, 4 medium
  source images  249

Next
  Count the classes, if it is the training set
    ltcal compute-freq train.txt -o freq.csv
  Evaluate a classifier, if they are its labels (LOGITS: its logits or scores, in the same order)
    ltcal report LOGITS --labels train.txt
"""


def inspect(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["inspect", *map(str, arguments)])


def inspected(*arguments: object) -> str:
    result = inspect(*arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return result.stdout


def next_commands(text: str) -> list[list[str]]:
    """The commands under `Next`."""
    lines = text.partition("\nNext\n")[2].replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.startswith("    ltcal ")]


@pytest.mark.parametrize(
    ("folder", "name", "expected"),
    [
        (SCENES, "predictions.json", PREDICTIONS),
        (SCENES, "val.json", ANNOTATIONS),
        (DIGITS, "logits.npz", CLASSIFIER),
        (DIGITS, "train.txt", LABELS),
    ],
)
def test_the_examples(folder: Path, name: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert inspected(name) == expected


def test_a_process(tmp_path: Path) -> None:
    """Reading detections needs no torch."""
    code = (
        "import sys; from longtail_cli.cli.__main__ import run\ntry: run()\nfinally: assert 'torch' not in sys.modules"
    )
    arguments = [sys.executable, "-c", code, "inspect", "predictions.json"]
    done = subprocess.run(arguments, cwd=SCENES, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, PREDICTIONS, "")


def test_several_files_follow_one_another() -> None:
    first, second = SCENES / "val.json", DIGITS / "train.txt"
    assert inspected(first, second) == f"{inspected(first)}\n\n{inspected(second)}"


def test_the_json_reads_back(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    files = [SCENES / "predictions.json", DIGITS / "logits.npz", SCENES / "val.json"]
    text = inspected(*files, "--json", out)
    assert text == inspected(*files)
    assert json.loads(out.read_bytes())["format"] == "ltcal-inspection/1"
    assert from_json(out.read_text(), "out.json") == tuple(map(ltcal.inspect, files))
    assert inspected(*files, "--json", "-") == out.read_text()


def test_json_has_numbers_at_full_precision() -> None:
    detections = ltcal.inspect(SCENES / "predictions.json")
    scores = [one["score"] for one in json.loads((SCENES / "predictions.json").read_bytes())]
    expected = {"least": min(scores), "median": float(np.median(scores)), "greatest": max(scores)}
    assert detections.fact("range").values == expected


@pytest.mark.parametrize("source", [DIGITS / "logits.npz", SCENES / "logits.npz", SCENES / "predictions.json"])
def test_the_commands_run(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those under `Next`, in order, once the files that stand in capitals are there."""
    monkeypatch.chdir(tmp_path)
    text = inspected(source)
    train = source.parent / ("train.txt" if source.parent == DIGITS else "train.json")
    values = {"TRAIN": str(train), "VAL.json": str(SCENES / "val.json")}
    commands = next_commands(text)
    assert len(commands) >= 4
    for words in commands:
        quick = ["--method", "temperature:t=1|2", "--no-bootstrap"] if words[1] == "tune" else []
        result = CliRunner().invoke(main, [*(values.get(word, word) for word in words[1:]), *quick])
        assert result.exit_code == 0, f"{words}\n{result.output}"


def test_names_beside_the_file_are_in_the_commands(tmp_path: Path) -> None:
    freq = tmp_path / "my counts.csv"
    ltcal.count(SCENES / "train.json").to_frame().to_csv(freq, index=False)
    text = inspected(SCENES / "logits.npz", "--annotations", SCENES / "val.json", "--freq", freq)
    assert "images covered   180 of 180 (100.0%)" in text
    assert "counts           10 classes, the classes of the columns" in text
    assert not any(word in text for word in ("VAL.json", "TRAIN", "compute-freq"))
    assert [words[1] for words in next_commands(text)] == ["report", "tune", "fit", "rescore"]
    assert all(str(freq) in words for words in next_commands(text))


def detections(change: Callable[[dict[str, Any]], dict[str, Any]], path: Path) -> Path:
    """The detections of the example, each with what `change` gives."""
    path.write_text(
        json.dumps([{**one, **change(one)} for one in json.loads((SCENES / "predictions.json").read_bytes())])
    )
    return path


def test_detections_beside_annotations() -> None:
    assert AGAINST_ANNOTATIONS in inspected(SCENES / "predictions.json", "--annotations", SCENES / "val.json")


CATEGORY_IDS = [one["id"] for one in json.loads((SCENES / "val.json").read_bytes())["categories"]]


def contiguous(one: dict[str, Any]) -> dict[str, Any]:
    return {"category_id": CATEGORY_IDS.index(one["category_id"])}


def corners(one: dict[str, Any]) -> dict[str, Any]:
    x, y, width, height = one["bbox"]
    return {"bbox": [x, y, x + width, y + height]}


@pytest.mark.parametrize(
    ("change", "option", "verdict"),
    [
        (lambda one: {"category_id": one["category_id"] - 1}, ["--category-offset", "1"], "categories"),
        (lambda one: {"image_id": one["image_id"] - 1}, ["--image-offset", "1"], "images"),
        (corners, ["--box-format", "xyxy"], "boxes"),
    ],
)
def test_the_commands_say_what_ids_and_boxes_mean(
    change: Callable[[dict[str, Any]], dict[str, Any]], option: list[str], verdict: str, tmp_path: Path
) -> None:
    """Where the guard finds another meaning, the verdict and the commands have the option, and the commands run."""
    path = detections(change, tmp_path / "moved.json")
    text = inspected(path, "--annotations", SCENES / "val.json")
    assert f"{verdict} fit better by far with {' '.join(option)}\n" in text
    report, *_ = next_commands(text)
    assert report[-2:] == option
    result = CliRunner().invoke(main, [*report[1:], "--tide", "off"])
    assert result.exit_code == 0, result.output
    assert "verdict          ids and boxes are what the file says" in inspected(
        path, "--annotations", SCENES / "val.json", *option
    )


def test_ids_that_are_not_in_the_annotations(tmp_path: Path) -> None:
    path = detections(lambda one: {"category_id": one["category_id"] + 1000}, tmp_path / "other.json")
    text = " ".join(inspected(path, "--annotations", SCENES / "val.json").split())
    assert "- With these annotations `ltcal report` ends with an error: `category_id` of 15202 of 15202" in text


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_label_column_beside_logits(suffix: str, tmp_path: Path) -> None:
    columns = {"filename": ["a.jpg", "b.jpg", "c.jpg"], "label": [0, 1, 1]}
    logits = {f"logit_{c}": [1.5, -2.0, 0.25 * c] for c in range(3)}
    for name, frame in (("labels", pd.DataFrame(columns)), ("logits", pd.DataFrame({**columns, **logits}))):
        path = tmp_path / f"{name}.{suffix}"
        frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    assert "class labels, 3 labels of 2 classes" in inspected(tmp_path / f"labels.{suffix}")
    assert "logits of a classifier, 3 rows of 3 classes" in inspected(tmp_path / f"logits.{suffix}")


def test_suspicions_without_annotations(tmp_path: Path) -> None:
    path = detections(lambda one: contiguous(one) | corners(one), tmp_path / "moved.json")
    text = " ".join(inspected(path).split())
    assert "- A class has the id 0." in text
    assert "boxes may be two corners (--box-format xyxy)" in text
    relative = detections(lambda one: {"bbox": [value / 160 for value in one["bbox"]]}, tmp_path / "relative.json")
    assert "(--box-format relative-xywh)" in " ".join(inspected(relative).split())


def test_labels_beside_logits(tmp_path: Path) -> None:
    with np.load(DIGITS / "logits.npz") as arrays:
        logits, labels = arrays["logits"], arrays["labels"]
    np.savez(tmp_path / "logits.npz", logits=logits)
    np.save(tmp_path / "labels.npy", labels)
    text = inspected(tmp_path / "logits.npz", "--head", "softmax")
    assert "--labels LABELS --head softmax" in text
    assert "(LABELS: the true classes of the rows)" in text
    text = inspected(tmp_path / "logits.npz", "--head", "softmax", "--labels", tmp_path / "labels.npy")
    assert "agreement          590 of 860 (68.6%)" in text
    assert f"--labels {tmp_path / 'labels.npy'} --head softmax" in " ".join(text.replace("\\", "").split())


def test_labels_that_are_one_off(tmp_path: Path) -> None:
    with np.load(DIGITS / "logits.npz") as arrays:
        np.savez(tmp_path / "logits.npz", logits=arrays["logits"][:, 1:], labels=arrays["labels"].clip(0, 8))
    text = inspected(tmp_path / "logits.npz", "--head", "softmax")
    assert "- With -1 added to the labels, " in " ".join(text.split())


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    """Logits of a detector without metadata: the tensors are shown, and the options that state the rest are named."""
    with np.load(SCENES / "logits.npz") as arrays:
        np.savez(tmp_path / "bare.npz", **{name: arrays[name] for name in ("logits", "image_id", "boxes")})
    result = inspect(tmp_path / "bare.npz")
    assert result.exit_code == 2
    assert "bare.npz: logits or scores, which cannot be read as they are" in result.stdout
    assert "logits [13715, 11], image_id [13715], boxes [13715, 4]" in result.stdout
    assert all(flag in result.stderr for flag in ("--head", "--background", "--category-ids"))
    ids = tmp_path / "ids.txt"
    ids.write_text("\n".join(map(str, json.loads((SCENES / "logits.meta.json").read_bytes())["category_ids"])))
    stated = ("--head", "softmax", "--background", "last", "--category-ids", ids)
    assert "logits of a detector, 13,715 proposals of 10 classes" in inspected(tmp_path / "bare.npz", *stated)


def test_a_file_that_nothing_reads(tmp_path: Path) -> None:
    path = tmp_path / "notes.json"
    path.write_text('{"a": 1,\n "b": [2]}')
    result = inspect(path, SCENES / "val.json", "--json", tmp_path / "out.json")
    assert result.exit_code == 2
    assert f"{path}: a JSON object that no command reads" in result.stdout
    assert "keys            a (int), b (list of 1)" in result.stdout
    assert "annotations     COCO and LVIS" in result.stdout
    assert "LVIS annotations, 741 objects" in result.stdout, "the other file is shown all the same"
    assert result.stderr.startswith(f"Error: {path}: content: expected an input of ltcal, found a JSON object")
    assert "\nFix: see docs/inputs.md" in result.stderr
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize("name", ["missing.json", "empty.json"])
def test_nothing_to_see(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty.json").touch()
    result = inspect(tmp_path / name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert name in result.stderr


def test_standard_input() -> None:
    content = (SCENES / "predictions.json").read_bytes()
    result = CliRunner().invoke(main, ["inspect", "-"], input=content)
    assert result.exit_code == 0
    assert result.stdout.startswith("<stdin>: COCO results, 15,202 detections")


def test_names_cannot_command_a_terminal(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(
        json.dumps([{"image_id": 1, "category_id": 1, "score": 1, "bbox": [0, 0, 1, 1], "\x1b[31m\n::x": 0}])
    )
    text = inspected(path)
    assert text.replace("\n", "").isprintable()
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())
