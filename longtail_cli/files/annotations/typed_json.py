"""JSON objects of lists, decoded by type; and the faults of a file that does not have that type.

The decoder stops at the first error. A file that fails is decoded once more, entry by entry, to report all its faults
together.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from typing import Any, TypeVar, get_args

import msgspec

from longtail_cli.errors import MAX_PROBLEMS, Problem
from longtail_cli.files.faults import Fault, fault, input_error

Content = bytes | bytearray | mmap.mmap
T = TypeVar("T", bound=msgspec.Struct)

_MESSAGE = re.compile(r"(?:Expected (?P<expected>.*?)(?:, got .*?)?|.*?)(?: - at `\$(?P<path>.*)`)?")
_MISSING = re.compile(r"Object missing required field `(?P<field>.*)`")
_INDEX = re.compile(r"\[(\d+)\]|\.?([^.\[]+)")
_ID = re.compile(r"[._]ids?(?:\[\d+\])?$")
_WORDS = {
    "`int`": "an integer",
    "`float`": "a number",
    "`str`": "a string",
    "`object`": "an object",
    "`array`": "a list",
}

_FIX_IDS = (
    "ids must be integers: replace each file name or string by the integer id that the annotation file gives to that "
    "entry of `images` or `categories`"
)
_FIX_CONSTANTS = "NaN and Infinity are not valid JSON: write finite numbers there, or drop those entries"
_FIX_MISSING = "write the missing fields"
_FIX_TYPES = "write these fields as expected"
_FIX_WHOLE = "write or download the file again; it must be one whole JSON document"


def decode(content: Content, file_type: type[T], source: str) -> T:
    """`content` as a `file_type`: a struct whose every field is a list of structs. Unknown fields are skipped.

    Raises InputError about `source` if `content` is not JSON or does not have the type; it lists up to `MAX_PROBLEMS`.
    """
    try:
        return msgspec.json.Decoder(file_type).decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        faults = _faults(content, file_type, error)
    raise input_error(source, faults)  # not in the handler, which holds on to `content`: the caller has to close it


def _faults(content: Content, file_type: type[msgspec.Struct], error: Exception) -> list[Fault]:
    """Why `content`, which failed with `error`, is not a `file_type`."""
    try:
        return _faults_by_section(content, file_type, error)
    except RecursionError:  # where the decoder did not come before, or again
        return [fault("content", "lists and objects a few levels deep", "thousands of levels", _FIX_WHOLE)]


def _faults_by_section(content: Content, file_type: type[msgspec.Struct], error: Exception) -> list[Fault]:
    try:
        sections = _sections(content)
    except msgspec.ValidationError:
        return [_not_an_object(content, file_type)]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return [_not_json(content, error)]
    faults: list[Fault] = []
    for field in msgspec.structs.fields(file_type):
        if field.encode_name not in sections:
            found = ", ".join(f"`{key}`" for key in list(sections)[:MAX_PROBLEMS]) or "none at all"
            faults.append(fault("keys", f"a key `{field.encode_name}`", found, _fix_sections(file_type)))
        else:
            (entry_type,) = get_args(field.type)
            faults += _section_faults(field.encode_name, sections[field.encode_name], entry_type)
    return faults or [_not_json(content, error)]  # for example NaN in a field that is skipped


def _sections(content: Content) -> dict[str, msgspec.Raw]:
    """The values at the top level of `content`, with NaN and Infinity turned into strings."""
    try:
        return msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        return msgspec.json.decode(_quote_constants(content), type=dict[str, msgspec.Raw])


def _quote_constants(content: Content) -> bytes:
    """`content` with each NaN and Infinity in quotes; the characters around it tell it from a word in a string."""
    words = sorted(match.span() for word in (b"NaN", b"Infinity") for match in re.finditer(word, content))
    pieces: list[bytes | bytearray] = []
    end = 0
    for start, stop in words:
        start -= content[start - 1 : start] == b"-"
        if content[start - 1 : start] in b":[, \t\r\n" and content[stop : stop + 1] in b",]} \t\r\n":
            pieces += (content[end:start], b'"', content[start:stop], b'"')
            end = stop
    return b"".join([*pieces, content[end:]])


def _section_faults(key: str, section: msgspec.Raw, entry_type: type[msgspec.Struct]) -> Iterator[Fault]:
    """The faults of one list of entries, one kind per message of the decoder."""
    try:
        entries = msgspec.json.decode(section, type=list[msgspec.Raw])
    except msgspec.ValidationError:
        yield fault(f"`{key}`", "a list of objects", _shown(_plain(section)), _FIX_TYPES)
        return
    decoder = msgspec.json.Decoder(entry_type)
    kinds: dict[str, list[tuple[int, msgspec.Raw]]] = {}
    for number, entry in enumerate(entries):
        try:
            decoder.decode(entry)
        except (msgspec.ValidationError, UnicodeDecodeError) as error:
            kinds.setdefault(str(error), []).append((number, entry))
    for message, found in kinds.items():
        described = [_describe(message, f"{key}[{number}]", entry) for number, entry in found[:MAX_PROBLEMS]]
        yield Fault(tuple(problem for problem, _ in described), len(found), described[0][1])


def _describe(message: str, where: str, raw: msgspec.Raw) -> tuple[Problem, str]:
    """A message of the decoder about the entry `where`, and how to fix it."""
    match = _MESSAGE.fullmatch(message)
    path = (match["path"] or "") if match else ""
    entry, value = _value(raw, path)
    if isinstance(entry, dict) and isinstance(entry.get("id"), int | str):
        where = f"{where} (id {_shown(entry['id'])})"
    missing = _MISSING.match(message)
    if missing:
        found = "only " + ", ".join(f"`{name}`" for name in value) if isinstance(value, dict) and value else "no field"
        return Problem(where, f"a field `{missing['field']}`", found), _FIX_MISSING
    expected = (match["expected"] if match else None) or "a value that can be read"
    for word, plain in _WORDS.items():
        expected = expected.replace(word, plain)
    location = f"{where}, `{path.lstrip('.')}`" if path else where
    return Problem(location, expected, _shown(value)), _fix(path, value)


def _value(raw: msgspec.Raw, path: str) -> tuple[Any, Any]:
    """The entry in plain objects, and its value at `path`, such as ``.bbox[2]``."""
    entry = value = _plain(raw)
    if isinstance(entry, bytes):
        return None, entry
    for index, key in _INDEX.findall(path):
        value = value[int(index)] if index else value[key]
    return entry, value


def _plain(raw: msgspec.Raw) -> Any:
    """The value in plain objects; its text, as bytes, if it holds a number beyond float64 or broken UTF-8."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return bytes(raw)


def _fix(path: str, value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"-?(NaN|Infinity)", value):
        return _FIX_CONSTANTS
    return _FIX_IDS if isinstance(value, str) and _ID.search(path) else _FIX_TYPES


def _fix_sections(file_type: type[msgspec.Struct]) -> str:
    keys = ", ".join(f"`{field.encode_name}`" for field in msgspec.structs.fields(file_type))
    return f"pass an annotation file: an object with the lists {keys}"


def _not_an_object(content: Content, file_type: type[msgspec.Struct]) -> Fault:
    if bytes(content[: 1 << 16]).lstrip()[:1] == b"[":
        found = "a list, as result files (predictions) have it"
    else:
        found = _snippet(content, 0)
    return fault("top level", "an object", found, _fix_sections(file_type))


def _not_json(content: Content, error: Exception) -> Fault:
    if isinstance(error, UnicodeDecodeError):
        return fault("content", "text in UTF-8", _shown(error.object), _FIX_WHOLE)
    position = re.search(r"\(byte (\d+)\)", str(error))
    if position:
        return fault(f"byte {position[1]}", "valid JSON", _snippet(content, int(position[1])), _FIX_WHOLE)
    if "truncated" in str(error):
        return fault("content", "a whole JSON document", f"the end of the file, at byte {len(content)}", _FIX_WHOLE)
    return fault("content", "JSON as annotation files have it", str(error), _FIX_WHOLE)  # a key given twice


def _snippet(content: Content, start: int) -> str:
    return repr(bytes(content[start : start + 24]))[1:]


def _shown(value: object) -> str:
    """`value` as JSON, shortened; strings keep their quotes, so that ``"3"`` does not look like 3."""
    if isinstance(value, str) and re.fullmatch(r"-?(NaN|Infinity)", value):
        return value
    text = repr(value)[1:] if isinstance(value, bytes) else msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:57] + "..."
