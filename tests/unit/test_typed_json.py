"""The wording of msgspec's errors, which `typed_json` parses; a release that changes it must fail here."""

import json
from typing import Any

import msgspec
import pytest

from longtail_cli.files.annotations import typed_json
from longtail_cli.files.annotations.columns import (
    CategoryEntry,
    CountingFile,
    ImageEntry,
    MaskedObjectEntry,
    ObjectEntry,
)


def an_object(**fields: Any) -> bytes:
    entry = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 1, **fields}
    return json.dumps(entry).encode()


VALIDATION = [
    (MaskedObjectEntry, b"{}", "Object missing required field `image_id`"),
    (ObjectEntry, b"[]", "Expected `object`, got `array`"),
    (ObjectEntry, an_object(image_id="a"), "Expected `int`, got `str` - at `$.image_id`"),
    (ObjectEntry, an_object(image_id=2**70), "Expected `int` <= 9223372036854775807 - at `$.image_id`"),
    (ObjectEntry, an_object(image_id=1.5), "Expected `int`, got `float` - at `$.image_id`"),
    (ObjectEntry, an_object(bbox=[1, 2, 3]), "Expected `array` of length 4 - at `$.bbox`"),
    (ObjectEntry, an_object(bbox=[1, None, 3, 4]), "Expected `float`, got `null` - at `$.bbox[1]`"),
    (ObjectEntry, an_object(iscrowd="a"), "Expected `bool | int`, got `str` - at `$.iscrowd`"),
    (ObjectEntry, b'{"area":1e999}', "Number out of range - at `$.area`"),
    (ImageEntry, b'{"id":1,"height":-1}', "Expected `int` >= 0 - at `$.height`"),
    (ImageEntry, b'{"id":1,"neg_category_ids":["a"]}', "Expected `int`, got `str` - at `$.neg_category_ids[0]`"),
    (CategoryEntry, b'{"id":1,"name":3}', "Expected `str`, got `int` - at `$.name`"),
    (CountingFile, b'{"images":[{"id":"a"}]}', "Expected `int`, got `str` - at `$.images[0].id`"),
    (dict[str, msgspec.Raw], b"[]", "Expected `object`, got `array`"),
    (list[msgspec.Raw], b"{}", "Expected `array`, got `object`"),
]


@pytest.mark.parametrize(("kind", "content", "message"), VALIDATION)
def test_what_does_not_fit_the_type(kind: Any, content: bytes, message: str) -> None:
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.json.Decoder(kind).decode(content)
    assert str(error.value) == message


DECODING = [
    (b'{"images": [oops', "JSON is malformed: invalid character (byte 12)"),
    (b'{"images": NaN', "JSON is malformed: invalid character (byte 11)"),
    (b'{"x": 1} x', "JSON is malformed: trailing characters (byte 10)"),
    (b'{"images": [', "Input data was truncated"),
]


@pytest.mark.parametrize(("content", "message"), DECODING)
def test_what_is_not_json(content: bytes, message: str) -> None:
    with pytest.raises(msgspec.DecodeError) as error:
        msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    assert type(error.value) is msgspec.DecodeError
    assert str(error.value) == message


def test_what_has_an_error_of_its_own() -> None:
    with pytest.raises(UnicodeDecodeError):
        msgspec.json.decode(b'{"id":1,"name":"\xe9"}', type=CategoryEntry)
    with pytest.raises(RecursionError):
        msgspec.json.decode(b'{"x":' + b"[" * 5000, type=CountingFile)


@pytest.mark.parametrize(
    ("message", "expected", "path"),
    [
        ("Expected `int`, got `str` - at `$.neg_category_ids[0]`", "`int`", ".neg_category_ids[0]"),
        ("Expected `int` >= 0 - at `$.height`", "`int` >= 0", ".height"),
        ("Expected `object`, got `array`", "`object`", None),
        ("Number out of range - at `$.area`", None, ".area"),
    ],
)
def test_how_a_message_is_taken_apart(message: str, expected: str | None, path: str | None) -> None:
    match = typed_json._MESSAGE.fullmatch(message)
    assert match is not None
    assert (match["expected"], match["path"]) == (expected, path)
