"""Result lists are read block by block; no byte is lost, and text in a field is never taken for a field."""

import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longtail_cli.files.results.entries import (
    CLOSED,
    FIRST,
    NEXT,
    START,
    Broken,
    EntryBlock,
    Refused,
    Window,
    read_entries,
)

PLAIN = '{"image_id":1,"category_id":2,"bbox":[1,2.5,3,4],"score":0.5}'
SPACED = '{ "score" : 1.5e-3 , "category_id" : 3 ,\n\t"bbox" : [ 0 , -1.0 , 2e0 , 0.25 ] , "image_id" : 42.0 }'
TRICKY = (
    '{"segmentation":{"score":7,"counts":"}],\\"score\\":8,","size":[2,2]},"note":"\\\\\\"score\\":9","image_id":5,'
    '"x":[{"score":0},[],{}],"\\u0073core":0.75,"é":null,"category_id":-6,"bbox":[1,1,1,1]}'
)
FILE = f" [{PLAIN} , {SPACED},\n{TRICKY}\t] \n".encode()


def parts(content: bytes, block_bytes: int = 1 << 20, *, boxes: bool = True) -> list[Any]:
    """The pieces that are read; blocks as plain objects, because each is valid only until the next is read."""
    return [
        {
            "first": part.first,
            "content": part.content.tobytes(),
            "columns": np.column_stack([part.image_id, part.category_id, part.score, part.bbox]).tolist(),
            "scores": [part.content[begin:end].tobytes() for begin, end in part.score_span],
            "masks": [part.content[begin:end].tobytes().strip() for begin, end in part.mask_span],
        }
        if isinstance(part, EntryBlock)
        else part
        for part in read_entries(io.BytesIO(content), boxes=boxes, window=Window(block_bytes))
    ]


def joined(content: bytes, block_bytes: int) -> dict[str, Any]:
    blocks = parts(content, block_bytes)
    return {
        "content": b"".join(block["content"] for block in blocks),
        **{key: [row for block in blocks for row in block[key]] for key in ("columns", "scores", "masks")},
    }


def test_entries_become_columns() -> None:
    (block,) = parts(FILE)
    assert block["columns"] == [
        [1, 2, 0.5, 1, 2.5, 3, 4],
        [42, 3, 0.0015, 0, -1, 2, 0.25],
        [5, -6, 0.75, 1, 1, 1, 1],
    ]


def test_spans_are_those_of_the_fields_of_the_entry_itself() -> None:
    (block,) = parts(FILE)
    assert block["scores"] == [b"0.5", b"1.5e-3", b"0.75"]
    assert [json.loads(mask)["score"] if mask else None for mask in block["masks"]] == [None, None, 7]


@given(st.integers(1, len(FILE) + 10))
def test_how_much_is_read_at_a_time_makes_no_difference(block_bytes: int) -> None:
    assert joined(FILE, block_bytes) == joined(FILE, 1 << 20)
    assert joined(FILE, block_bytes)["content"] == FILE


def test_blocks_number_their_entries() -> None:
    blocks = parts(FILE, 200)
    rows = np.cumsum([len(block["columns"]) for block in blocks])
    assert len(blocks) > 1
    assert [block["first"] for block in blocks] == [0, *rows[:-1]]


@pytest.mark.parametrize("content", [b"[]", b" [ \n] ", b"\t[\r\n]"])
def test_an_empty_list_is_all_white_space_and_brackets(content: bytes) -> None:
    (block,) = parts(content)
    assert (block["content"], block["columns"]) == (content, [])


def test_entries_without_a_box_or_with_one_that_is_not_read() -> None:
    bare = b'[{"image_id":1,"category_id":2,"score":1}]'
    assert np.isnan(parts(bare)[0]["columns"][0][3])
    strange = b'[{"image_id":1,"category_id":2,"score":1,"bbox":"none"}]'
    assert parts(strange, boxes=False)[0]["columns"][0][:3] == [1, 2, 1]
    assert any(isinstance(part, Refused) for part in parts(strange, boxes=True))


@pytest.mark.parametrize(
    "number",
    ["0.1000000000000000055511151231257827021181583404541015625", "1e-300", "123456789012345678901e-21", "1e1"],
)
def test_numbers_that_need_more_precision(number: str) -> None:
    (block,) = parts(f'[{{"image_id":2e1,"category_id":2,"score":{number},"bbox":[1,{number},1,1]}}]'.encode())
    assert block["columns"] == [[20, 2, float(number), 1, float(number), 1, 1]]


REFUSED = [
    '{"image_id":1,"category_id":2}',
    '{"image_id":"1","category_id":2,"score":1}',
    '{"image_id":1.5,"category_id":2,"score":1}',
    '{"image_id":1,"category_id":true,"score":1}',
    '{"image_id":1,"category_id":2,"score":NaN}',
    '{"image_id":1,"category_id":2,"score":1e999}',
    '{"image_id":1,"category_id":2,"score":1,"score":1}',
    '{"image_id":1,"category_id":2,"score":1,"bbox":[1,2,3]}',
    '{"image_id":1,"category_id":2,"score":1,"bbox":[1,2,3,4,5]}',
    '{"image_id":1,"category_id":2,"score":1,"bbox":[1,2,3,-4]}',
    '{"image_id":1,"category_id":2,"score":1,"bbox":[1,2,-3e-7,4]}',
    '{"image_id":1,"category_id":2,"score":1,"x":[Infinity]}',
    "{}",
    "[]",
    "7",
    '"a"',
    "null",
]


@pytest.mark.parametrize("entry", REFUSED)
def test_an_invalid_entry_is_refused_and_the_others_are_read(entry: str) -> None:
    found = parts(f"[{PLAIN},{entry},{PLAIN}]".encode())
    (refused,) = (part for part in found if isinstance(part, Refused))
    assert refused == Refused(1, entry.encode())
    assert [part["first"] for part in found if part is not refused][-1] in (0, 2)


BROKEN = [
    (b"x", 0, 0, START),
    (b"\xef\xbb\xbf[]", 0, 0, START),
    (b"[]x", 2, 0, CLOSED),
    (f"[{PLAIN} {PLAIN}]".encode(), len(PLAIN) + 2, 1, NEXT),
    (f"[{PLAIN},]".encode(), len(PLAIN) + 2, 1, NEXT),
    (f"[{PLAIN},{{]".encode(), len(PLAIN) + 3, 1, NEXT),
    (f"[,{PLAIN}]".encode(), 1, 0, FIRST),
    (b'[{"image_id":1,"category_id":2,"score":01}]', 41, 0, FIRST),
    (b'[{"image_id":1,"category_id":2,"score":1,"x":"\x80"}]', 46, 0, CLOSED),
    (b'[{"image_id":1,"category_id":2,"score":1\x00}]', 40, 0, FIRST),
]


@pytest.mark.parametrize(("content", "position", "number", "after"), BROKEN)
@pytest.mark.parametrize("block_bytes", [7, 1 << 20])
def test_a_broken_list_is_read_up_to_the_break(
    content: bytes, position: int, number: int, after: int, block_bytes: int
) -> None:
    last = parts(content, block_bytes)[-1]
    assert isinstance(last, Broken)
    assert (last.position, last.number) == (position, number)
    assert last.content[:1] == content[position : position + 1]
    assert block_bytes == 7 or last.after == after


@given(st.integers(0, len(FILE.rstrip()) - 1))
def test_a_truncated_list_is_never_accepted(length: int) -> None:
    last = parts(FILE[:length])[-1]
    assert isinstance(last, Broken)
    assert (last.position, last.content) == (length, b"")
