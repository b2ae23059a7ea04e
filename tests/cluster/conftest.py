"""Clusters and stores of this machine for the tests, with secrets of their own."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gcsfs
import pytest
import s3fs
from cluster_nodes import NODE, running_cluster
from fsspec import AbstractFileSystem
from gcp_storage_emulator.server import create_server
from moto.server import ThreadedMotoServer
from s3_bucket import KEYS, SCENES, Bucket

TESTS = Path(__file__).parents[1]

# before Ray is imported, which reads them once
os.environ |= {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_USAGE_STATS_ENABLED": "0",
    "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")]),
}
os.environ.pop("RAY_ADDRESS", None)
os.environ.pop("OMP_NUM_THREADS", None)  # Ray sets it for its workers
pytest.importorskip("ray")


def pytest_configure(config: pytest.Config) -> None:
    """Ray's own warnings are no errors, such as those of processes that it does not wait for."""
    config.addinivalue_line("filterwarnings", "ignore")


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder for Ray's sockets, whose names have at most 107 letters."""
    folder = Path(tempfile.mkdtemp(prefix="t", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def _tests_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TESTS))
    assert sys.path[0] == str(TESTS)


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with the bucket ``data``, and no configuration but that of the tests."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    empty = tmp_path_factory.mktemp("aws")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            patch.setenv(name, str(empty / name))
        patch.delenv("AWS_PROFILE", raising=False)
        for name, value in {**KEYS, "AWS_ENDPOINT_URL": address, "AWS_EC2_METADATA_DISABLED": "true"}.items():
            patch.setenv(name, value)
        files = s3fs.S3FileSystem(use_listings_cache=False)
        files.mkdir("data")
        put_inputs(files)
        yield address
    server.stop()


@pytest.fixture(scope="session")
def gs_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of Google Cloud Storage with the bucket ``data``, which asks for no credentials, and none on this side.

    It keeps permissions and does not enforce them.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, empty = f"http://127.0.0.1:{port}", str(tmp_path_factory.mktemp("gcloud"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("http.server.HTTPServer.handle_error", lambda *_: None)  # prints that a client hung up
        patch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        for name, value in {"STORAGE_EMULATOR_HOST": address, "CLOUDSDK_CONFIG": empty, "NO_GCE_CHECK": "true"}.items():
            patch.setenv(name, value)
        with create_server("127.0.0.1", port, in_memory=True, default_bucket="data"):
            put_inputs(gcsfs.GCSFileSystem(use_listings_cache=False))
            yield address


def put_inputs(files: AbstractFileSystem) -> None:
    for name in ("predictions.json", "train.json", "val.json"):
        files.put_file(str(SCENES / name), f"data/in/{name}")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A working folder, and one for temporary files that must be empty again."""
    monkeypatch.chdir(tmp_path)
    Path("tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    yield
    assert list(Path("tmp").iterdir()) == []


@pytest.fixture
def bucket(endpoint: str) -> Iterator[Bucket]:
    """The bucket of S3, with the inputs alone."""
    own = Bucket(s3fs.S3FileSystem(use_listings_cache=False), endpoint)
    yield own
    remove_outputs(own)


@pytest.fixture
def gs_bucket(gs_endpoint: str) -> Iterator[Bucket]:
    """The bucket of Google Cloud Storage, with the inputs alone."""
    own = Bucket(gcsfs.GCSFileSystem(use_listings_cache=False), gs_endpoint, "gs://data")
    yield own
    remove_outputs(own)


@pytest.fixture(params=["bucket", "gs_bucket"], ids=["s3", "gs"])
def store(request: pytest.FixtureRequest) -> Bucket:
    """The bucket of each store in turn."""
    bucket: Bucket = request.getfixturevalue(request.param)
    return bucket


def remove_outputs(bucket: Bucket) -> None:
    for name in bucket.names():
        bucket.files.rm_file(f"data/{name}")


@pytest.fixture
def configured(endpoint: str) -> Iterator[pytest.MonkeyPatch]:
    """Changes the configuration of the store, which s3fs reads once."""
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.MonkeyPatch.context() as patch:
        yield patch
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="session")
def nodes(endpoint: str) -> Iterator[Any]:
    """Two nodes that are configured for the store. The first states a GPU, and serves Ray clients if gRPC is there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    clients = {"ray_client_server_port": port} if find_spec("grpc") else {}
    with running_cluster(num_gpus=1, **clients) as cluster:
        cluster.add_node(**NODE)
        cluster.client_address = f"ray://127.0.0.1:{port}"
        yield cluster
