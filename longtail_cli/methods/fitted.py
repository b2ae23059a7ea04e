"""A learned step: as arrays for a file, and for the columns of other logits of the same classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from longtail_cli.errors import InputError, Problem
from longtail_cli.methods.bags import slice_softmax
from longtail_cli.methods.base import Adjustment, MethodContext, binary_columns
from longtail_cli.methods.steps import (
    Classify,
    ColumnAffine,
    ConfidenceAffine,
    ScoreBeta,
    ScoreKnots,
    columns_after,
)
from longtail_cli.tables import Floats, LogitColumns, Longs

LearnedStep = ColumnAffine | ConfidenceAffine | Classify | ScoreBeta | ScoreKnots

Arrays = Mapping[str, npt.NDArray[Any]]

KIND = "step"
"""The array that says which step it is."""

_KINDS: dict[str, type[LearnedStep]] = {
    "affine": ColumnAffine,
    "confidence-affine": ConfidenceAffine,
    "classify": Classify,
    "score-beta": ScoreBeta,
    "score-knots": ScoreKnots,
}


@dataclass(frozen=True, slots=True, eq=False)
class FittedStep:
    """A step that was learned on columns with the classes in order of id."""

    step: LearnedStep
    columns: LogitColumns
    """What the columns were that it was learned on."""

    @property
    def features(self) -> int | None:
        """D, the number of features that the step needs; None if it needs none."""
        if isinstance(self.step, Classify):
            return len(self.step.center)
        return len(self.step.weight) if isinstance(self.step, ConfidenceAffine) and self.step.of_features else None

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The step as arrays by name."""
        kind = next(name for name, step in _KINDS.items() if isinstance(self.step, step))
        arrays: dict[str, npt.NDArray[Any]] = {KIND: np.array(kind)}
        for field in dataclasses.fields(self.step):
            value = getattr(self.step, field.name)
            arrays |= _of_columns(value) if isinstance(value, LogitColumns) else {field.name: np.asarray(value)}
        return arrays

    def adjustment(self, context: MethodContext) -> Adjustment:
        """What the step does to columns of the same classes in any order; for scores, to some of the classes.

        The slices of a ``bags`` head are decoded.
        """
        category_id = context.columns.category_id
        order = np.searchsorted(self.columns.category_id, category_id)
        step = _reordered(self.step, self.columns, order)
        if context.score_only:
            return Adjustment((step,), context.columns)
        if isinstance(step, Classify) and step.columns.head == "bags":
            decoded = slice_softmax(replace(step.columns, category_id=category_id))
            return Adjustment((step, decoded), binary_columns(context.columns))
        return Adjustment((step,), columns_after(step, context.columns))


def from_arrays(arrays: Arrays, columns: LogitColumns, source: str) -> FittedStep:
    """The step that arrays describe, equal to the one that they were made from.

    columns: those that it was learned on, with the classes in order of id. source: where the arrays are from.
    Raises InputError for arrays of another shape or type, and numbers that are not finite.
    """
    kind = str(arrays[KIND]) if KIND in arrays and arrays[KIND].dtype.kind == "U" else "none"
    if kind not in _KINDS:
        raise _broken(source, f"array `{KIND}`", f"one of {', '.join(_KINDS)}", ascii(kind)[1:-1][:60])
    values: dict[str, Any] = {}
    for field in dataclasses.fields(_KINDS[kind]):
        if field.name == "columns":
            values["columns"] = _to_columns(arrays, columns, source)
        else:
            values[field.name] = _value(arrays, field.name, str(field.type), source)
    step = _KINDS[kind](**values)
    _check_shapes(step, columns, source)
    return FittedStep(step, columns)


def _of_columns(columns: LogitColumns) -> dict[str, npt.NDArray[Any]]:
    """Columns of the same classes as arrays: head, background, and for ``bags`` which classes are in a slice."""
    arrays = {"head": np.array(columns.head), "background": np.array(columns.background)}
    if columns.bags is None:
        return arrays
    return arrays | {"slices": np.array([np.isin(columns.category_id, members) for members in columns.bags])}


def _to_columns(arrays: Arrays, columns: LogitColumns, source: str) -> LogitColumns:
    head, background = (str(arrays[name]) if name in arrays else "none" for name in ("head", "background"))
    if head not in ("softmax", "sigmoid", "bags") or background not in ("none", "first", "last"):
        expected = "softmax, sigmoid or bags, and none, first or last"
        raise _broken(source, "arrays `head`, `background`", expected, ascii(f"{head}, {background}")[1:-1][:60])
    ids = columns.category_id
    if head != "bags":
        return LogitColumns(head, background, ids)  # type: ignore[arg-type]
    slices = arrays.get("slices", np.zeros(0))
    if slices.dtype != bool or slices.shape[1:] != ids.shape or not (slices.sum(axis=0) == 1).all():
        raise _broken(source, "array `slices`", f"one slice for each of {len(ids)} classes", str(list(slices.shape)))
    members = tuple(tuple(ids[inside].tolist()) for inside in slices)
    return LogitColumns("bags", background, ids, members)  # type: ignore[arg-type]


def _value(arrays: Arrays, name: str, kind: str, source: str) -> Any:
    """An array of floats or integers, a float or a bool."""
    found = arrays.get(name)
    kinds = {"Floats": "f", "Longs": "iu", "float": "f", "bool": "b"}[kind]
    array = np.empty(0, object) if found is None else found
    if array.dtype.kind not in kinds or (array.ndim == 0) != (kind in ("float", "bool")):
        expected = {"Floats": "an array of floats", "Longs": "an array of integers"}.get(kind, f"one {kind}")
        raise _broken(source, f"array `{name}`", expected, "none" if found is None else f"{array.dtype} {array.shape}")
    if array.dtype.kind == "f" and not is_finite(name, array):
        raise _broken(source, f"array `{name}`", "finite numbers", "NaN or infinity")
    if kind == "Floats":
        return array.astype(np.float64)
    return array.astype(np.int64) if kind == "Longs" else array.item()


def is_finite(name: str, array: npt.NDArray[Any]) -> bool:
    """Whether all numbers of the array `name` are finite; the edges of bins that a class lacks are infinite."""
    return not bool((np.isnan(array) | (np.isinf(array) & (name != "edges"))).any())


def _check_shapes(step: LearnedStep, columns: LogitColumns, source: str) -> None:
    """Raise InputError unless the arrays of a step fit one another and the columns."""
    width, classes = columns.width, len(columns)
    match step:
        case ColumnAffine():
            good = step.scale.shape == step.shift.shape == (width,)
        case ConfidenceAffine():
            good = step.scale.shape == step.shift.shape == (width,) and step.weight.ndim == 1
            good &= step.of_features or step.weight.shape == (width,)
        case Classify():
            good = step.weight.shape == (step.columns.width, *step.center.shape) and step.center.ndim == 1
            good &= step.bias.shape == step.weight.shape[:1]
        case ScoreBeta():
            shape = (classes, step.edges.shape[-1] + 1)
            good = (
                step.edges.ndim == 2
                and len(step.edges) == classes
                and step.rise.shape == step.fall.shape == step.shift.shape == shape
            )
            good = good and bool((step.rise >= 0).all() and (step.fall >= 0).all()) and _ascending(step.edges)
        case ScoreKnots():
            good = (
                step.edges.ndim == 2
                and len(step.edges) == classes
                and step.curve.shape == (classes, step.edges.shape[-1] + 1)
            )
            good = good and step.start.ndim == 1 and len(step.start) > 0 and step.start[0] == 0
            good = good and bool((np.diff(step.start) >= 0).all())
            good = good and bool(((step.curve >= 0) & (step.curve < len(step.start) - 1)).all())
            good = good and step.x.shape == step.y.shape == (int(step.start[-1]),) and _ascending(step.edges)
            good = good and all(((one >= 0) & (one <= 1)).all() for one in (step.x, step.y))
            good = good and all(_rises(one, step.start) for one in (step.x, step.y))
    if not good:
        raise _broken(source, "arrays", f"those of a step for {classes} classes and {width} columns", "others")


def _ascending(edges: Floats) -> bool:
    return bool((edges[:, 1:] >= edges[:, :-1]).all())


def _rises(values: Floats, start: Longs) -> bool:
    """Whether no part ``values[start[m]:start[m + 1]]`` falls."""
    first = np.zeros(len(values), bool)
    first[start[:-1][start[:-1] < len(values)]] = True
    return bool((first[1:] | (values[1:] >= values[:-1])).all())


def _reordered(step: LearnedStep, fitted: LogitColumns, order: Longs) -> LearnedStep:
    """The step for columns whose class c is class ``order[c]`` of those that it was learned on: int64 [C]."""
    match step:
        case ColumnAffine():
            column = _columns(order, fitted)
            return ColumnAffine(step.scale[column], step.shift[column])
        case ConfidenceAffine():
            column = _columns(order, fitted)
            weight = step.weight if step.of_features else step.weight[column]
            return replace(step, scale=step.scale[column], shift=step.shift[column], weight=weight)
        case Classify():
            if step.columns.head == "bags":
                return step
            column = _columns(order, step.columns)
            columns = replace(step.columns, category_id=step.columns.category_id[order])
            return replace(step, weight=step.weight[column], bias=step.bias[column], columns=columns)
        case ScoreBeta():
            return ScoreBeta(step.edges[order], step.rise[order], step.fall[order], step.shift[order])
        case ScoreKnots():
            return replace(step, edges=step.edges[order], curve=step.curve[order])


def _columns(order: Longs, columns: LogitColumns) -> Longs:
    """The column of each of the K columns in the new order, that of the background included."""
    if columns.background == "none":
        return order
    if columns.background == "first":
        return np.concatenate([np.zeros(1, np.int64), order + 1])
    return np.append(order, len(columns))


def _broken(source: str, where: str, expected: str, found: str) -> InputError:
    return InputError(source, [Problem(where, expected, found)], "write the file again with `ltcal fit`")
