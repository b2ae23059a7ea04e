"""The spaces that are searched if none are named: every method that the input allows, with ranges around the defaults.

Weights of IIF have mean 1 and logit adjustment is relative to the mean log count, so that their strength does not also
decide how the foreground stands to the background; an offset of the foreground does that by itself.
"""

from __future__ import annotations

from pathlib import Path

from longtail_cli.tables import FrequencyTable, LogitColumns

_DETECTOR = (
    "iif:variant=raw|smooth|normit|gombit,strength=0.25..1.5,scale=mean",
    "logit-adjust:tau=0.25..1.5,reference=mean+foreground:offset=-2..2",
    "norcal:gamma=0.1..1.5",
    "temperature:t=0.5..2+norcal:gamma=0.2..1.2",
)
_RESULTS = (
    "iif:variant=raw|smooth|normit|gombit,strength=0.25..1.5,scale=mean",
    "logit-adjust:tau=0.1..1.5,reference=mean",
    "norcal:gamma=0.1..1.5",
    "temperature:t=0.5..2+norcal:gamma=0.2..1.2",
)
_CLASSIFIER: tuple[str, ...] = (
    "temperature:t=fit",
    "iif:variant=*,strength=0.25..1.5+temperature:t=fit",
    "logit-adjust:tau=0.25..2.5+temperature:t=fit",
    "ldam:c=-20..-1+temperature:t=fit",
)
_LABEL_FREE = ("prior2posterior:file={}", "logn:file={}")
"""Their statistics are those of the logits that are tuned on, which come from the training distribution: without `file`
they would be those of the test set, which is another adjustment."""

_WEIGHTING = ("iif", "logn")
"""Methods that weight the logits."""


def of_results() -> tuple[str, ...]:
    """For a result file."""
    return _RESULTS


def of_detector(columns: LogitColumns, table: FrequencyTable | None, source: str | None) -> tuple[str, ...]:
    """For the logits of a detector; with a ``bags`` head every method follows the decoding of its slices.

    source: the path of the logits; None for logits in memory, and for a path that a spec cannot hold.
    """
    spaces: tuple[str, ...] = () if table is None else _DETECTOR
    if table is not None and table.fractal_dimension is not None and table.num_images is not None:
        spaces += ("fracal:strength=0.5..4",)
    if columns.head == "bags":
        return ("bags", *(f"bags+{one}" for one in spaces))
    if columns.head == "softmax" and source is not None:
        spaces += tuple(one.format(source) for one in _LABEL_FREE)
    return spaces


def of_classifier(
    table: FrequencyTable | None, source: str | None, *, has_features: bool, weighted: bool = True
) -> tuple[str, ...]:
    """For the logits of a classifier. source: as above.

    weighted: whether methods may weight the logits; false for logarithms of scores.
    """
    spaces = _CLASSIFIER[:1] if table is None else _CLASSIFIER
    if source is not None:
        spaces += tuple(f"{one.format(source)}+temperature:t=fit" for one in _LABEL_FREE)
    if not weighted:
        spaces = tuple(one for one in spaces if not one.startswith(_WEIGHTING))
    return (*spaces, "tau-norm:tau=0.25..1.5+temperature:t=fit") if has_features else spaces


def as_source(predictions: object) -> str | None:
    """The path of logits as a spec can hold it, or None."""
    if not isinstance(predictions, Path):
        return None
    text = str(predictions)
    return None if set(text) & set(",+|") or text != text.strip() else text
