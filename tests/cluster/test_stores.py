"""URLs of S3 and of Google Cloud Storage as inputs and outputs, on servers of this machine."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from s3_bucket import SCENES, Bucket, error, output

from longtail_cli.errors import InputError, OutputError
from longtail_cli.files.parts_folder import PartsFolder, new_parts_folder
from longtail_cli.files.stores import listed, opened, staged

pytestmark = pytest.mark.usefixtures("folder")


def test_commands_read_from_the_store_and_write_to_it(store: Bucket) -> None:
    output("compute-freq", f"{store.url}/in/train.json", "-o", f"{store.url}/out/freq.csv")
    done = output("rescore", f"{store.url}/in/predictions.json", "--freq", f"{store.url}/out/freq.csv",
                  "--method", "norcal:gamma=0.6", "-o", f"{store.url}/out/adjusted.json")  # fmt: skip
    assert f"15202 detections (norcal:gamma=0.6) to {store.url}/out/adjusted.json" in done.stderr
    output("report", f"{store.url}/in/predictions.json", f"{store.url}/out/adjusted.json", "--annotations",
           f"{store.url}/in/val.json", "--max-dets", "20", "--tide", "off", "--csv",
           f"{store.url}/out/report.csv", "--bootstrap", "--resamples", "10", "--json",
           f"{store.url}/out/report.json")  # fmt: skip
    results = {"adjusted.json", "freq.csv", "report.csv", "report.json", "report.ltcal.parquet"}
    assert store.names() == {f"out/{name}" for name in results}
    sources = [one["source"] for one in json.loads(store.text("out/report.json"))["runs"]]
    assert sources == [f"{store.url}/in/predictions.json", f"{store.url}/out/adjusted.json"]
    assert ".ltcal-" not in store.text("out/report.json")


@pytest.mark.parametrize("name", ["predictions.json", "predictions.parquet"])
def test_a_report_in_parts_is_that_of_one_process(store: Bucket, name: str) -> None:
    pd.read_json(SCENES / "predictions.json").to_parquet("predictions.parquet", row_group_size=1000)
    store.files.put_file("predictions.parquet", "data/in/predictions.parquet")
    words = ("report", f"{store.url}/in/{name}", "--annotations", f"{store.url}/in/val.json", "--max-dets", "20",
             "--json")  # fmt: skip
    output(*words, f"{store.url}/whole.json")
    output(*words, f"{store.url}/parts.json", "--memory", "1GB")
    assert store.text("parts.json") == store.text("whole.json")


def test_the_shards_of_a_run_are_named_by_a_pattern(store: Bucket) -> None:
    entries = json.loads((SCENES / "predictions.json").read_text())
    for rank in range(2):
        shard = [one for one in entries if one["image_id"] % 2 == rank]
        store.files.pipe_file(f"data/run/rank_{rank}.json", json.dumps(shard).encode())
    done = output("report", "--merge", f"{store.url}/run/rank_*.json", "--annotations",
                  f"{store.url}/in/val.json", "--max-dets", "20", "--tide", "off")  # fmt: skip
    assert "15,202 detections on 180 of 180 images" in done.stderr


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("data/in/nothing.json", "expected an object or a folder that exists, found none"),
        ("nowhere/predictions.json", "expected a bucket that exists, found no bucket nowhere"),
        ("data", "location: expected files that end in "),
    ],
)
def test_an_input_that_is_not_there_is_named(store: Bucket, path: str, message: str) -> None:
    url = store.url.replace("data", path)
    shown = error("report", url, "--annotations", f"{store.url}/in/val.json", "--json", f"{store.url}/report.json")
    assert shown.startswith(f"Error: {url}: ")
    assert message in shown
    assert store.names() == set()


def test_a_bucket_of_an_output_is_checked_before_the_work(store: Bucket) -> None:
    nowhere = store.url.replace("data", "nowhere")
    shown = error("compute-freq", f"{store.url}/in/predictions.json", "-o", f"{nowhere}/freq.csv")
    assert f"{nowhere}: store: expected a bucket that exists" in shown


def test_a_shard_that_changes_after_it_was_listed_is_named(store: Bucket) -> None:
    store.files.pipe_file("data/a.json", b"[1]")
    (file,) = listed(f"{store.url}/a.json")
    with staged(file) as path, opened(file) as content:
        assert path.name == "a.json"
        assert path.read_bytes() == content.read() == b"[1]"
    store.files.pipe_file("data/a.json", b"[2]")
    with (
        pytest.raises(InputError, match="no change since it was listed with 3 bytes, found other content"),
        staged(file),
    ):
        pass
    with pytest.raises(InputError, match=r"a\.json: .* found other content"), opened(file) as content:
        content.read()
    store.files.rm_file("data/a.json")
    with pytest.raises(InputError, match="expected an object or a folder that exists"), staged(file):
        pass


def test_files_of_a_prefix_are_listed_once_with_sizes(store: Bucket) -> None:
    folder = f"{store.url}/run"
    for name, size in {"b.json": 2, "a.json": 1, "c.txt": 3, "deeper/d.json": 4, ".hidden.json": 5}.items():
        store.files.pipe_file(f"data/run/{name}", b"x" * size)
    found = listed(f"{folder}/", [".json"])
    assert [(one.location, one.size) for one in found] == [(f"{folder}/a.json", 1), (f"{folder}/b.json", 2)]
    assert [one.name for one in listed(f"{folder}/?.*")] == ["a.json", "b.json", "c.txt"]
    store.files.pipe_file("data/run/[1].json", b"x")
    assert [one.location for one in listed(f"{folder}/[1].json")] == [f"{folder}/[1].json"]
    with pytest.raises(InputError, match=rf"{folder}: location: expected files that end in \.csv, found none"):
        listed(folder, [".csv"])
    with pytest.raises(InputError, match=rf"{folder}/\*\.csv: location: expected files, found none"):
        listed(f"{folder}/*.csv")


def test_the_files_of_parts_appear_together(store: Bucket) -> None:
    with new_parts_folder(f"{store.url}/parts") as folder:
        for number in range(2):
            with folder.part(f"{number}.json") as path:
                path.write_text(str(number))
        assert all(name.startswith("parts/.ltcal-") for name in store.names())
    assert store.names() == {"parts/0.json", "parts/1.json"}
    with (
        pytest.raises(OutputError, match=f"{store.url}/parts: folder: expected a new one"),
        new_parts_folder(f"{store.url}/parts"),
    ):
        pass


def _write_part(folder: PartsFolder) -> None:
    """Write a file, then fail."""
    with folder.part("0.json") as path:
        path.write_text("0")
    raise ZeroDivisionError


def test_the_files_of_parts_vanish_with_a_failure(store: Bucket) -> None:
    with pytest.raises(ZeroDivisionError), new_parts_folder(f"{store.url}/parts") as folder:
        _write_part(folder)
    assert store.names() == set()
