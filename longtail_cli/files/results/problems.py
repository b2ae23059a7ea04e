"""What is wrong with a result file, entry by entry, and how to fix it.

Only what the fast reader refuses comes here; `json` reads it into plain objects, NaN included.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from longtail_cli.errors import MAX_PROBLEMS, InputError, Problem
from longtail_cli.files.faults import Fault, fault
from longtail_cli.files.results.image_names import ImageNames
from longtail_cli.files.source import Content
from longtail_cli.tables import LARGEST_COORDINATE

FIX_IDS = (
    "ids must be integers, those of the annotations: write the `id` of each category and image; or write the file name "
    "of each image, with or without its ending, as a text in `image_id` of every detection"
)
FIX_FINITE = "drop the detections that are not finite, or find out why the model produces them"
FIX_FIELDS = "write `image_id`, `category_id`, `score` and `bbox` or `segmentation` for every detection"
FIX_BOX = "write every box as [x, y, width, height] in pixels"
FIX_LIST = (
    'pass a result file: a list of detections, [{"image_id": 1, "category_id": 2, "bbox": [...], "score": 0.9}, ...]'
)
FIX_WHOLE = "write or copy the file again: one whole JSON list, in UTF-8 without a byte order mark"

_EXACT = 2**53  # an integer below is no other number's nearest float64
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class EntryProblem:
    """One thing wrong with an entry, and how to fix it."""

    problem: Problem
    fix: str


class _Object(dict[str, Any]):
    """A JSON object that remembers which of its keys are repeated."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(key for key, _ in pairs) if len(self) < len(pairs) else {}
        self.repeated = {key for key, count in counts.items() if count > 1}


def entry_problems(number: int, content: bytes, *, boxes: bool, images: ImageNames | None = None) -> list[EntryProblem]:
    """What is wrong with one entry, in the order of its fields; empty if it is a valid detection.

    number: its index in the file. content: its text, one JSON value, which may contain NaN and Infinity.
    boxes: whether to check `bbox`. images: notes names of images and what is wrong with them; None for ids.
    """
    image = "image_id" if images is None else images.field
    constants: list[str] = []
    try:
        entry = parse_entry(content, constants)
    except UnicodeDecodeError as error:
        found = repr(content[error.start : error.start + 4])[1:]
        return [EntryProblem(Problem(f"entry {number}", "text in UTF-8", found), FIX_WHOLE)]
    if not isinstance(entry, _Object):
        return [EntryProblem(Problem(f"entry {number}", "an object", _shown(entry)), FIX_LIST)]
    where = entry_name(number, entry.get(image))
    ids = ("category_id",) if images else ("image_id", "category_id")
    problems = [
        *_field_problems(where, entry, (image, "category_id", "score")),
        *(_id_problem(where, name, entry[name]) for name in ids if name in entry),
        *([_number_problem(where, "`score`", entry["score"], FIX_FIELDS)] if "score" in entry else []),
        *(_box_problems(where, entry["bbox"]) if boxes and "bbox" in entry else []),
    ]
    present = [problem for problem in problems if problem is not None]
    if constants and not present:
        return [EntryProblem(Problem(where, "finite numbers", constants[0]), FIX_FINITE)]
    return present


def name_field(content: bytes) -> str | None:
    """The field in which an entry names its image: `file_name` or `image_id`; None if `image_id` is no text."""
    try:
        entry = parse_entry(content, [])
    except UnicodeDecodeError:
        return None
    if not isinstance(entry, _Object) or not isinstance(entry.get("image_id"), str):
        return None
    return "file_name" if isinstance(entry.get("file_name"), str) else "image_id"


def entry_name(number: int, image_id: object) -> str:
    """What messages call an entry; with its `image_id`, if that is an id or a string."""
    shown = isinstance(image_id, int | str) and not isinstance(image_id, bool)
    return f"entry {number} (image_id {_shown(image_id)})" if shown else f"entry {number}"


def parse_entry(content: bytes, constants: list[str]) -> Any:
    """One JSON value; NaN and Infinity are accepted, and their names appended to `constants`.

    Integers of more than 20 characters become floats. Raises UnicodeDecodeError.
    """

    def constant(name: str) -> float:
        constants.append(name)
        return float(name)

    return json.loads(content.decode(), parse_constant=constant, parse_int=_parse_integer, object_pairs_hook=_Object)


def _parse_integer(text: str) -> int | float:
    return int(text) if len(text) <= 20 else float(text)  # Python refuses integers of thousands of digits


def _field_problems(where: str, entry: _Object, required: tuple[str, ...]) -> Iterator[EntryProblem]:
    for name in required:
        if name not in entry:
            found = "only " + ", ".join(f"`{key}`" for key in list(entry)[:MAX_PROBLEMS]) if entry else "no field"
            yield EntryProblem(Problem(where, f"a field `{name}`", found), FIX_FIELDS)
    for name in (*required, "bbox", "segmentation"):
        if name in entry.repeated:
            yield EntryProblem(Problem(where, f"one field `{name}`", "more than one"), FIX_FIELDS)


def _id_problem(where: str, name: str, value: object) -> EntryProblem | None:
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63
    whole_float = isinstance(value, float) and value.is_integer() and abs(value) < _EXACT
    if whole or whole_float:
        return None
    return EntryProblem(Problem(f"{where}, `{name}`", "an integer id", _shown(value)), FIX_IDS)


def _number_problem(where: str, name: str, value: object, fix: str) -> EntryProblem | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return EntryProblem(Problem(f"{where}, {name}", "a number", _shown(value)), fix)
    if not math.isfinite(value):
        return EntryProblem(Problem(f"{where}, {name}", "a finite number", _shown(value)), FIX_FINITE)
    return None


def _box_problems(where: str, box: object) -> Iterator[EntryProblem | None]:
    if not isinstance(box, list) or len(box) != 4:
        found = f"{len(box)} numbers" if isinstance(box, list) else _shown(box)
        yield EntryProblem(Problem(f"{where}, `bbox`", "four numbers [x, y, width, height]", found), FIX_BOX)
        return
    for side, value in zip(("x", "y", "width", "height"), box, strict=True):
        problem = _number_problem(where, f"{side} of `bbox`", value, FIX_BOX)
        if problem is None and side in ("width", "height") and value < 0:
            problem = EntryProblem(Problem(f"{where}, `bbox`", f"a {side} of 0 or more", _shown(value)), FIX_BOX)
        if problem is None and abs(value) > LARGEST_COORDINATE:
            expected = f"a number within {LARGEST_COORDINATE:g} of 0"
            problem = EntryProblem(Problem(f"{where}, {side} of `bbox`", expected, _shown(value)), FIX_BOX)
        yield problem


def broken_list(position: int, number: int, content: bytes) -> Fault:
    """The fault of a list whose rest cannot be read.

    position: the byte at which reading stopped. number: how many entries were read before.
    content: the first bytes at `position`; empty at the end of the file.
    """
    if not content:
        found = f"the end of the file, after {number} whole entries: it is cut off"
        return fault(f"byte {position}", "the rest of the list", found, FIX_WHOLE)
    return fault(f"byte {position} (entry {number})", "valid JSON in UTF-8", _cut(repr(content)[1:]), FIX_WHOLE)


def not_a_list(file: Content) -> Fault:
    """The fault of a file that does not begin with a bracket."""
    with file.mapped() as content:
        try:
            keys = list(msgspec.json.decode(content, type=dict[str, msgspec.Raw]))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            beginning = bytes(content[:24])
            fix = FIX_LIST if beginning.isascii() else FIX_WHOLE
            return fault("byte 0", "a JSON list of detections", _cut(repr(beginning)[1:]), fix)
    shown = ", ".join(f"`{key}`" for key in keys[:MAX_PROBLEMS]) or "no keys"
    if "annotations" in keys or "images" in keys:
        fix = f"it looks like an annotation file; {FIX_LIST}"
    else:
        inside = next((key for key in ("predictions", "results", "detections") if key in keys), None)
        fix = f"write the list in `{inside}` to a separate file" if inside else FIX_LIST
    return fault("content", "a list of detections", f"an object with {shown}", fix)


def _shown(value: object) -> str:
    """`value` as JSON, shortened; strings keep their quotes, so that "3" does not look like 3."""
    return _cut(json.dumps(value))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def wrong_count(source: str, scores: int, entries: str) -> InputError:
    """The error of a file that does not hold as many entries as there are scores."""
    problem = Problem("entries", f"{scores}, as there are scores", entries)
    return InputError(source, [problem], "pass one score for every entry of the file")
