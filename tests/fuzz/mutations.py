"""Damages valid inputs: bytes, JSON, and text in lines. A seeded `Random` decides, so every case can be made again.

Why not Atheris or Hypothesis: Atheris follows the coverage of Python and of C compiled with clang, and sees neither in
our compiled readers and those of libraries; Hypothesis keeps no process between examples and shrinks by running
hundreds more. Mutations that know the format get far enough by themselves, and a plain loop over them is simple and
repeatable: one number names a case.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

Mutation = Callable[[Random, bytes], bytes]
"""Takes a valid content and returns a damaged one, or another valid one."""

_DIGITS = "9" * 4301  # one more than Python converts
_NUMBERS = (
    "0", "-0", "-0.0", "-1", "0.5", "2", "1e999", "-1e999", "1e308", "1e200", "1e-170", "1e-400", "NaN", "-Infinity",
    "127", "32768", "2147483647", "2147483648", "4294967295", "536870912", "9007199254740993", "9007199254740993.0",
    "9223372036854775807", "9223372036854775808", "-9223372036854775809", "1" + "0" * 30, "1." + "0" * 400,
    "10000000", _DIGITS, "-" + _DIGITS, "0." + _DIGITS, "1e" + _DIGITS, "0x10", "01", "+1", "1_0", "٣",
)  # fmt: skip
_TEXTS = (
    "", " ", "a", "none", "background", "../../etc/passwd", "\0", "\x1b[31m", "\n::error::x", "##[error]x", "\u202e",
    "\u2028", "=1+1", "<script>", "a,b", '"', "'", "\\", "\r", "\r\n", "\ufeff", "a" * 5000, "\U0010ffff", "r", "c",
)  # fmt: skip
_VALUES = (
    "null", "true", '"\\ud800"', '"\\u0000"', "[]", "{}", "[[]]", '{"a":1,"a":2}', "[1e200,1e200,1e200,1e200]",
)  # fmt: skip
_TOKENS = (
    *(number.encode() for number in _NUMBERS),
    *(text.encode() for text in _TEXTS),
    *(b"null", b"true", b'"\\ud800"', b'"\\u0000"', b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xc0\x80"),
    *(b"[" * 3000, b'{"a":' * 3000, b"[]", b"{}", b",", b":", b"//", b"/*", b"\xff\xfe", b"PK\x05\x06", b"PAR1"),
)
"""Bytes that some reader may take in a special way."""


def damage_bytes(rng: Random, content: bytes) -> bytes:
    """One to three spans overwritten, inserted, cut out, copied, or cut short; of any format."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        at, width = rng.randrange(len(content) + 1), rng.choice((1, 1, 2, 4, 8, 50))
        head, span, tail = content[:at], content[at : at + width], content[at + width :]
        match rng.randrange(8):
            case 0 if span:
                content = head + bytes([span[0] ^ 1 << rng.randrange(8)]) + content[at + 1 :]
            case 1:
                content = head + rng.choice(_TOKENS) + content[at:]
            case 2:
                content = head + rng.choice(_TOKENS) + tail
            case 3:
                content = head + tail
            case 4:
                content = head + span * rng.choice((2, 3, 200)) + tail
            case 5:
                start = rng.randrange(len(content) + 1)
                content = head + content[start : start + width] + tail
            case 6:
                content = head + rng.randbytes(width) + tail
            case _ if rng.random() < 0.3:
                content = head
    return content


class Raw(str):
    """JSON text that is written as it is."""


class Fields(list[list[Any]]):
    """An object of JSON as its keys and values, so that keys may stand twice."""


def damage_json(rng: Random, content: bytes) -> bytes:
    """One to three changes of values, keys or entries, with valid JSON around them most of the time."""
    document: list[Any] = [json.loads(content, object_pairs_hook=lambda pairs: Fields(map(list, pairs)))]
    for _ in range(rng.choice((1, 1, 2, 3))):
        _damage_container(rng, rng.choice(list(_containers(document))), document)
    text = _json(document)[1:-1].encode("utf-8", "surrogatepass")
    return damage_bytes(rng, text) if rng.random() < 0.1 else text


def _containers(node: Any) -> Iterator[list[Any]]:
    """All lists and objects that are not empty, the outermost first."""
    if isinstance(node, list) and node:
        yield node
        for child in node:
            yield from _containers(child[1] if isinstance(node, Fields) else child)


def _damage_container(rng: Random, container: list[Any], document: list[Any]) -> None:
    at = rng.randrange(len(container))
    match rng.randrange(8):
        case 0 if container is not document:
            del container[at]
        case 1:
            container.insert(at, _copied(container[at]))  # of an object: the same key twice
        case 2 if container is not document:
            container.extend([_copied(container[at])] * rng.choice((1, 10, 300)))
        case 3 if isinstance(container, Fields):
            container[at][0] = rng.choice((*_TEXTS, container[rng.randrange(len(container))][0]))
        case 4:
            _put(container, at, _copied(rng.choice(rng.choice(list(_containers(document))))))
        case 5:
            _put(container, at, Raw("[" * (depth := rng.choice((1, 2, 100, 3000))) + "]" * depth))
        case _:
            _put(container, at, _nasty(rng))


def _put(container: list[Any], at: int, value: Any) -> None:
    if isinstance(container, Fields):
        container[at][1] = value
    else:
        container[at] = value


def _copied(node: Any) -> Any:
    return type(node)(_copied(child) for child in node) if isinstance(node, list) else node


def _nasty(rng: Random) -> Any:
    kind = rng.randrange(8)
    if kind <= 3:
        return Raw(rng.choice(_NUMBERS))
    if kind <= 5:
        return rng.choice(_TEXTS)
    counts = [rng.choice(_NUMBERS[:25]) for _ in range(rng.choice((1, 5, 50)))]
    masks = (f'{{"size": [8, 10], "counts": [{",".join(counts)}]}}', f"[[{','.join(counts * 6)}]]")
    return Raw(rng.choice((*_VALUES, *masks)))


def _json(node: Any) -> str:
    if isinstance(node, Raw):
        return str(node)
    if isinstance(node, Fields):
        return "{" + ", ".join(f"{json.dumps(key)}: {_json(value)}" for key, value in node) + "}"
    if isinstance(node, list):
        return "[" + ", ".join(map(_json, node)) + "]"
    return json.dumps(node)


def damage_lines(rng: Random, content: bytes) -> bytes:
    """One to three changes of cells, lines, separators or the encoding: CSV, lists of labels, TOML."""
    separator = rng.choice((",", ",", " ", " = ", "."))
    lines = content.decode().splitlines()
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(lines))
        cells = lines[at].split(separator)
        cell = rng.randrange(len(cells))
        match rng.randrange(8):
            case 0:
                lines.insert(at, lines[rng.randrange(len(lines))])
            case 1 if len(lines) > 1:
                del lines[at]
            case 2:
                cells.insert(cell, rng.choice(cells))
            case 3:
                del cells[cell]
            case 4:
                cells[cell] = rng.choice((f'"{cells[cell]}"', f'"{cells[cell]}', "[" * 3000, "x" * 140_000, "[1, {}]"))
            case _:
                cells[cell] = rng.choice(rng.choice((_NUMBERS, _NUMBERS, _TEXTS)))
        if at < len(lines) and cells != lines[at].split(separator):
            lines[at] = separator.join(cells)
    text = rng.choice(("\n", "\n", "\n", "\r\n", "\r")).join(lines) + rng.choice(("\n", ""))
    if rng.random() < 0.05:
        text = text.replace(separator, rng.choice((";", "\t", "")))
    encoding = rng.choice(("utf-8",) * 8 + ("utf-8-sig", "utf-16", "latin-1"))
    damaged = text.encode(encoding, "replace")
    return damage_bytes(rng, damaged) if rng.random() < 0.1 else damaged


_LIMITS = (
    "0", "0.5", "-0.5", "-0.0", "nan", "-inf", "1e308", "1e-320", "9007199254740993", "9223372036854775807", "true",
    '"5%"', '"-5%"', '"1e999%"', '"nan%"', '"%"', '"0x1%"', '[0.1, "5%"]', "[]", "[[0.1]]", "{}", "1979-05-27", '""',
)  # fmt: skip
_SETTINGS = (
    '"value"', '"interval"', '"before.json"', '"missing.json"', '"ltcal.toml"', '"."', '"\\u0000"', '"\\u001B[31m"',
    "true", "false", '["pred"]', '["none"]', '["pred", "pred"]', "[]", '"' + "a" * 5000 + '"',
)  # fmt: skip
_METRICS = (
    "bbox/APr", "bbox/AR@300", "segm/AP", "tide/bbox/FalsePos", "reliability/bbox/D-ECE", "bbox/APfixed/AP",
    "classification/top1", "bbox", "", "/", "bbox/", "\\u0000", "\\u001B[31m", "a" * 5000,
)  # fmt: skip


def damage_gates(rng: Random, content: bytes) -> bytes:
    """Other values and metrics in a table of gates that stays TOML."""
    lines = content.decode().splitlines()
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.choice([at for at, line in enumerate(lines) if " = " in line])
        name, value = lines[at].split(" = ")
        if not name.startswith('"'):
            lines[at] = f"{name} = {rng.choice(_SETTINGS)}"
        elif rng.random() < 0.5:
            lines[at] = f"{name} = {rng.choice(_LIMITS)}"
        else:
            lines[at] = f'"{rng.choice(_METRICS)}" = {value}'
    return "\n".join(lines).encode()


def compressed(mutation: Mutation) -> Mutation:
    """The mutation inside a gzip stream, or one of the stream itself."""

    def damage(rng: Random, content: bytes) -> bytes:
        if rng.random() < 0.3:
            return damage_bytes(rng, content)
        plain = mutation(rng, gzip.decompress(content))
        match rng.randrange(12):
            case 0:
                half = len(plain) // 2
                return gzip.compress(plain[:half], mtime=0) + gzip.compress(plain[half:], mtime=0)
            case 1:
                return gzip.compress(plain, mtime=0) + rng.choice((b"\0" * 100, b"x", b"\x1f\x8b"))
            case 2:
                return plain
            case 3:
                return gzip.compress(gzip.compress(plain, mtime=0), mtime=0)
            case 4:
                return gzip.compress(plain, mtime=0)[: -rng.randint(1, 12)]
        return gzip.compress(plain, mtime=0)

    return damage


def either(*mutations: Mutation) -> Mutation:
    """One of the mutations, drawn anew each time."""
    return lambda rng, content: rng.choice(mutations)(rng, content)
