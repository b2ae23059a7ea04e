"""URLs of S3 as inputs and outputs, on moto's server on this machine."""

from __future__ import annotations

import json
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import boto3
import numpy as np
import pandas as pd
import pytest
from moto import settings
from s3_bucket import KEYS, SCENES, Bucket, error, output, policy

import longtail_cli
from longtail_cli.errors import InputError, OutputError
from longtail_cli.files.output import outputs_of
from longtail_cli.files.parts_folder import PartsFolder, new_parts_folder
from longtail_cli.files.stores import listed, opened, staged
from longtail_cli.files.stores.mirror import Mirror
from longtail_cli.files.urls import parse_url

pytestmark = pytest.mark.usefixtures("folder")


def test_commands_read_from_the_store_and_write_to_it(bucket: Bucket) -> None:
    output("compute-freq", "s3://data/in/train.json", "-o", "s3://data/out/freq.csv")
    done = output("rescore", "s3://data/in/predictions.json", "--freq", "s3://data/out/freq.csv",
                  "--method", "norcal:gamma=0.6", "-o", "s3://data/out/adjusted.json")  # fmt: skip
    assert "15202 detections (norcal:gamma=0.6) to s3://data/out/adjusted.json" in done.stderr
    output("report", "s3://data/in/predictions.json", "s3://data/out/adjusted.json", "--annotations",
           "s3://data/in/val.json", "--max-dets", "20", "--tide", "off", "--csv", "s3://data/out/report.csv",
           "--bootstrap", "--resamples", "10", "--json", "s3://data/out/report.json")  # fmt: skip
    results = {"adjusted.json", "freq.csv", "report.csv", "report.json", "report.ltcal.parquet"}
    assert bucket.names() == {f"out/{name}" for name in results}
    sources = [one["source"] for one in json.loads(bucket.text("out/report.json"))["runs"]]
    assert sources == ["s3://data/in/predictions.json", "s3://data/out/adjusted.json"]
    assert ".ltcal-" not in bucket.text("out/report.json")


def test_results_are_those_of_files_of_this_machine(bucket: Bucket) -> None:
    options = ("--max-dets", "20", "--tide", "off", "--metrics-json")
    output("report", "s3://data/in/predictions.json", "--annotations", "s3://data/in/val.json", *options,
           "s3://data/metrics.json")  # fmt: skip
    output("report", SCENES / "predictions.json", "--annotations", SCENES / "val.json", *options, "metrics.json")
    assert bucket.text("metrics.json") == Path("metrics.json").read_text()


@pytest.mark.parametrize("source", ["s3://data/in/predictions.json", "s3://data/in/predictions.parquet"])
def test_a_report_in_parts_is_that_of_one_process(bucket: Bucket, source: str) -> None:
    pd.read_json(SCENES / "predictions.json").to_parquet("predictions.parquet", row_group_size=1000)
    bucket.files.put_file("predictions.parquet", "data/in/predictions.parquet")
    words = ("report", source, "--annotations", "s3://data/in/val.json", "--max-dets", "20", "--json")
    output(*words, "s3://data/whole.json")
    output(*words, "s3://data/parts.json", "--memory", "1GB")
    assert bucket.text("parts.json") == bucket.text("whole.json")


def test_a_baseline_is_read_with_the_resamples_beside_it(bucket: Bucket) -> None:
    words = ("report", "s3://data/in/predictions.json", "--annotations", "s3://data/in/val.json", "--max-dets", "20",
             "--tide", "off")  # fmt: skip
    output(*words, "--bootstrap", "--resamples", "20", "--json", "s3://data/main.json")
    done = output(*words, "--baseline", "s3://data/main.json", "--max-drop", "bbox/AP=0.01", "--gate-on", "interval")
    assert "passed" in done.output


def test_the_shards_of_a_run_are_named_by_a_pattern(bucket: Bucket) -> None:
    entries = json.loads((SCENES / "predictions.json").read_text())
    for rank in range(2):
        shard = [one for one in entries if one["image_id"] % 2 == rank]
        bucket.files.pipe_file(f"data/run/rank_{rank}.json", json.dumps(shard).encode())
    done = output("report", "--merge", "s3://data/run/rank_*.json", "--annotations", "s3://data/in/val.json",
                  "--max-dets", "20", "--tide", "off")  # fmt: skip
    assert "15,202 detections on 180 of 180 images" in done.stderr


def test_a_folder_of_logits_is_read_with_its_metadata(bucket: Bucket) -> None:
    logits = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    np.savez("a.npz", logits=logits, labels=np.arange(8) % 3)
    bucket.files.put_file("a.npz", "data/logits/shard_0.npz")
    bucket.files.pipe_file("data/logits/meta.json", json.dumps({"head": "softmax", "background": "none"}).encode())
    done = output("report", "s3://data/logits/", "--metrics-json", "s3://data/metrics.json")
    assert "Classification of 8 images" in done.output
    assert json.loads(bucket.text("metrics.json"))


def test_a_folder_of_outputs_becomes_a_prefix_of_the_store(bucket: Bucket) -> None:
    with ExitStack() as stack:
        mirror = Mirror(stack)
        plots = mirror.output(parse_url("s3://data/out/plots"))
        with outputs_of([], inputs=[], folders={plots: (".png",)}, url_of=mirror.url_of) as written:
            (written[plots] / "ap.png").write_bytes(b"x")
            assert bucket.names() == set()
    assert bucket.names() == {"out/plots/ap.png"}


def test_the_python_api_takes_urls(bucket: Bucket) -> None:
    table = longtail_cli.count("s3://data/in/train.json")
    longtail_cli.rescore("s3://data/in/predictions.json", table, "norcal", "s3://data/adjusted.json")
    report = longtail_cli.evaluate(
        {"before": "s3://data/in/predictions.json", "after": "s3://data/adjusted.json"}, "s3://data/in/val.json",
        max_dets=20, tide="off",
    )  # fmt: skip
    assert [one.source for one in report.runs] == ["s3://data/in/predictions.json", "s3://data/adjusted.json"]
    with pytest.raises(InputError, match=r"^s3://data/in/val\.json: content: expected a list of detections"):
        longtail_cli.rescore("s3://data/in/val.json", table, "norcal", "s3://data/wrong.json")
    assert bucket.names() == {"adjusted.json"}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://data/in/nothing.json", "expected an object or a folder that exists, found none"),
        ("s3://nowhere/predictions.json", "expected a bucket that exists, found no bucket nowhere"),
        ("s3://data", "location: expected files that end in "),
    ],
)
def test_an_input_that_is_not_there_is_named(bucket: Bucket, url: str, message: str) -> None:
    shown = error("report", url, "--annotations", "s3://data/in/val.json", "--json", "s3://data/report.json")
    assert shown.startswith(f"Error: {url}: ")
    assert message in shown
    assert bucket.names() == set()


def test_a_bucket_of_an_output_is_checked_before_the_work(bucket: Bucket) -> None:
    shown = error("compute-freq", "s3://data/in/predictions.json", "-o", "s3://nowhere/freq.csv")
    assert "s3://nowhere: store: expected a bucket that exists" in shown


def test_an_output_must_not_be_an_input(bucket: Bucket) -> None:
    shown = error("rescore", "s3://data/in/predictions.json", "--method", "none", "-o", "s3://data/in/predictions.json")
    assert "s3://data/in/predictions.json: output: expected a path that is not in use" in shown


def test_a_failed_command_uploads_nothing(bucket: Bucket) -> None:
    error("report", "s3://data/in/predictions.json", "--annotations", "s3://data/in/train.json", "--tide", "off",
          "--json", "s3://data/report.json", "--csv", "s3://data/report.csv")  # fmt: skip
    assert bucket.names() == set()


def test_a_denied_object_is_named(bucket: Bucket, configured: pytest.MonkeyPatch) -> None:
    with policy(bucket, "s3:GetObject", "in/val.json"):
        shown = error("report", "s3://data/in/predictions.json", "--annotations", "s3://data/in/val.json",
                      "--json", "s3://data/report.json")  # fmt: skip
    assert "Error: s3://data/in/val.json: store: expected permission for this, found " in shown
    assert bucket.names() == set()


def test_a_denied_output_takes_the_others_with_it(bucket: Bucket, configured: pytest.MonkeyPatch) -> None:
    with policy(bucket, "s3:PutObject", "report.csv"):
        shown = error("report", "s3://data/in/predictions.json", "--annotations", "s3://data/in/val.json",
                      "--max-dets", "20", "--tide", "off", "--json", "s3://data/report.json",
                      "--csv", "s3://data/report.csv", "--markdown", "report.md")  # fmt: skip
    assert "Error: s3://data/report.csv: store: expected permission for this, found " in shown
    assert bucket.names() == set()
    assert not Path("report.md").exists()


def test_keys_that_are_not_known_are_refused(bucket: Bucket, configured: pytest.MonkeyPatch) -> None:
    configured.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)
    shown = error("inspect", "s3://data/in/val.json")
    configured.undo()
    assert "s3://data/in/val.json: store: expected permission for this" in shown


def test_missing_credentials_are_named(configured: pytest.MonkeyPatch) -> None:
    for name in KEYS:
        configured.delenv(name)
    shown = error("inspect", "s3://data/in/val.json")
    assert "s3://data/in/val.json: store: expected credentials, found Unable to locate credentials" in shown
    assert "AWS_PROFILE" in shown


def test_a_store_that_cannot_be_reached_is_named(configured: pytest.MonkeyPatch) -> None:
    configured.setenv("AWS_ENDPOINT_URL", "http://user:secret@127.0.0.1:1")
    shown = error("inspect", "s3://data/in/val.json")
    assert "s3://data/in/val.json: store: expected a connection that works" in shown
    assert "secret" not in shown


def test_a_shard_that_changes_after_it_was_listed_is_named(bucket: Bucket) -> None:
    bucket.files.pipe_file("data/a.json", b"[1]")
    (file,) = listed("s3://data/a.json")
    with staged(file) as path, opened(file) as content:
        assert path.name == "a.json"
        assert path.read_bytes() == content.read() == b"[1]"
    bucket.files.pipe_file("data/a.json", b"[2]")
    with (
        pytest.raises(InputError, match="no change since it was listed with 3 bytes, found other content"),
        staged(file),
    ):
        pass
    with pytest.raises(InputError, match=r"a\.json: .* found other content"), opened(file) as content:
        content.read()
    bucket.files.rm_file("data/a.json")
    with pytest.raises(InputError, match="expected an object or a folder that exists"), staged(file):
        pass


class Truncating(BaseHTTPRequestHandler):
    """A server of one object whose connection breaks after half of it."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        for name, value in {"Content-Length": "100", "ETag": '"a"'}.items():
            self.send_header(name, value)
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(b" " * 50)

    def log_message(self, *_: object) -> None:
        pass


def test_a_download_that_breaks_off_is_named(configured: pytest.MonkeyPatch) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Truncating)
    Thread(target=server.serve_forever, daemon=True).start()
    configured.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    shown = error("inspect", "s3://data/in/val.json")
    server.shutdown()
    server.server_close()
    assert "s3://data/in/val.json: store: expected a connection that works, found " in shown
    assert "received 50 of 100 bytes" in shown


def test_files_of_a_prefix_are_listed_once_with_sizes(bucket: Bucket) -> None:
    for name, size in {"b.json": 2, "a.json": 1, "c.txt": 3, "deeper/d.json": 4, ".hidden.json": 5}.items():
        bucket.files.pipe_file(f"data/run/{name}", b"x" * size)
    found = listed("s3://data/run/", [".json"])
    assert [(one.location, one.size) for one in found] == [("s3://data/run/a.json", 1), ("s3://data/run/b.json", 2)]
    assert [one.name for one in listed("s3://data/run/?.*")] == ["a.json", "b.json", "c.txt"]
    bucket.files.pipe_file("data/run/[1].json", b"x")
    assert [one.location for one in listed("s3://data/run/[1].json")] == ["s3://data/run/[1].json"]
    with pytest.raises(InputError, match=r"s3://data/run: location: expected files that end in \.csv, found none"):
        listed("s3://data/run", [".csv"])
    with pytest.raises(InputError, match=r"s3://data/run/\*\.csv: location: expected files, found none"):
        listed("s3://data/run/*.csv")


def test_a_key_that_leads_out_of_the_folder_for_copies_is_refused(bucket: Bucket) -> None:
    client = boto3.client("s3", endpoint_url=bucket.endpoint)
    client.put_object(Bucket="data", Key="in/logits/../../../a.npz", Body=b"x")
    with pytest.raises(longtail_cli.LtcalError, match="expected a key that is a path"):
        listed("s3://data/logits/..")


def test_the_files_of_parts_appear_together(bucket: Bucket) -> None:
    with new_parts_folder("s3://data/parts") as folder:
        for number in range(2):
            with folder.part(f"{number}.json") as path:
                path.write_text(str(number))
        assert all(name.startswith("parts/.ltcal-") for name in bucket.names())
    assert bucket.names() == {"parts/0.json", "parts/1.json"}
    with (
        pytest.raises(OutputError, match="s3://data/parts: folder: expected a new one"),
        new_parts_folder("s3://data/parts"),
    ):
        pass


def _write_part(folder: PartsFolder) -> None:
    """Write a file, then fail."""
    with folder.part("0.json") as path:
        path.write_text("0")
    raise ZeroDivisionError


def test_the_files_of_parts_vanish_with_a_failure(bucket: Bucket) -> None:
    with pytest.raises(ZeroDivisionError), new_parts_folder("s3://data/parts") as folder:
        _write_part(folder)
    assert bucket.names() == set()
