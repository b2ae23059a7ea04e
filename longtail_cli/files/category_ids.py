"""The category id of each column of logits, in a file of its own."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.source import check_readable
from longtail_cli.tables import Longs

_FIX = "list the ids in column order, the background left out: a JSON list, or one id a line"


def read_category_ids(path: Path) -> Longs:
    """int64 [C], in the order of the file: a JSON list of integers, or text with one id a line.

    Raises InputError for anything else. That no id repeats is looked at where the logits are opened.
    """
    check_readable(path)
    content = path.read_bytes().strip()
    listed = content if content.startswith(b"[") else b"[" + b",".join(content.split()) + b"]"
    try:
        ids = msgspec.json.decode(listed, type=list[int])
        return np.array(ids, np.int64)
    except (msgspec.MsgspecError, OverflowError) as error:
        raise InputError(str(path), [Problem("content", "category ids, whole numbers", str(error))], _FIX) from error
