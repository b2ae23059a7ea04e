"""Workers and nodes that are lost, nodes with other versions, and drivers that are interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import pytest
from cluster_nodes import NODE, running_cluster
from cluster_work import KilledAt, MakeRows, Slow, SortRows, parts_of

from longtail_cli.errors import UsageError
from longtail_cli.execution.ray.cluster import connected
from longtail_cli.execution.ray.tasks import RayExecution
from longtail_cli.execution.spilled import Spilled
from longtail_cli.workflow.progress import no_progress

PARTS = 4


def expected() -> list[tuple[int, dict[str, list[float]]]]:
    with Spilled().mapped(MakeRows(), parts_of(PARTS), "matching", no_progress) as mapped:
        return list(mapped.reduced(SortRows(), no_progress))


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_a_killed_worker_and_a_lost_node_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_cluster() as cluster:
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        other = cluster.add_node(**NODE)
        with connected("auto", None) as execution:
            check_killed_worker(execution, tmp_path)
            check_part_that_kills(execution)
            check_lost_node(execution, tmp_path / "began", lambda: cluster.remove_node(other, allow_graceful=False))


def check_killed_worker(execution: RayExecution, folder: Path) -> None:
    with execution.mapped(KilledAt(3, folder / "killed"), parts_of(PARTS), "matching", no_progress) as mapped:
        assert list(mapped.reduced(SortRows(), no_progress)) == expected()
    assert (folder / "killed").exists()


def check_part_that_kills(execution: RayExecution) -> None:
    with (
        pytest.raises(UsageError, match=r"shard 3: expected a worker that lives until its part is done"),
        execution.mapped(KilledAt(3), parts_of(PARTS), "matching", no_progress),
    ):
        pass


def check_lost_node(execution: RayExecution, began: Path, lose: Callable[[], None]) -> None:
    began.mkdir()

    def lose_later() -> None:
        wait_for(lambda: len(list(began.iterdir())) >= 3)
        lose()

    losing = Thread(target=lose_later)
    losing.start()
    with execution.mapped(Slow(began, 0.5), parts_of(PARTS), "matching", no_progress) as mapped:
        losing.join()
        assert mapped.found == tuple(range(PARTS))
        assert list(mapped.reduced(SortRows(), no_progress)) == expected()


def test_a_cluster_without_processors_waits_for_nodes(
    short_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that joins with other versions is refused, as it would have been at the beginning."""
    with running_cluster(num_cpus=0) as cluster:
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        monkeypatch.chdir(tmp_path)
        with connected("auto", None) as execution:
            check_no_node(execution)
            check_late_node(execution, lambda: cluster.add_node(**NODE))
            with monkeypatch.context() as there:
                there.setenv("PYTHONPATH", str(short_folder))
                (short_folder / "longtail_cli").mkdir()
                (short_folder / "longtail_cli/__init__.py").write_text('__version__ = "0.0.1"')
                cluster.add_node(**NODE)
            with (
                pytest.raises(UsageError, match=r"node .*: expected ltcal \S+, found 0\.0\.1\nFix: use the same"),
                execution.mapped(Slow(tmp_path, 0.1), parts_of(PARTS), "matching", no_progress),
            ):
                pass


def check_no_node(execution: RayExecution) -> None:
    message = r"Ray: nodes: expected a node with a processor within 0 minutes, found none"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("longtail_cli.execution.ray.watch.PATIENCE", 1.0)
        mapped = execution.mapped(MakeRows(), parts_of(PARTS), "matching", no_progress)
        with pytest.raises(UsageError, match=message), mapped:
            pass


def check_late_node(execution: RayExecution, join: Callable[[], object]) -> None:
    seen: list[str] = []

    def progress(task: str, share: float | None) -> None:
        if task == "waiting for nodes" and task not in seen:
            join()
        seen.append(task)

    with execution.mapped(MakeRows(), parts_of(PARTS), "matching", progress) as mapped:
        assert list(mapped.reduced(SortRows(), progress)) == expected()
    assert "waiting for nodes" in seen


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize(
    ("module", "found", "fix"),
    [
        ('__version__ = "0.0.1"', r"expected ltcal \S+, found 0.0.1", "use the same versions on all machines"),
        ('raise ImportError("none")', r"expected ltcal \S+, found none", "install it on every node: pip install"),
    ],
    ids=["older", "absent"],
)
def test_nodes_with_other_versions_are_refused(
    opened: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, found: str, fix: str
) -> None:
    (tmp_path / "longtail_cli").mkdir()
    (tmp_path / "longtail_cli/__init__.py").write_text(module)
    monkeypatch.chdir(tmp_path)  # as workers look for modules where the driver is
    with monkeypatch.context() as there:
        there.setenv("PYTHONPATH", str(tmp_path))
        nodes = opened.enter_context(running_cluster())
    monkeypatch.setenv("RAY_ADDRESS", nodes.address)
    with pytest.raises(UsageError, match=f"node .*: {found}\nFix: {fix}"), connected("auto", None):
        pass


@pytest.fixture
def driver(short_folder: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that works on slow parts on a cluster of its own, and writes a file at the end."""
    program = f"""
import signal
from contextlib import ExitStack
from pathlib import Path
from cluster_work import Slow, parts_of
from longtail_cli.cli import signals
from longtail_cli.execution.ray.cluster import connected
signals.handle()
with connected("ray", None) as execution:
    with execution.mapped(Slow(Path({str(tmp_path)!r}), 60), parts_of(8), "matching", lambda *_: None):
        Path({str(tmp_path / "out")!r}).touch()
"""
    environment = {**os.environ, "TMPDIR": str(short_folder)}
    process = subprocess.Popen([sys.executable, "-c", program], env=environment, text=True, stderr=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda one: one.name)
def test_an_interrupted_driver_leaves_no_process_and_no_output(
    driver: subprocess.Popen[str], number: signal.Signals, short_folder: Path, tmp_path: Path
) -> None:
    wait_for(lambda: (tmp_path / "0").exists())
    assert processes_of(short_folder)
    driver.send_signal(number)
    _, errors = driver.communicate(timeout=30)
    assert driver.returncode != 0
    if number != signal.SIGKILL:
        assert "KeyboardInterrupt" in errors.splitlines()[-1]
        assert not list(short_folder.iterdir())
    wait_for(lambda: not processes_of(short_folder), 30)
    assert not (tmp_path / "out").exists()


_AGENTS = (b"ray::DashboardAgent", b"ray::RuntimeEnvAgent", b"dashboard/agent.py", b"runtime_env/agent/main.py")


def processes_of(folder: Path) -> list[int]:
    """Those of the cluster whose sockets are in a folder, which is among their arguments or in their environment.

    Ray's agents do not count: killed while they start, they end by themselves, but only after a minute.
    """
    name, found = os.fsencode(folder), []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_bytes()
            words = arguments + (process / "environ").read_bytes()
            state = (process / "stat").read_bytes().rpartition(b")")[2].split()[0]
        except OSError:
            continue
        is_agent = any(one.strip().endswith(_AGENTS) for one in arguments.split(b"\0")[:3])
        if name in words and state != b"Z" and not is_agent:
            found.append(int(process.name))
    return found
