"""What Google Cloud Storage answers in words of its own. The emulator asks for no credentials and refuses nothing, so a
server that does is played here; the answers are those of the JSON API.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import gcsfs
import pytest
from s3_bucket import SCENES, Bucket, error

pytestmark = pytest.mark.usefixtures("folder")

DENIED = "worker@project.iam.gserviceaccount.com does not have storage.objects.get access"
ANONYMOUS = "Anonymous caller does not have storage.objects.get access"


@contextmanager
def answering(status: int, message: str) -> Iterator[None]:
    """The store answers every request with an error."""

    class Refusing(BaseHTTPRequestHandler):
        def answer(self) -> None:
            answer = json.dumps({"error": {"code": status, "message": message}}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    Thread(target=server.serve_forever, daemon=True).start()
    gcsfs.GCSFileSystem.clear_instance_cache()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server.server_port}")
        yield
    gcsfs.GCSFileSystem.clear_instance_cache()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "message", "expected", "fix"),
    [
        (403, DENIED, "permission for this", "check that the credentials in use allow this"),
        (401, ANONYMOUS, "credentials", "run `gcloud auth application-default login`"),
        (400, "User project specified in the request is invalid.", "an answer that can be used", "check the URL"),
    ],
)
def test_a_refusal_is_named(gs_bucket: Bucket, status: int, message: str, expected: str, fix: str) -> None:
    with answering(status, message):
        shown = error("report", SCENES / "predictions.json", "--annotations", "gs://data/in/val.json")
    assert shown.startswith(f"Error: gs://data/in/val.json: store: expected {expected}, found ")
    assert message in shown
    assert fix in shown
    assert "Traceback" not in shown


def test_a_bucket_that_may_not_be_looked_at_is_written_to(gs_bucket: Bucket) -> None:
    """A role that creates objects alone: the upload decides, after the work."""
    with answering(403, DENIED):
        shown = error("rescore", SCENES / "predictions.json", "--method", "none", "-o", "gs://data/out.json")
    assert "Error: gs://data/out.json: store: expected permission for this, found " in shown


def test_nothing_that_the_library_logs_is_printed(gs_bucket: Bucket) -> None:
    command = [sys.executable, "-m", "longtail_cli.cli", "inspect", "gs://data/in/val.json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "gs://data/in/val.json" in done.stdout
