"""What Python objects hold of a classifier: an array, a tuple, a dict, or a list of batches of any of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.label_names import LABEL_NAMES, ROW_NAMES
from longtail_cli.files.logits.query_batches import query_arrays
from longtail_cli.files.reading import reading

Array = npt.NDArray[Any]

EXPECTED = "an array, (logits, labels), a dict of arrays, or a list of batches of these"
FIX = 'save a dict of arrays: {"logits": [N, C], "labels": [N]}'

_FIRST, _SECOND = "arr_0", "arr_1"
_SPLITS = ("val", "test")


@dataclass(frozen=True, slots=True)
class Contents:
    """Arrays by the names that they are saved under."""

    arrays: Mapping[str, Array]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """As in a logits file; also `row_names`, N file names."""


def contents_of(value: object, source: str) -> Contents:
    """The arrays in a value that was unpickled.

    - an array is ``arr_0``, and two of the same number of rows are ``arr_0`` and ``arr_1``, logits and labels;
    - a dict has arrays by name, lists of batches, and dicts of arrays, ``{"val": {"logits": ...}}`` as ``val_logits``;
    - a list has batches, or one entry for each row, as MMPretrain's ``--out`` has (open-mmlab/mmpretrain, tools/test.py
      and mmpretrain/structures/data_sample.py: `pred_score` [C], `gt_label` [1], `img_path`);
    - a tuple of two pairs has the validation and the test split, as the files of markus93/NN_calibration
      (scripts/utility/unpickle_probs.py): ``val_logits``, ``val_labels``, ``test_logits``, ``test_labels``;
    - three values, the last a dict, are `predictions`, `label_ids` and `metrics` of Hugging Face's `Trainer.predict`.

    Raises InputError for anything else.
    """
    queries = query_arrays(value, source)
    if queries is not None:
        return Contents(queries)
    with reading(source, EXPECTED, FIX):
        found = _contents(value)
    if found is None or not found.arrays:
        raise InputError(source, [Problem("content", EXPECTED, _described(value))], FIX)
    return found


def _contents(value: object) -> Contents | None:
    array = _array(value)
    if array is not None:
        return Contents({_FIRST: array})
    if isinstance(value, Mapping):
        return _of_dict(value)
    if not isinstance(value, list | tuple) or not value:
        return None
    if isinstance(value, tuple) and len(value) == 3 and isinstance(value[2], Mapping):
        return _of_dict({"predictions": value[0], "label_ids": value[1]})
    if all(isinstance(one, Mapping) for one in value):
        return _of_entries(value)
    if isinstance(value, tuple) and len(value) == 2 and all(_is_pair(one) for one in value):
        pairs = (dict(zip(_LABELLED, pair, strict=True)) for pair in value)
        return _of_dict(dict(zip(_SPLITS, pairs, strict=True)))
    if _is_pair(value):
        return _of_dict({_FIRST: value[0], _SECOND: value[1]})
    if all(_is_pair(one) for one in value):
        first, second = zip(*value, strict=True)
        return _of_dict({_FIRST: list(first), _SECOND: list(second)})
    joined = _joined(value)
    return None if joined is None else Contents({_FIRST: joined})


_LABELLED = ("logits", "labels")


def _is_pair(value: object) -> bool:
    """Whether it is logits and as many labels: [n, C] or [C], and [n], [n, 1] or one number; or batches of each."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    rows, labels = map(_joined, value)
    if rows is None or labels is None:
        return False
    if rows.ndim == 2:
        return labels.ndim <= 2 and labels.shape[:1] == rows.shape[:1] and _narrow(labels) and not _narrow(rows)
    return rows.ndim == 1 and labels.ndim == 0


def _narrow(array: Array) -> bool:
    """Whether there is one number for each row."""
    return array.ndim == 1 or array.shape[1] == 1


def _of_dict(value: Mapping[Any, Any]) -> Contents:
    """Arrays, lists of batches and dicts of arrays; other values are left out."""
    arrays: dict[str, Array] = {}
    metadata: Mapping[str, Any] = {}
    for name, one in value.items():
        if not isinstance(name, str):
            continue
        if name == "metadata" and isinstance(one, Mapping):
            metadata = one
        elif isinstance(one, Mapping):
            arrays |= {f"{name}_{inner}": array for inner, array in _of_dict(one).arrays.items()}
        else:
            array = _joined(one)
            if array is not None and array.ndim:
                arrays[name] = array
    return Contents(arrays, metadata)


def _of_entries(entries: Sequence[Mapping[Any, Any]]) -> Contents:
    """Batches, or rows, as dicts; names that not all of them have are left out."""
    names = [name for name in entries[0] if isinstance(name, str) and all(name in one for one in entries)]
    arrays: dict[str, Array] = {}
    for name in names:
        array = _joined([one[name] for one in entries])
        if array is not None and (array.ndim > 1 or name in LABEL_NAMES or len(array) == len(entries)):
            arrays[name] = array
    texts = next((name for name in names if name in ROW_NAMES), None)
    if texts is None or not all(isinstance(one[texts], str) for one in entries):
        return Contents(arrays)
    return Contents(arrays, {"row_names": tuple(one[texts] for one in entries)})


def _joined(value: object) -> Array | None:
    """An array, or a list of batches or of rows as one; None for anything else, and for rows of several lengths.

    Rows [C] become [N, C], single numbers [N], batches [n, ...] are appended to each other.
    """
    array = _array(value)
    if array is not None or not isinstance(value, list | tuple) or not value:
        return array
    if all(isinstance(one, int | float) for one in value):
        return np.asarray(value)
    parts = [_joined(one) for one in value]
    if any(part is None for part in parts):
        return None
    return _appended([part for part in parts if part is not None])


def _appended(parts: list[Array]) -> Array | None:
    axes = {part.ndim for part in parts}
    rows = max(axes) == 1 and len({part.shape for part in parts}) == 1 and len(parts[0]) > 1
    if axes == {0} or rows:
        return np.stack(parts)
    if len(axes) > 1 or len({part.shape[1:] for part in parts}) > 1:
        return None
    return np.concatenate(parts)


def _array(value: object) -> Array | None:
    """An array of numbers, or a number."""
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        return array if array.dtype.kind in "biuf" else None
    return np.asarray(value) if isinstance(value, int | float) else None


def _described(value: object) -> str:
    """The kind of a value, for a message, with the names in a dict or the kinds in a list."""
    if isinstance(value, Mapping):
        return f"a dict with {', '.join(ascii(name)[:30] for name in list(value)[:6]) or 'nothing'}"
    if isinstance(value, list | tuple):
        kinds = dict.fromkeys(type(one).__name__ for one in value[:1000])
        return f"a {type(value).__name__} of {len(value)}: {', '.join(list(kinds)[:6]) or 'nothing'}"
    return f"a {type(value).__name__}"
