"""Class scores in a table, CSV or Parquet: one row for each image, and a column for each class or one of lists.

timm's `inference.py` (huggingface/pytorch-image-models) writes both with ``--topk 0``: `filename` and the lists `logit`
or `prob`, or with ``--results-separate-col`` the columns `logit_0` to `logit_{C-1}`. With another ``--topk`` a row has
the best classes only, in the order of their scores.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import lgamma, log
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from longtail_cli.errors import MAX_PROBLEMS, InputError, Problem
from longtail_cli.files.label_names import ROW_NAMES, known_names
from longtail_cli.files.logits.contents import Contents
from longtail_cli.files.logits.keys import NAMES
from longtail_cli.files.reading import check_parquet, reading
from longtail_cli.files.source import open_file

if TYPE_CHECKING:
    import pyarrow

_BESIDE = (*ROW_NAMES, "id", "image_id", "index", "split", "fold", "pred_label", "prediction", "pred_class")
"""Columns that belong to no class."""

_MAIN = (*NAMES["logits"], *NAMES["scores"])
_ROW_NUMBERS = re.compile(r"|__index_level_\d+__|Unnamed: \d+")
"""The columns in which pandas writes the index."""
_NUMBERED = re.compile(r"(.*?)_?(0|[1-9]\d{0,6})")
_LIST = re.compile(r"[\s\[\](),;]+")
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_SORTED_ROWS = 1000
_UNLIKELY = log(1e9)
_FIX_COLUMNS = "name the columns logit_0, logit_1, ..., or prob_0, prob_1, ... for probabilities, in class order"
_FIX_TOPK = "save the scores of all classes in class order; with timm's inference.py by --topk 0"
_FIX_LABELS = "write labels as class indices, 0, 1, 2, ..., or pass them by `labels=`"


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which columns of a table hold what."""

    content: str
    """What the scores are called: ``logit`` for ``logit_0``, and ``arr_0`` if the names do not say it."""
    classes: tuple[str, ...]
    """The columns in the order of the classes; or the only one, of lists."""
    lists: bool
    labels: str | None
    row_names: str | None
    class_names: tuple[str, ...] = ()
    """Empty if the columns are numbered."""
    category_ids: tuple[int, ...] = ()
    """Empty unless the columns are called by other numbers than 0 to C - 1."""

    @property
    def beside(self) -> tuple[str, ...]:
        return tuple(name for name in (self.labels, self.row_names) if name is not None)


def read_csv(path: Path, keys: Mapping[str, str]) -> Contents:
    """The class scores in a CSV file with a header, plain or ``.gz``, as float64 [N, C].

    keys: as for `naming_of`; the name of a numbered column is that without its number.
    Raises InputError if the columns are not those of the classes, or a cell is not a number.
    """
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    source = str(path)
    with closing(open_file(path)) as content, reading(source, "a CSV file", _FIX_COLUMNS):
        header = content.stream().readline(1 << 26).decode("utf-8-sig")
        names = next(csv.reader([header]), [])
    columns = _columns(names, keys, source, lists=None)
    types = {name: pa.string() if columns.lists else pa.float64() for name in columns.classes}
    types |= dict.fromkeys(columns.beside, pa.string())
    with closing(open_file(path)) as content, reading(source, "a CSV file", _FIX_COLUMNS, pa.ArrowException):
        table = arrow_csv.read_csv(
            content.stream(),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=columns.lists),
            convert_options=arrow_csv.ConvertOptions(column_types=types, include_columns=list(types)),
        )
    return _contents(table, columns, source)


def read_parquet(path: Path, keys: Mapping[str, str]) -> Contents:
    """The same for Parquet, in the type of its columns."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    source = str(path)
    with reading(source, "a whole Parquet file", _FIX_COLUMNS, pa.ArrowException), pq.ParquetFile(path) as file:
        check_parquet(file.metadata, source, path.stat().st_size)
        schema = file.schema_arrow
        lists = {one.name for one in schema if pa.types.is_list(one.type) or pa.types.is_large_list(one.type)}
        columns = _columns(schema.names, keys, source, lists)
        table = file.read([*columns.classes, *columns.beside])
    return _contents(table, columns, source)


def _columns(names: Sequence[str], keys: Mapping[str, str], source: str, lists: set[str] | None) -> _Columns:
    """What the columns called `names` hold. lists: those of lists; None if that is not known."""
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise _refused(source, "columns of different names", f"`{ascii(twice)[1:-1]}` twice")
    present = [name for name in names if not _ROW_NUMBERS.fullmatch(name)]
    numbered = _numbered(present)
    if {"index", "label"} & {*numbered, *(lists or ())}:
        raise InputError(source, [Problem("columns", "a score for each class", "the best classes alone")], _FIX_TOPK)
    labels = _label_column(present, keys, source)
    row_names = next((name for name in ROW_NAMES if name in present), None)
    stated = keys.get("logits", keys.get("scores"))
    main = [name for name in ([stated] if stated else _MAIN) if name in numbered or name in present]
    if len(main) > 1:
        fix = f"say which is meant: `keys='logits={main[0]}'` or `keys='scores={main[0]}'`"
        raise InputError(source, [Problem("columns", "logits or scores", " and ".join(main))], fix)
    if main and main[0] in numbered:
        return _Columns(main[0], numbered[main[0]], False, labels, row_names)
    if main and (lists is None or main[0] in lists):
        return _Columns(main[0], (main[0],), True, labels, row_names)
    if stated:
        raise _refused(source, f"`{ascii(stated)[1:-1]}_0`, ... or lists in `{ascii(stated)[1:-1]}`", _listed(present))
    if len(numbered) == 1:
        return _Columns("arr_0", next(iter(numbered.values())), False, labels, row_names)
    classes = tuple(name for name in present if name not in _BESIDE and name != labels)
    if any((match := _NUMBERED.fullmatch(name)) and match[1] in _MAIN for name in classes):
        raise _refused(source, "columns numbered from 0 on, without gaps", _listed(classes))
    if len(classes) < 2:
        raise _refused(source, "a column for each class", _listed(present))
    if all(_INTEGER.fullmatch(name) for name in classes):
        return _Columns("arr_0", classes, False, labels, row_names, category_ids=tuple(map(int, classes)))
    return _Columns("arr_0", classes, False, labels, row_names, class_names=classes)


def _numbered(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Columns called ``NAME_0`` to ``NAME_{C-1}``, or by these numbers alone, in order, by the name."""
    found: dict[str, dict[int, str]] = {}
    for name in names:
        match = _NUMBERED.fullmatch(name)
        if match:
            found.setdefault(match[1], {})[int(match[2])] = name
    whole = {name: of for name, of in found.items() if sorted(of) == list(range(len(of))) and len(of) > 1}
    return {name: tuple(of[number] for number in range(len(of))) for name, of in whole.items()}


def _label_column(names: Sequence[str], keys: Mapping[str, str], source: str) -> str | None:
    stated = keys.get("labels")
    if stated is not None and stated not in names:
        raise _refused(source, f"`{ascii(stated)[1:-1]}`, of labels", _listed(names))
    found = [stated] if stated else known_names(names)
    if len(found) > 1:
        fix = f"say which it is: `keys='labels={found[0]}'`"
        raise InputError(source, [Problem("columns", "one of labels", _listed(found))], fix)
    return found[0] if found else None


def _contents(table: pyarrow.Table, columns: _Columns, source: str) -> Contents:
    scores = _of_lists(table, columns.classes[0], source) if columns.lists else _side_by_side(table, columns, source)
    _check_order(scores, source)
    arrays = {columns.content: scores}
    metadata: dict[str, Any] = {}
    if columns.class_names:
        metadata["class_names"] = columns.class_names
    if columns.category_ids:
        metadata["category_ids"] = columns.category_ids
    if columns.labels is not None:
        arrays[columns.labels] = _labels(_values(table, columns.labels, source), columns, source)
    if columns.row_names is not None:
        metadata["row_names"] = tuple(map(str, _values(table, columns.row_names, source)))
    return Contents(arrays, metadata)


def _values(table: pyarrow.Table, name: str, source: str) -> list[Any]:
    with reading(source, f"text in `{name}`", _FIX_COLUMNS):  # bytes that are no UTF-8
        found: list[Any] = table[name].to_pylist()
    return found


def _side_by_side(table: pyarrow.Table, columns: _Columns, source: str) -> npt.NDArray[Any]:
    """The columns as one array [N, C]; empty cells are NaN."""
    kinds = {str(table.schema.field(name).type) for name in columns.classes}
    wrong = kinds - {"float", "double", "halffloat", *(f"{u}int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64))}
    if wrong:
        raise _refused(source, "numbers in the columns of the classes", " and ".join(sorted(wrong)))
    dtype = np.result_type(*(table.schema.field(name).type.to_pandas_dtype() for name in columns.classes))
    found = np.empty((len(table), len(columns.classes)), dtype if dtype.kind == "f" else np.float64)
    for column, name in enumerate(columns.classes):
        found[:, column] = table[name].to_numpy()
    return found


def _of_lists(table: pyarrow.Table, name: str, source: str) -> npt.NDArray[Any]:
    """A column of lists as an array [N, C]; in CSV as NumPy prints them."""
    import pyarrow as pa

    column = table[name].combine_chunks()
    if pa.types.is_string(column.type):
        rows = [_LIST.split(text.strip(" []()\n")) for text in column.to_pylist()]
        lengths = np.array([len(row) for row in rows])
        _check_lengths(lengths, name, source)
        with reading(source, f"lists of numbers in `{name}`", _FIX_COLUMNS):
            return np.array(rows, np.float64)
    _check_lengths(column.value_lengths().to_numpy(zero_copy_only=False), name, source)
    with reading(source, f"lists of numbers in `{name}`", _FIX_COLUMNS, pa.ArrowException):
        values = column.flatten().to_numpy(zero_copy_only=False)
    if values.dtype.kind not in "iuf":
        raise _refused(source, f"lists of numbers in `{name}`", f"lists of {values.dtype}")
    found: npt.NDArray[Any] = values.reshape(len(column), -1)
    return found


def _check_lengths(lengths: npt.NDArray[Any], name: str, source: str) -> None:
    if not len(lengths) or not lengths[0] > 1:
        raise _refused(source, f"lists of a score for each class in `{name}`", "none")
    other = np.flatnonzero(~(lengths == lengths[0]))
    if len(other):
        problem = Problem(
            f"column `{name}`, row {other[0]}", f"{lengths[0]:g} scores, as in row 0", str(lengths[other[0]])
        )
        raise InputError(source, [problem], _FIX_COLUMNS)


def _check_order(scores: npt.NDArray[Any], source: str) -> None:
    """Raise InputError if every row falls from the first to the last column, which classes in a fixed order do not."""
    first = scores[:_SORTED_ROWS]
    chance = len(first) * lgamma(first.shape[1] + 1)
    if chance > _UNLIKELY and (np.diff(first, axis=1) <= 0).all() and (np.diff(first, axis=1) < 0).any():
        problem = Problem("columns", "scores in class order", "scores that fall from left to right in every row")
        raise InputError(source, [problem], _FIX_TOPK)


def _labels(values: Sequence[Any], columns: _Columns, source: str) -> npt.NDArray[Any]:
    """Labels as class indices, by the names of the columns if they are names."""
    texts = [str(value).strip() for value in values]
    index = {name: number for number, name in enumerate(columns.class_names)}
    if all(text in index for text in texts) and texts:
        return np.array([index[text] for text in texts], np.int64)
    wrong = [row for row, text in enumerate(texts) if not _INTEGER.fullmatch(text.removesuffix(".0"))]
    if wrong:
        expected = "a class index" + (", or the name of a column" if columns.class_names else "")
        problems = [Problem(f"column `{columns.labels}`, row {row}", expected, texts[row][:60]) for row in wrong]
        raise InputError(source, problems[:MAX_PROBLEMS], _FIX_LABELS, total=len(wrong))
    return np.array([int(text.removesuffix(".0")) for text in texts], np.int64)


def _refused(source: str, expected: str, found: str) -> InputError:
    return InputError(source, [Problem("columns", expected, found)], _FIX_COLUMNS)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{ascii(name)[1:-1]}`" for name in names[:MAX_PROBLEMS])
    return f"{shown}, ... ({len(names)} columns)" if len(names) > MAX_PROBLEMS else shown or "none"
