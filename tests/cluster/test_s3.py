"""URLs of S3 as inputs and outputs, on moto's server on this machine."""

from __future__ import annotations

import json
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import boto3
import numpy as np
import pytest
from moto import settings
from s3_bucket import KEYS, SCENES, Bucket, error, output, policy

import longtail_cli
from longtail_cli.errors import InputError
from longtail_cli.files.output import outputs_of
from longtail_cli.files.stores import listed
from longtail_cli.files.stores.mirror import Mirror
from longtail_cli.files.urls import parse_url

pytestmark = pytest.mark.usefixtures("folder")


def test_results_are_those_of_files_of_this_machine(bucket: Bucket) -> None:
    options = ("--max-dets", "20", "--tide", "off", "--metrics-json")
    output("report", "s3://data/in/predictions.json", "--annotations", "s3://data/in/val.json", *options,
           "s3://data/metrics.json")  # fmt: skip
    output("report", SCENES / "predictions.json", "--annotations", SCENES / "val.json", *options, "metrics.json")
    assert bucket.text("metrics.json") == Path("metrics.json").read_text()


def test_a_baseline_is_read_with_the_resamples_beside_it(bucket: Bucket) -> None:
    words = ("report", "s3://data/in/predictions.json", "--annotations", "s3://data/in/val.json", "--max-dets", "20",
             "--tide", "off")  # fmt: skip
    output(*words, "--bootstrap", "--resamples", "20", "--json", "s3://data/main.json")
    done = output(*words, "--baseline", "s3://data/main.json", "--max-drop", "bbox/AP=0.01", "--gate-on", "interval")
    assert "passed" in done.output


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


def test_a_key_that_leads_out_of_the_folder_for_copies_is_refused(bucket: Bucket) -> None:
    client = boto3.client("s3", endpoint_url=bucket.endpoint)
    client.put_object(Bucket="data", Key="in/logits/../../../a.npz", Body=b"x")
    with pytest.raises(longtail_cli.LtcalError, match="expected a key that is a path"):
        listed("s3://data/logits/..")
