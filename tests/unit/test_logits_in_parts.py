"""Detection logits in parts: what the parts load together is what a single process loads, to the last bit."""

from __future__ import annotations

import json
import pickle
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from logit_files import DETECTION_METADATA, detection, save

import longtail_cli as ltcal
from longtail_cli.errors import InputError, UsageError
from longtail_cli.execution.spilled import Spilled
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.files.logits.division import divided
from longtail_cli.files.logits.reader import LogitsFile, open_logits
from longtail_cli.methods.registry import parse_method
from longtail_cli.tables import GroundTruth
from longtail_cli.workflow import logit_batches
from longtail_cli.workflow.detection_inputs import Adjustments, Source, adjusted_sources
from longtail_cli.workflow.options import InputOptions
from longtail_cli.workflow.partitioned import logits as logits_in_parts
from longtail_cli.workflow.partitioned.inputs import Planned
from longtail_cli.workflow.partitioned.logits import DividedLogits
from longtail_cli.workflow.partitioned.memory import Sizes
from longtail_cli.workflow.progress import no_progress

EXAMPLE = Path(__file__).parents[2] / "examples" / "digit_scenes"
METHODS = ("none", "prior2posterior", "tau-norm")


@pytest.fixture(scope="module")
def truth() -> GroundTruth:
    with open_annotations(EXAMPLE / "val.json") as file:
        return file.read(masks=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logits of 90 images as four shards; each holds every fourth of them, as those of four processes do."""
    folder = tmp_path_factory.mktemp("logits")
    with np.load(EXAMPLE / "logits.npz") as archive:
        arrays = {name: torch.from_numpy(array.copy()) for name, array in archive.items()}
    weight, metadata = arrays.pop("weight"), json.loads((EXAMPLE / "logits.meta.json").read_text())
    images = arrays["image_id"].unique()[:90]
    for number in range(4):
        rows = torch.isin(arrays["image_id"], images[number::4])
        own = {name: tensor[rows] for name, tensor in arrays.items()}
        save(folder / f"{number}.safetensors", own | ({"weight": weight} if number == 1 else {}), metadata)
    return folder


def adjustments(specs: tuple[str, ...] = METHODS, *, beyond_limit: bool = False) -> Adjustments:
    table = ltcal.count(EXAMPLE / "train.json")
    return Adjustments([parse_method(spec) for spec in specs], table, "prob", InputOptions(device="cpu"), beyond_limit)


def whole(path: Path, truth: GroundTruth, how: Adjustments) -> Source:
    sources = adjusted_sources([open_logits(path)], [METHODS], how, ("bbox",), None, no_progress)  # type: ignore[arg-type]
    return next(sources(truth))


def planned(path: Path, truth: GroundTruth, how: Adjustments, rows: int = 1) -> Planned:
    with open_annotations(EXAMPLE / "val.json") as annotations:
        opened = DividedLogits.open(path, annotations, how.inputs)
    return opened.planned(truth, how, METHODS[: len(how.methods)], ("bbox",), Sizes(rows), Spilled(), no_progress)


@pytest.mark.parametrize(("beyond_limit", "rows", "batch", "parts"), [(False, 1, 1 << 20, 4), (True, 1, 5000, 20)])
def test_parts_load_what_a_single_process_loads(
    folder: Path, truth: GroundTruth, beyond_limit: bool, rows: int, batch: int, parts: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """However the logits are cut into batches and parts: within shards too, where batches are small."""
    monkeypatch.setitem(logit_batches.LOGITS_PER_BATCH, "cpu", batch)
    how = adjustments(beyond_limit=beyond_limit)
    expected = whole(folder, truth, how)
    plan = planned(folder, truth, how, rows)
    assert len(plan.parts) >= parts
    loaded = [pickle.loads(pickle.dumps(part.content)) for part in plan.parts]
    assert np.array_equal(np.sort(np.concatenate([part.image for part in loaded])), np.arange(len(truth.image_id)))
    found = [part.loader.load(part.truth) for part in loaded]
    for number, run in enumerate(expected.runs):
        of_parts = [one.source.runs[number].detections for one in found]
        image = np.concatenate([part.image[one.image] for part, one in zip(loaded, of_parts, strict=True)])
        np.testing.assert_array_equal(image, run.detections.image)
        for name in ("category", "score", "bbox"):
            joined = np.concatenate([getattr(one, name) for one in of_parts])
            np.testing.assert_array_equal(joined, getattr(run.detections, name), err_msg=name)
        file_row = np.concatenate([one.file_row[number] for one in found])
        assert (np.diff(file_row) > 0).all()
        assert plan.runs[number].method == run.method


def test_a_report_in_parts_is_that_of_a_single_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all metrics, and the notes about all detections."""
    monkeypatch.setitem(logit_batches.LOGITS_PER_BATCH, "cpu", 5000)
    monkeypatch.setattr(logits_in_parts, "PART_BYTES", 30_000)
    how = {"methods": ["none", "iif"], "frequencies": ltcal.count(EXAMPLE / "train.json"), "bootstrap": 5}
    how |= {"fixed_ap": True, "pooled_ap": True, "per_category": True, "device": "cpu"}
    one = ltcal.evaluate(folder, EXAMPLE / "val.json", **how)
    assert ltcal.evaluate(folder, EXAMPLE / "val.json", memory="1GB", **how).to_json() == one.to_json()


def test_objects_of_parts_are_those_of_the_whole(folder: Path, truth: GroundTruth) -> None:
    plan = planned(folder, truth, adjustments(("none",)))
    row = np.argsort(truth.image, kind="stable")
    for part in plan.parts:
        own = part.content.truth
        mine = np.argsort(own.image, kind="stable")
        np.testing.assert_array_equal(truth.id[row[part.content.object]], own.id[mine])
    assert sum(len(part.content.object) for part in plan.parts) == len(truth.id)


def test_parts_are_named_by_their_shards_and_sized_by_their_logits(
    folder: Path, truth: GroundTruth, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(folder, truth, adjustments(("none",)))
    assert [part.name for part in plan.parts] == [str(folder / f"{number}.safetensors") for number in range(4)]
    assert sum(part.size for part in plan.parts) == open_logits(folder).rows * 11 * 2
    monkeypatch.setitem(logit_batches.LOGITS_PER_BATCH, "cpu", 11 * 500)
    parts = planned(folder, truth, adjustments(("none",))).parts
    first = parts[0].content.loader.file.rows
    assert parts[0].name == f"{folder / '0.safetensors'}, rows 0 to {first - 1}"
    assert parts[1].name.startswith(f"{folder / '0.safetensors'}, rows {first} to ")


@pytest.mark.parametrize("suffix", [".npz", ".pt", ".safetensors"])
def test_files_of_every_kind_are_divided_into_whole_images(tmp_path: Path, suffix: str) -> None:
    """Shards that are no safetensors files stay whole."""
    for number in range(3):
        tensors = detection([3, 1, 2, 4], first_id=10 * number + 1)
        save(tmp_path / f"{number}{suffix}", tensors, None if suffix == ".npz" else DETECTION_METADATA)
    (tmp_path / "meta.json").write_text(json.dumps(DETECTION_METADATA))
    file = open_logits(tmp_path)
    parts = divided(file, 4, 4)
    assert [part.rows for part in parts] == ([4, 2, 4] * 3 if suffix == ".safetensors" else [10] * 3)
    assert_same_rows(parts, file)
    assert [part.rows for part in divided(file, 20, 4)] == [20, 10]
    assert_same_rows(divided(file, 20, 4), file)


def assert_same_rows(parts: list[LogitsFile], file: LogitsFile) -> None:
    assert sum(part.images or 0 for part in parts) == file.images
    found = [batch for part in parts for batch in part.batches(4)]
    expected = list(file.batches(4))
    assert [len(one) for one in found] == [len(one) for one in expected]
    for one, other in zip(found, expected, strict=True):
        for field in fields(one):
            mine, theirs = getattr(one, field.name), getattr(other, field.name)
            assert field.name == "first" or (mine is theirs is None) or bool((mine == theirs).all())


def test_a_file_without_rows_is_one_part(tmp_path: Path) -> None:
    file = open_logits(save(tmp_path / "a.safetensors", detection([]), DETECTION_METADATA))
    assert [part.rows for part in divided(file, 4, 4)] == [0]


def test_a_fault_in_a_part_is_named_by_its_row_in_the_shard(tmp_path: Path) -> None:
    tensors = detection([3, 3, 3])
    tensors["logits"][7, 2] = float("nan")
    file = open_logits(save(tmp_path / "a.safetensors", tensors, DETECTION_METADATA))
    last = divided(file, 3, 3)[2]
    with pytest.raises(InputError, match=r"a\.safetensors: tensor `logits`, row 7, column 2"):
        list(last.batches(3))


def test_a_shard_that_is_damaged_or_missing_is_named(folder: Path, truth: GroundTruth, tmp_path: Path) -> None:
    """Although it was there and whole when the folder was opened."""
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    plan = planned(tmp_path, truth, adjustments(("none",)))
    shard = tmp_path / "2.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1000])
    with pytest.raises(InputError, match=r"2\.safetensors: .*ends early"):
        plan.parts[2].content.loader.load(plan.parts[2].content.truth)
    shard.unlink()
    with pytest.raises(InputError, match=r"2\.safetensors"):
        plan.parts[2].content.loader.load(plan.parts[2].content.truth)


def test_an_image_in_two_shards_is_refused_with_both(tmp_path: Path, truth: GroundTruth) -> None:
    for number in range(2):
        save(tmp_path / f"{number}.safetensors", detection([2, 2], first_id=number + 1), DETECTION_METADATA)
    with pytest.raises(InputError, match=r"1.safetensors, row 0: .*found image 2 again, .* from 0.safetensors, row 2"):
        planned(tmp_path, truth, adjustments(("none",)))


def test_masks_of_logits_are_refused(folder: Path, truth: GroundTruth) -> None:
    how = adjustments(("none",))
    with open_annotations(EXAMPLE / "val.json") as annotations:
        opened = DividedLogits.open(folder, annotations, how.inputs)
    with pytest.raises(UsageError, match="logits hold boxes only"):
        opened.planned(truth, how, ("a",), ("segm",), Sizes(1), Spilled(), no_progress)
