"""What libraries raise while they read a file becomes an error about that file; mistakes of this package stay."""

from __future__ import annotations

import csv
import json
import lzma
import pickle
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import msgspec
import pytest

from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.files.reading import UNPACKED_BYTES, check_unpacked, reading
from longtail_cli.files.source import open_file


class OwnError(Exception):
    """Of some library."""


@pytest.mark.parametrize(
    "error",
    [
        OSError("x"), EOFError("x"), ValueError("x"), UnicodeDecodeError("utf-8", b"", 0, 0, "x"), TypeError("x"),
        KeyError("x"), OverflowError("x"), AttributeError("x"), AssertionError("x"), RuntimeError("x"),
        NotImplementedError("x"), SyntaxError("x"), BufferError("x"), struct.error("x"), zlib.error("x"),
        lzma.LZMAError("x"), zipfile.BadZipFile("x"), tokenize.TokenError("x"), pickle.UnpicklingError("x"),
        csv.Error("x"), msgspec.ValidationError("x"), OwnError("x"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_what_libraries_raise(error: Exception) -> None:
    with (
        pytest.raises(InputError, match=r"a\.bin: content: expected zeros, found .*x.*\nFix: copy it") as caught,
        reading("a.bin", "zeros", "copy it", OwnError),
    ):
        raise error
    assert caught.value.__cause__ is error


def test_what_stays_as_it_is() -> None:
    for error in (UsageError("x", [Problem("a", "b", "c")], "d"), OwnError(), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught, reading("a.bin", "zeros"):
            raise error
        assert caught.value is error


@pytest.mark.parametrize(
    ("error", "found"),
    [
        (MemoryError(), "content: expected zeros that fits into memory, found more than there is memory for"),
        (RecursionError("maximum recursion depth exceeded"), "found too many levels"),
        (ValueError(), "found ValueError"),
        (RuntimeError("first\nC++ stack"), "found first\nFix"),
        (ValueError("x" * 10_000), "x...\nFix"),
    ],
)
def test_messages_are_one_short_line(error: Exception, found: str) -> None:
    with pytest.raises(InputError) as caught, reading("a.bin", "zeros"):
        raise error
    assert found in str(caught.value)
    assert len(str(caught.value)) < 600


def test_digits_beyond_what_python_converts() -> None:
    with pytest.raises(InputError, match="value has 5000 digits\n"), reading("a.json", "JSON"):
        json.loads("9" * 5000)


def test_what_unpacks_to_far_more() -> None:
    check_unpacked("a.gz", "content", 1, UNPACKED_BYTES)
    check_unpacked("a.gz", "content", UNPACKED_BYTES, 100 * UNPACKED_BYTES)
    with pytest.raises(InputError, match="found 1,073,741,825 bytes or more"):
        check_unpacked("a.gz", "content", 1000, UNPACKED_BYTES + 1)


def test_an_error_that_holds_on_to_a_mapped_file_is_the_one_that_is_raised(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[]")
    content = open_file(tmp_path / "a.json")

    def fail() -> None:
        with content.mapped() as mapped:
            raise OwnError(memoryview(mapped))

    with pytest.raises(OwnError):
        fail()
    content.close()
