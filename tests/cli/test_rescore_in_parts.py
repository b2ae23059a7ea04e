"""`ltcal rescore` in parts: the files of the parts hold what a single process writes, all of it or nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner, Result
from logit_files import save
from safetensors.torch import load_file

import longtail_cli as ltcal_api
from longtail_cli.cli import main
from longtail_cli.errors import UsageError
from longtail_cli.workflow import logit_batches
from longtail_cli.workflow.partitioned import rescore_logits, rescore_results

EXAMPLE = Path(__file__).parents[2] / "examples" / "digit_scenes"
TRUTH, IMAGES = str(EXAMPLE / "val.json"), 60
IN_PARTS = ("--memory", "1GB")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a frequency table."""
    monkeypatch.chdir(tmp_path)
    assert ltcal("compute-freq", str(EXAMPLE / "train.json"), "-o", "freq.csv").exit_code == 0
    return tmp_path


@pytest.fixture
def logits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder with three shards of logits, processed in parts of about 500 rows."""
    monkeypatch.setitem(logit_batches.LOGITS_PER_BATCH, "cpu", 11 * 500)
    monkeypatch.setattr(rescore_logits, "DETECTIONS", 1000)
    with np.load(EXAMPLE / "logits.npz") as archive:
        arrays = {name: torch.from_numpy(archive[name]) for name in ("logits", "boxes", "image_id")}
    metadata, images = json.loads((EXAMPLE / "logits.meta.json").read_text()), arrays["image_id"].unique()[:IMAGES]
    (folder / "logits").mkdir()
    for number in range(3):
        rows = torch.isin(arrays["image_id"], images[number::3])
        save(folder / "logits" / f"{number}.safetensors", {name: one[rows] for name, one in arrays.items()}, metadata)
    return "logits"


def shards() -> list[str]:
    """Three shards of detections with a field that no format knows."""
    entries = json.loads((EXAMPLE / "predictions.json").read_text())
    images = sorted({entry["image_id"] for entry in entries})[:IMAGES]
    names = []
    for number in range(3):
        own = set(images[number::3])
        names.append(f"rank{number}.json")
        Path(names[-1]).write_text(json.dumps([entry | {"extra": 1} for entry in entries if entry["image_id"] in own]))
    return names


def ltcal(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def written(*arguments: str) -> str:
    """What a call of rescore says."""
    result = ltcal("rescore", *arguments)
    assert result.exit_code == 0, result.output
    return result.stderr


def refused(*arguments: str) -> str:
    """The stderr of a failing call, which exits with 2 and writes nothing."""
    before = sorted(Path().iterdir())
    result = ltcal("rescore", *arguments)
    assert result.exit_code == 2, result.output
    assert sorted(Path().iterdir()) == before
    return result.stderr


def test_logits_are_decoded_into_one_file_for_each_part(logits: str) -> None:
    """Each method has a folder, or a file made of the parts; all say the same as a single process."""
    methods = ("--freq", "freq.csv", "--method", "norcal", "-o", "{}norcal{}", "--method", "none", "-o", "{}none{}")
    one = written(logits, *(text.format("", ".parquet") for text in methods))
    several = written(logits, *(text.format("parts-", "") for text in methods), *IN_PARTS)
    joined = written(logits, *(text.format("joined-", ".parquet") for text in methods), *IN_PARTS)
    assert several.replace("parts-", "").replace(" to norcal", " to norcal.parquet") == one.replace(
        " to none.parquet", " to none"
    )
    assert joined.replace("joined-", "") == one
    for name in ("norcal", "none"):
        expected = pq.read_table(f"{name}.parquet")
        parts = sorted(Path(f"parts-{name}").iterdir())
        assert [part.name for part in parts] == [f"part-{number:05d}.parquet" for number in range(len(parts))]
        assert len(parts) > 3
        assert pa.concat_tables([pq.read_table(part) for part in parts]).equals(expected)
        assert pq.read_table(f"joined-{name}.parquet").equals(expected)


def test_shards_of_detections_keep_their_names_and_all_but_their_scores(folder: Path) -> None:
    arguments = ("--freq", "freq.csv", "--method", "iif")
    names = shards()
    said = written("--merge", "rank*.json", *arguments, "-o", "parts/", *IN_PARTS)
    assert said.replace("to parts", "to whole.json") == written("--merge", *names, *arguments, "-o", "whole.json")
    assert sorted(path.name for path in Path("parts").iterdir()) == names
    found = [entry for name in names for entry in json.loads(Path("parts", name).read_text())]
    assert found == [entry | {"extra": 1} for entry in json.loads(Path("whole.json").read_text())]
    for name in names:
        written(name, *arguments, "-o", f"alone-{name}")
        assert Path("parts", name).read_bytes() == Path(f"alone-{name}").read_bytes()


def parquet_shards() -> list[str]:
    """The shards as Parquet files of several row groups, and one without rows and with other columns."""
    names = [str(Path(name).with_suffix(".parquet")) for name in shards()]
    for name in names:
        table = pa.Table.from_pylist(json.loads(Path(name).with_suffix(".json").read_text()))
        pq.write_table(table.replace_schema_metadata({"run": "7"}), name, row_group_size=300, compression="zstd")
    pq.write_table(table.drop_columns("extra").slice(0, 0), "rank3.parquet")
    return [*names, "rank3.parquet"]


def test_merged_parquet_shards_keep_all_but_their_scores(folder: Path) -> None:
    """The file of one process is that of parts; images that a sampler repeats are left out of it."""
    names = parquet_shards()
    merge = ("--merge", *names, "--freq", "freq.csv", "--method", "iif", "-o")
    assert written(*merge, "one.parquet") == written(*merge, "joined.parquet", *IN_PARTS).replace("joined", "one")
    assert Path("one.parquet").read_bytes() == Path("joined.parquet").read_bytes()
    before, after = pa.concat_tables(map(pq.read_table, names[:3])), pq.read_table("one.parquet")
    assert after.drop_columns("score").equals(before.drop_columns("score"), check_metadata=True)
    assert not after["score"].equals(before["score"])
    first, second = (pq.read_table(name) for name in names[:2])
    again = first.filter(pc.equal(first["image_id"], first["image_id"][0]))
    pq.write_table(pa.concat_tables([again, second]), names[1])
    assert "1 image is in several shards" in written(*merge, "padded.parquet")
    assert pq.read_table("padded.parquet").equals(after)


def test_merged_parquet_shards_with_other_columns_are_refused(folder: Path) -> None:
    names = parquet_shards()
    pq.write_table(pq.read_table(names[1]).rename_columns({"extra": "other"}), names[1])
    merge = ("--merge", *names, "--method", "none", "-o", "out.parquet")
    said = refused(*merge)
    assert said == refused(*merge, *IN_PARTS)
    assert "out.parquet: columns: expected those of rank0.parquet in every part, found others in rank1.parquet" in said


def test_a_parquet_file_is_rescored_by_row_groups(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where an image reaches over the end of a part: its detections are counted together."""
    entries = [entry for name in shards() for entry in json.loads(Path(name).read_text())]
    pq.write_table(pa.Table.from_pylist(entries), "all.parquet", row_group_size=700)
    monkeypatch.setattr(rescore_results, "ROWS", 1500)
    arguments = ("all.parquet", "--freq", "freq.csv", "--method", "iif", "--annotations", TRUTH)
    one = written(*arguments, "-o", "one.parquet")
    assert written(*arguments, "-o", "parts", *IN_PARTS) == one.replace("one.parquet", "parts")
    assert written(*arguments, "-o", "joined.parquet", *IN_PARTS) == one.replace("one.parquet", "joined.parquet")
    parts = sorted(Path("parts").iterdir())
    assert [part.name for part in parts[:2]] == ["all-00000.parquet", "all-00001.parquet"]
    assert [pq.ParquetFile(part).metadata.num_rows for part in parts[:2]] == [1400, 1400]
    expected = pq.read_table("one.parquet")
    assert pa.concat_tables([pq.read_table(part) for part in parts]).equals(expected)
    assert pq.read_table("joined.parquet").equals(expected)


def test_an_image_in_two_shards_is_refused_with_both(folder: Path) -> None:
    names = shards()
    Path("again.json").write_text(json.dumps(json.loads(Path(names[1]).read_text())[:2]))
    said = refused("--merge", *names, "again.json", "--method", "temperature:t=2", "-o", "out", *IN_PARTS)
    assert "expected no detections but those in rank1.json, found others in again.json" in said


def test_shards_that_were_written_in_different_ways_are_refused(folder: Path) -> None:
    names = shards()
    entries = [
        entry | {"image_id": f"val/{entry['image_id']:06d}.png"} for entry in json.loads(Path(names[0]).read_text())
    ]
    Path(names[0]).write_text(json.dumps(entries))
    arguments = ("--merge", *names, "--method", "temperature:t=2", "--annotations", TRUTH)
    said = refused(*arguments, "-o", "out", *IN_PARTS)
    assert said == refused(*arguments, "-o", "out.json")
    assert "rank1.json: shard: expected COCO results with names of images" in said


def test_an_entry_of_a_row_group_is_named_by_its_number_in_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [{"image_id": 361, "category_id": 3, "bbox": [1, 1, 2, 2], "score": 0.5} for _ in range(100)]
    entries[70]["score"] = 1.5
    pq.write_table(pa.Table.from_pylist(entries), "all.parquet", row_group_size=20)
    monkeypatch.setattr(rescore_results, "ROWS", 40)
    arguments = ("all.parquet", "--method", "temperature:t=2")
    assert "entry 70" in refused(*arguments, "-o", "out", *IN_PARTS)
    assert refused(*arguments, "-o", "out", *IN_PARTS) == refused(*arguments, "-o", "out.parquet")


def test_a_shard_that_is_damaged_is_named_and_nothing_is_written(folder: Path, logits: str) -> None:
    names = shards()
    Path(names[2]).write_text(Path(names[2]).read_text()[:-10])
    assert "rank2.json" in refused("--merge", *names, "--method", "temperature:t=2", "-o", "out", *IN_PARTS)
    shard = folder / "logits" / "2.safetensors"
    tensors = load_file(shard)
    tensors["logits"][700, 3] = float("nan")
    save(shard, tensors, json.loads((EXAMPLE / "logits.meta.json").read_text()))
    said = refused(logits, "--method", "none", "-o", "out", "--method", "none", "-o", "out.parquet", *IN_PARTS)
    assert "2.safetensors: tensor `logits`, row 700, column 3" in said


def test_outputs_are_new_or_empty_folders_or_parquet(folder: Path, logits: str) -> None:
    Path("full").mkdir()
    Path("full", "part-00000.parquet").write_bytes(b"")
    assert "expected a new or empty folder" in refused(logits, "--method", "none", "-o", "full", *IN_PARTS)
    assert "a folder, or a file that ends in .parquet" in refused(logits, "--method", "none", "-o", "a.json", *IN_PARTS)
    arguments = ("--merge", *shards(), "--method", "temperature:t=2")
    assert "a folder, as the results are JSON" in refused(*arguments, "-o", "a.parquet", *IN_PARTS)
    said = refused(logits, "--method", "none", "-o", "a", "-o", "b", *IN_PARTS)
    assert "expected 1 different ones, one for each method, found 2" in said


def test_shards_of_one_name_are_refused(folder: Path) -> None:
    for name in ("a", "b"):
        Path(name).mkdir()
        Path(name, "shard.json").write_text("[]")
    said = refused("--merge", "a/shard.json", "b/shard.json", "--method", "temperature:t=2", "-o", "out", *IN_PARTS)
    assert "a/shard.json and b/shard.json" in said


def test_memory_that_is_not_enough_for_a_shard_is_refused(folder: Path) -> None:
    said = refused("--merge", *shards(), "--method", "temperature:t=2", "-o", "out", "--memory", "300MB")
    assert "rank" in said
    assert "--memory: expected at least" in said


def test_logits_of_a_classifier_are_refused(folder: Path) -> None:
    np.savez("classifier.npz", logits=np.zeros((4, 3), np.float32), labels=np.arange(4) % 3)
    said = refused("classifier.npz", "--method", "none", "-o", "out", *IN_PARTS)
    assert "expected logits of a detector, found those of a classifier" in said
    assert "--keep-logits" in refused("classifier.npz", "--method", "none", "--keep-logits", "-o", "out", *IN_PARTS)


def test_the_api_writes_the_same_folder_and_refuses_data_in_memory(folder: Path) -> None:
    names = shards()
    arguments = {"frequencies": "freq.csv", "method": "iif", "merge": True}
    one = ltcal_api.rescore(names, output="one.json", **arguments)
    assert ltcal_api.rescore(names, output="parts", memory="1GB", **arguments) == one
    written("--merge", *names, "--freq", "freq.csv", "--method", "iif", "-o", "cli", *IN_PARTS)
    assert [Path("parts", name).read_bytes() for name in names] == [Path("cli", name).read_bytes() for name in names]
    with pytest.raises(UsageError, match="data in memory"):
        ltcal_api.rescore([], None, "temperature:t=2", memory="1GB")
