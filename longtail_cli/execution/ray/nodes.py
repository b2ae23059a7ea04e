"""What the nodes of a cluster have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from longtail_cli.errors import Problem, UsageError

Versions = Mapping[str, str | None]
"""By name; None for what is not installed."""

PATIENCE = 60.0
"""Seconds that a node may take to start a process."""


def check_versions(engine: str, known: Collection[str] = ()) -> frozenset[str]:
    """Raise UsageError unless every node has this version of ltcal, and Python, NumPy and pyarrow that fit.

    known: ids of nodes that do. Returns the ids of all nodes that there are.

    Objects travel between processes as pickles and Arrow tables, and results must not depend on where they are made.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    present = {node["NodeID"]: node for node in alive()}
    joined = [node for name, node in present.items() if name not in known]
    if not joined:
        return frozenset(present)
    look = _looking()
    expected = look()
    task, running = ray.remote(look), {}
    for node in joined:
        there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        running[task.options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote()] = _name(node)
    done, late = ray.wait(list(running), num_returns=len(running), timeout=PATIENCE)
    problems = [Problem(f"node {running[ref]}", f"an answer within {PATIENCE:.0f} s", "none") for ref in late]
    if problems:
        raise UsageError(f"`engine={engine!r}`", problems, "restart Ray on these nodes")
    absent = False
    for ref in done:
        try:
            found = ray.get(ref)
        except ray.exceptions.NodeDiedError:  # it will get no work either
            continue
        absent = absent or found["ltcal"] is None
        problems += [
            Problem(f"node {running[ref]}", f"{name} {expected[name]}", version or "none")
            for name, version in found.items()
            if _significant(name, version) != _significant(name, expected[name])
        ]
    if problems:
        install = f"pip install 'ltcal[ray]=={expected['ltcal']}'"
        fix = f"install it on every node: {install}" if absent else f"use the same versions on all machines: {install}"
        raise UsageError(f"`engine={engine!r}`", problems, fix)
    return frozenset(present)


def check_memory(memory: int | None) -> None:
    """Raise UsageError if no node has so many bytes for a worker: its tasks would wait for ever."""
    largest = max((node["Resources"].get("memory", 0.0) for node in alive()), default=0.0)
    if memory is not None and memory > largest:
        problem = Problem("value", f"at most the {_gigabytes(largest)} of the largest node", _gigabytes(memory))
        raise UsageError("`memory=`", [problem], "lower it, or use larger machines")


def has_gpus() -> bool:
    """Whether the cluster has at least one GPU."""
    return any(node["Resources"].get("GPU", 0.0) >= 1 for node in alive())


def can_run(needs: Mapping[str, Any]) -> bool:
    """Whether a node has what a task asks of Ray, if nothing else ran on it."""
    wanted = {"CPU": needs["num_cpus"], "GPU": needs.get("num_gpus"), "memory": needs["memory"]}
    return any(
        all(node["Resources"].get(name, 0.0) >= (amount or 0) for name, amount in wanted.items()) for node in alive()
    )


def processors() -> int:
    """The processors of all nodes, at least 1."""
    return max(1, int(sum(node["Resources"].get("CPU", 0.0) for node in alive())))


def alive() -> list[dict[str, Any]]:
    """What Ray knows of each node."""
    import ray

    return [node for node in ray.nodes() if node["Alive"]]


def _name(node: Mapping[str, Any]) -> str:
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def _looking() -> Callable[[], Versions]:
    """A function that tells the versions of where it runs.

    Ray sends functions of a module by name, which fails where ltcal is not installed; it sends local ones as they are.
    """

    def look() -> Versions:
        import platform
        from importlib.metadata import PackageNotFoundError, version

        found: dict[str, str | None] = {"ltcal": None, "Python": platform.python_version()}
        try:
            import longtail_cli

            found["ltcal"] = longtail_cli.__version__
        except ImportError:
            pass
        for package in ("numpy", "pyarrow"):
            try:
                found[package] = version(package)
            except PackageNotFoundError:
                found[package] = None
        return found

    return look


def _significant(name: str, version: str | None) -> object:
    """What has to agree of a version: all of ltcal's, the first two numbers of Python's, the first of others'."""
    if version is None or name == "ltcal":
        return version
    return version.split(".")[: 2 if name == "Python" else 1]


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"
