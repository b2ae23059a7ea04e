"""Small Ray clusters of this machine."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

NODE = {"num_cpus": 1, "object_store_memory": 100 << 20}


@contextmanager
def running_cluster(**head: Any) -> Iterator[Any]:
    """A cluster with one node; more can be added. Its folder is short, as Ray's sockets are in it."""
    from ray.cluster_utils import Cluster

    folder = tempfile.mkdtemp(prefix="t", dir="/tmp")
    arguments = {**NODE, "include_dashboard": False, "temp_dir": folder, **head}
    cluster = Cluster(initialize_head=True, head_node_args=arguments)
    try:
        yield cluster
    finally:
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
