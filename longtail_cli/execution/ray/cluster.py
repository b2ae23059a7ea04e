"""Connections to Ray clusters: one of this machine for as long as a command runs, or one that is there already."""

from __future__ import annotations

import logging
import os
import signal
import socket
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from longtail_cli.errors import Problem, UsageError, require
from longtail_cli.execution.ray.shuffle import shuffling
from longtail_cli.execution.ray.tasks import RayExecution
from longtail_cli.execution.ray.watch import Watch

PATIENCE = 3.0
"""Seconds that a cluster may take to accept a connection."""

_LONGEST_FOLDER = 20  # letters: Ray's sockets are in it, and the names of sockets have at most 107


@contextmanager
def connected(engine: str, memory: int | None) -> Iterator[RayExecution]:
    """A cluster that can run work; a local one is stopped at the end of the block, other ones are left as they were.

    engine: ``ray`` (a cluster of this machine alone, which others cannot use), ``auto`` (the one this machine belongs
        to, or that this process is connected to), or ``ray://HOST:PORT``.
    memory: bytes that a worker may use; None for no bound.

    Raises MissingExtraError without Ray, and UsageError if the cluster cannot be reached, if the connection of a Ray
    client breaks, if the versions on a node differ from those here, or if no node has so much memory.
    """
    require("ray", "clusters", "ray")
    import ray

    from longtail_cli.execution.ray import nodes

    if ray.is_initialized():
        if engine != "auto":
            problem = Problem("this process", "not connected to a Ray cluster", "connected to one already")
            raise UsageError(f"`engine={engine!r}`", [problem], "choose `engine='auto'`, which uses that cluster")
        connection = _as_it_is()
    elif engine == "ray":
        connection = _local_cluster()
    else:
        connection = _existing_cluster(engine)
    with _environment({"RAY_IGNORE_UNHANDLED_ERRORS": "1"}), connection:  # it would print those of cancelled tasks
        watch = Watch(engine, {node["NodeID"] for node in nodes.alive()} if engine == "ray" else set())
        watch.check_versions()
        nodes.check_memory(memory)
        try:
            with shuffling() as shuffle:
                yield RayExecution(shuffle, watch, memory)
        except ConnectionError as error:
            if ray.is_initialized():
                raise
            problem = Problem("cluster", "a connection that lasts", str(error))
            raise UsageError(f"`engine={engine!r}`", [problem], "check that its head runs, and try again") from error


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


@contextmanager
def _local_cluster() -> Iterator[None]:
    """A cluster of all processors of this machine, which reports nothing to Ray's makers."""
    import ray

    short = tempfile.gettempdir() if len(tempfile.gettempdir()) <= _LONGEST_FOLDER else "/tmp"
    with (
        _environment({"RAY_USAGE_STATS_ENABLED": "0"}),
        tempfile.TemporaryDirectory(prefix="ltcal-", dir=short, ignore_cleanup_errors=True) as folder,
    ):
        try:
            with _quiet():
                ray.init(
                    address="local",
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    _temp_dir=folder,
                )
            yield
        finally:
            ray.shutdown()


@contextmanager
def _existing_cluster(engine: str) -> Iterator[None]:
    """Raises UsageError if it cannot be reached, or has another version of Python or Ray."""
    import ray

    address = _own_address() if engine == "auto" else engine
    if address.startswith("ray://"):
        require("grpc", "clusters of other machines", "ray")
    if address != "auto":
        _check_reachable(engine, address)
    try:
        try:
            with _quiet():
                ray.init(address=engine, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ray.exceptions.RayError, ValueError) as error:
            alone = engine == "auto" and address == "auto" and isinstance(error, ConnectionError)
            found = "none on this machine, and no RAY_ADDRESS of another" if alone else str(error)
            raise _unreachable(engine, found) from error
        except RuntimeError as error:  # its versions of Ray and Python, which it checks itself
            problem = Problem("versions", "those of this process", str(error))
            fix = "use the same Python and Ray on all machines"
            raise UsageError(f"`engine={engine!r}`", [problem], fix) from error
        yield
    finally:
        ray.shutdown()


def _own_address() -> str:
    """The address that ``auto`` stands for; ``auto`` if only Ray can find it."""
    noted = Path(os.environ.get("RAY_TMPDIR", "/tmp")) / "ray" / "ray_current_cluster"  # by the last `ray start`
    return os.environ.get("RAY_ADDRESS") or (noted.read_text().strip() if noted.is_file() else "auto")


def _check_reachable(engine: str, address: str) -> None:
    """Raise UsageError unless something answers at the address, as Ray itself tries for half a minute."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        host, port = parts.hostname, parts.port
        with socket.create_connection((host or "", port or 0), PATIENCE):
            return
    except (OSError, ValueError) as error:
        raise _unreachable(engine, f"{address}: {error}") from error


def _unreachable(engine: str, found: str) -> UsageError:
    fix = (
        "start Ray on this machine (ray start), or choose `engine='ray'` for a cluster of this machine alone"
        if engine == "auto"
        else "check host and port (10001 unless the cluster says otherwise), that the cluster runs, and, if it asks "
        "for a token, as newer versions of Ray do, that RAY_AUTH_MODE=token and RAY_AUTH_TOKEN are set here"
    )
    return UsageError(f"`engine={engine!r}`", [Problem("cluster", "one that answers", found)], fix)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without warnings, and with the handler of SIGTERM that was there, which `ray.init` replaces."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for this process and those that it starts."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
