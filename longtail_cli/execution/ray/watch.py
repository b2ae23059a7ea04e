"""Waiting for tasks on a cluster whose nodes come and go."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from longtail_cli.errors import Problem, UsageError
from longtail_cli.execution.base import Progress
from longtail_cli.execution.ray import nodes

Ref = Any
"""A `ray.ObjectRef`, or its like of a Ray client."""

PATIENCE = 600.0
"""Seconds that a cluster may be without a node that can run a task: machines take minutes to start."""

_LOOK = 2.0  # seconds between looks at the nodes


@dataclass(slots=True)
class Watch:
    """Looks at the nodes while tasks run: those that join, and whether there are any left."""

    engine: str
    known: set[str] = field(default_factory=set)
    """The ids of nodes with the versions of this process."""

    def check_versions(self) -> None:
        """Raise UsageError if a node that has joined since the last look has other versions."""
        self.known |= nodes.check_versions(self.engine, self.known)

    def first(self, running: Sequence[Ref], needs: Mapping[str, Any], progress: Progress) -> list[Ref]:
        """Those that are done, at least one. needs: what one of them asks of Ray.

        Raises UsageError if for a long time no node can run one, or if a node has joined that has other versions.
        """
        import ray

        since: float | None = None
        while True:
            done, _ = ray.wait(list(running), num_returns=1, timeout=_LOOK)
            self.check_versions()
            if done:
                return list(done)
            if not nodes.can_run(needs):
                since = since or time.monotonic()
                if time.monotonic() - since > PATIENCE:
                    raise _deserted(needs)
                progress("waiting for nodes", None)
            elif since:
                since = None
                progress("running on new nodes", None)

    @contextmanager
    def raised_in(self, name: str) -> Iterator[None]:
        """Raise what a task raised as it was, and UsageError for one that is lost. name: what was worked on."""
        import ray

        try:
            yield
        except ray.exceptions.RayTaskError as error:
            self.check_versions()  # which may be why it failed
            raise error.cause from error
        except ray.exceptions.RayError as error:
            self.check_versions()
            raise _lost(name, error) from error


def _lost(name: str, error: Exception) -> UsageError:
    """The error of a part whose workers did not live to its end."""
    problem = Problem(name, "a worker that lives until its part is done", f"{type(error).__name__}: {error}")
    fix = "state with `memory=` what a worker may use, so that no more of them share a node; see Ray's logs of the node"
    return UsageError("Ray", [problem], fix)


def _deserted(needs: Mapping[str, Any]) -> UsageError:
    wanted = ["a processor"]
    if needs.get("num_gpus"):
        wanted.append("a GPU")
    if needs.get("memory"):
        wanted.append(f"{needs['memory'] / 1e9:,.1f} GB")
    expected = f"a node with {' and '.join(wanted)} within {PATIENCE / 60:.0f} minutes"
    return UsageError("Ray", [Problem("nodes", expected, "none")], "add nodes to the cluster; `ray status` shows them")
