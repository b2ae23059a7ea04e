"""Outputs of the detectors of Hugging Face transformers, as `Trainer.predict` leaves them and as saved arrays."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from framework_scenes import FILES, Scenes, figures, refusal, written
from safetensors.torch import save_file
from transformers_models import SIGMOID, Make, detr, scrambled, transformers

from longtail_cli.cli import main
from longtail_cli.files.logits.query_batches import query_arrays
from longtail_cli.files.pickles import load_saved

PREDICTED = FILES / "transformers_predict.pkl"
QUERIES = 15
IMAGES = 3
CATEGORIES = [30, 10, 20, 70, 40]
ORDERED = sorted(CATEGORIES)

Arrays = dict[str, np.ndarray[Any, Any]]
Save = Callable[[Path, Arrays], Path]


@pytest.fixture
def scenes() -> Scenes:
    return Scenes()


@pytest.fixture
def annotations(tmp_path: Path, scenes: Scenes) -> Path:
    return written(tmp_path, scenes, [])[1]


@pytest.fixture
def arrays() -> Arrays:
    """Those that `Trainer.predict` returned."""
    found = query_arrays(load_saved(PREDICTED), "predictions")
    assert found is not None
    return found


def decoded(path: Path, annotations: Path, *options: str) -> list[dict[str, Any]]:
    """The detections that `ltcal rescore` makes of the outputs."""
    out = annotations.parent / "decoded.json"
    arguments = ["rescore", str(path), "--annotations", str(annotations), "--method", "none", "-o", str(out)]
    result = CliRunner().invoke(main, [*arguments, *options])
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(out.read_bytes())
    return found


def processed(name: str, outputs: Any, sizes: torch.Tensor, threshold: float) -> list[dict[str, torch.Tensor]]:
    """What the image processor called `name` makes of the outputs, for each image."""
    processor = getattr(transformers, name)()
    found: list[dict[str, torch.Tensor]] = processor.post_process_object_detection(outputs, threshold, sizes)
    return found


def as_results(found: list[dict[str, torch.Tensor]], image_id: list[int], category_id: list[int]) -> list[Any]:
    """Post-processed detections as COCO results."""
    return [
        {"image_id": image, "category_id": category_id[label], "bbox": [*box[:2], *(box[2:] - box[:2])], "score": score}
        for image, one in zip(image_id, found, strict=True)
        for score, label, box in zip(one["scores"].tolist(), one["labels"].tolist(), one["boxes"].numpy(), strict=True)
    ]


def plain(results: list[Any]) -> list[Any]:
    """Results with Python's numbers."""
    return [{**one, "bbox": [float(value) for value in one["bbox"]]} for one in results]


def test_the_report_is_that_of_the_post_processed_detections(
    tmp_path: Path, scenes: Scenes, annotations: Path, arrays: Arrays
) -> None:
    outputs = transformers.models.rt_detr.modeling_rt_detr.RTDetrObjectDetectionOutput(
        logits=torch.tensor(arrays["logits"]), pred_boxes=torch.tensor(arrays["pred_boxes"])
    )
    found = processed("RTDetrImageProcessor", outputs, torch.tensor(arrays["orig_size"]), threshold=0.01)
    results = as_results(found, arrays["image_id"].tolist(), scenes.category_ids)
    (tmp_path / "plain.json").write_text(json.dumps(plain(results)))

    # the processor keeps as many detections of an image as it has queries
    limits = ("--threshold", "0.01", "--detections-per-image", str(QUERIES))
    assert figures(PREDICTED, annotations, *limits) == figures(tmp_path / "plain.json", annotations)


def save_npz(folder: Path, arrays: Arrays) -> Path:
    np.savez(folder / "queries.npz", **arrays)
    return folder / "queries.npz"


def save_safetensors(folder: Path, arrays: Arrays) -> Path:
    path = folder / "queries.safetensors"
    save_file({name: torch.from_numpy(one.copy()) for name, one in arrays.items()}, path)
    return path


def save_tensors(folder: Path, arrays: Arrays) -> Path:
    torch.save({name: torch.from_numpy(one.copy()) for name, one in arrays.items()}, folder / "queries.pt")
    return folder / "queries.pt"


def save_lists_of_batches(folder: Path, arrays: Arrays) -> Path:
    columns = {name: list(torch.from_numpy(one.copy()).split(8)) for name, one in arrays.items()}
    torch.save(columns, folder / "queries.pth")
    return folder / "queries.pth"


def save_batches(folder: Path, arrays: Arrays) -> Path:
    batches = [{name: one[start : start + 8] for name, one in arrays.items()} for start in range(0, 30, 8)]
    (folder / "queries.pkl").write_bytes(pickle.dumps(batches))
    return folder / "queries.pkl"


def save_without_names(folder: Path, arrays: Arrays) -> Path:
    np.savez(folder / "queries.npz", arrays["logits"], arrays["pred_boxes"])
    return folder / "queries.npz"


def save_shards(folder: Path, arrays: Arrays) -> Path:
    (folder / "queries").mkdir()
    for number, rows in enumerate((slice(0, 7), slice(7, 30))):
        np.savez(folder / "queries" / f"{number}.npz", **{name: one[rows] for name, one in arrays.items()})
    return folder / "queries"


def save_output_tuples(folder: Path, arrays: Arrays) -> Path:
    """As without labels: predictions alone, with hidden states after logits and boxes."""
    hidden = np.zeros((30, QUERIES, 4), np.float32)
    (folder / "queries.pkl").write_bytes(pickle.dumps((arrays["logits"], arrays["pred_boxes"], hidden)))
    return folder / "queries.pkl"


@pytest.mark.parametrize(
    "save",
    [
        save_npz,
        save_safetensors,
        save_tensors,
        save_lists_of_batches,
        save_batches,
        save_without_names,
        save_shards,
        save_output_tuples,
    ],
)
def test_arrays_in_other_files_are_the_same(tmp_path: Path, annotations: Path, arrays: Arrays, save: Save) -> None:
    ours, expected = decoded(save(tmp_path, arrays), annotations), decoded(PREDICTED, annotations)
    scores = [[one.pop("score") for one in found] for found in (ours, expected)]
    assert ours == expected
    np.testing.assert_allclose(*scores, rtol=1e-6)  # how many rows are computed together decides the last digit


def test_arrays_in_memory_are_the_same(scenes: Scenes, arrays: Arrays) -> None:
    import longtail_cli as ltcal

    report = ltcal.evaluate(arrays, scenes.annotations, tide="off")
    assert report.runs[0].metrics == ltcal.evaluate(PREDICTED, scenes.annotations, tide="off").runs[0].metrics


@torch.no_grad()
def outputs_of(make: Make) -> Any:
    return scrambled(make)(pixel_values=torch.rand(IMAGES, 3, 64, 64))


@pytest.fixture
def five_categories(tmp_path: Path) -> Path:
    """Annotations of images of different sizes, for models with five labels."""
    sizes = [{"id": 9 - i, "height": 120 + i, "width": 200 - 3 * i} for i in range(IMAGES)]
    categories = [{"id": one} for one in CATEGORIES]
    path = tmp_path / "five.json"
    path.write_text(json.dumps({"images": sizes, "categories": categories, "annotations": []}))
    return path


def test_a_model_with_a_softmax(tmp_path: Path, five_categories: Path) -> None:
    """The post-processing of DETR keeps the best class of each query."""
    outputs = outputs_of(detr)
    path = save_npz(tmp_path, {"logits": outputs.logits.numpy(), "pred_boxes": outputs.pred_boxes.numpy()})
    ours = decoded(path, five_categories, "--threshold", "0")
    assert len(ours) == IMAGES * 12 * 5

    sizes = torch.tensor([(120 + i, 200 - 3 * i) for i in range(IMAGES)])
    found = plain(as_results(processed("DetrImageProcessor", outputs, sizes, threshold=0.0), [9, 8, 7], ORDERED))
    assert len(found) == IMAGES * 12
    assert Counter(map(_rounded, found)) <= Counter(map(_rounded, ours))


def _rounded(one: dict[str, Any]) -> tuple[float, ...]:
    """Everything about a detection; its score to five digits."""
    return (one["image_id"], one["category_id"], *one["bbox"], round(one["score"], 5))


@pytest.mark.parametrize("name", SIGMOID)
def test_models_with_a_sigmoid(name: str, tmp_path: Path, five_categories: Path) -> None:
    make, processor = SIGMOID[name]
    outputs = outputs_of(make)
    sizes = torch.tensor([(120 + i, 200 - 3 * i) for i in range(IMAGES)])
    found = processed(processor, outputs, sizes, threshold=0.0)
    path = save_npz(tmp_path, {"logits": outputs.logits.numpy(), "pred_boxes": outputs.pred_boxes.numpy()})
    limit = str(len(found[0]["scores"]))
    ours = decoded(path, five_categories, "--threshold", "0", "--detections-per-image", limit)

    expected = plain(as_results(found, [9, 8, 7], ORDERED))
    assert len(ours) == len(expected)
    for image in (9, 8, 7):
        pair = [sorted(_of(image, results)) for results in (ours, expected)]
        assert [one[1:] for one in pair[0]] == [one[1:] for one in pair[1]]
        np.testing.assert_allclose([one[0] for one in pair[0]], [one[0] for one in pair[1]], rtol=1e-6)


def _of(image: int, results: list[Any]) -> list[tuple[float, ...]]:
    return [(one["score"], one["category_id"], *one["bbox"]) for one in results if one["image_id"] == image]


def test_no_box_is_suppressed_unless_it_is_asked_for(annotations: Path) -> None:
    assert decoded(PREDICTED, annotations) == decoded(PREDICTED, annotations, "--nms", "none")
    assert len(decoded(PREDICTED, annotations, "--nms", "0.5")) < len(decoded(PREDICTED, annotations))


@pytest.mark.parametrize(("columns", "head"), [(91, "sigmoid"), (92, "softmax")])
def test_columns_numbered_by_category_id(columns: int, head: str, tmp_path: Path) -> None:
    """As models of COCO have them: ids up to 90, of which 80 are used."""
    ids = [*range(1, 12), *range(13, 91)]
    images = [{"id": 5, "height": 10, "width": 20}]
    (tmp_path / "coco.json").write_text(
        json.dumps({"images": images, "categories": [{"id": one} for one in ids], "annotations": []})
    )
    logits = torch.randn(1, 4, columns, generator=torch.Generator().manual_seed(0))
    path = save_npz(tmp_path, {"logits": logits.numpy(), "pred_boxes": np.full((1, 4, 4), 0.5, np.float32)})
    scores = logits.sigmoid() if head == "sigmoid" else logits.softmax(dim=2)
    expected = sorted(scores[0][:, ids].flatten().tolist(), reverse=True)[:300]
    ours = decoded(path, tmp_path / "coco.json", "--threshold", "0")
    np.testing.assert_allclose([one["score"] for one in ours], expected, rtol=1e-5)
    best = int(scores[0][:, ids].max(dim=0).values.argmax())
    assert ours[0]["category_id"] == ids[best]


def test_what_is_stated_needs_no_annotations(tmp_path: Path, annotations: Path, arrays: Arrays, scenes: Scenes) -> None:
    path, out = save_npz(tmp_path, arrays), tmp_path / "out.json"
    (tmp_path / "ids.txt").write_text("\n".join(map(str, scenes.category_ids)))
    arguments = ["rescore", str(path), "--method", "none", "-o", str(out), "--category-ids", str(tmp_path / "ids.txt")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(out.read_bytes()) == decoded(PREDICTED, annotations)


def changed(arrays: Arrays, **changes: np.ndarray[Any, Any] | None) -> Arrays:
    """The arrays with some replaced, or left out."""
    return {name: one for name, one in (arrays | changes).items() if one is not None}


def test_mistakes(tmp_path: Path, annotations: Path, arrays: Arrays) -> None:
    def message(**changes: np.ndarray[Any, Any] | None) -> str:
        path = save_npz(tmp_path, changed(arrays, **changes))
        found = refusal("report", str(path), "--annotations", str(annotations))
        return " ".join(found.split())

    boxes, logits = arrays["pred_boxes"], arrays["logits"]
    assert "boxes`, image 0, query 0: expected centre, width and height of the box as fractions" in message(
        pred_boxes=boxes * 100
    )
    assert (
        "expected 11 or 10 columns (a softmax with background, or a sigmoid, of 10 categories), or 42 or 41"
        in message(logits=logits[..., :7])
    )
    assert "expected 30 images" in message(
        logits=logits[:5], pred_boxes=boxes[:5], image_id=None, orig_size=arrays["orig_size"][:5]
    )
    assert "image 2: expected an image of" in message(
        image_id=np.where(np.arange(30) == 2, 10**6, arrays["image_id"]), orig_size=None
    )
    assert "(id 361): expected a height and a width above 0, found [0.0, 160.0]" in message(
        orig_size=arrays["orig_size"] * [[0, 1]]
    )
    assert "`pred_boxes` [B, Q, 4] with logits [B, Q, K], found logits, image_id, orig_size" in message(pred_boxes=None)
    assert "expected shape [30, 15, 4], found [30, 14, 4]" in message(pred_boxes=boxes[:, :14])
    assert "image 1: expected another image, found id 361, which image 0 has too" in message(image_id=np.full(30, 361))
    assert "expected a finite number, found nan" in message(logits=np.full_like(logits, np.nan))


def test_without_annotations_it_says_what_is_missing(tmp_path: Path, arrays: Arrays) -> None:
    path = save_npz(tmp_path, changed(arrays, image_id=None))
    message = refusal("rescore", str(path), "--method", "none", "-o", str(tmp_path / "out.json"))
    assert "expected category ids and image ids, in the file or in the annotations, found neither" in message
    assert "pass --annotations" in message


def test_batches_of_other_shapes_are_refused(tmp_path: Path, annotations: Path, arrays: Arrays) -> None:
    batches = [{name: one[:8] for name, one in arrays.items()}]
    batches.append({**batches[0], "logits": arrays["logits"][8:16, :9], "pred_boxes": arrays["pred_boxes"][8:16, :9]})
    (tmp_path / "queries.pkl").write_bytes(pickle.dumps(batches))
    message = refusal("report", str(tmp_path / "queries.pkl"), "--annotations", str(annotations))
    assert "expected the same shape in every batch, found [B, 9, 10] and [B, 15, 10]" in message


def test_labels_of_other_images_are_refused(tmp_path: Path, annotations: Path, arrays: Arrays) -> None:
    predictions = [(None, arrays["logits"], arrays["pred_boxes"])]
    labels = [[{"image_id": np.array([361]), "orig_size": np.array([120, 160])}]]
    (tmp_path / "queries.pkl").write_bytes(pickle.dumps((predictions, labels, {})))
    message = refusal("report", str(tmp_path / "queries.pkl"), "--annotations", str(annotations))
    assert "labels: expected 30, one for each image of the predictions, found 1" in message


def test_what_inspect_says(annotations: Path) -> None:
    result = CliRunner().invoke(main, ["inspect", str(PREDICTED), "--annotations", str(annotations)])
    assert result.exit_code == 0, result.output
    assert "logits of a detector, 450 proposals of 10 classes in 30 images" in result.output
    assert "pass --annotations that state them" in refusal("inspect", str(PREDICTED))
