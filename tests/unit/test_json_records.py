"""The reader of JSON records against Python: `float` for numbers, `json` for values."""

import json
import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from longtail_cli.engine.json_records import (
    CONSTANTS,
    ID,
    JSON,
    MAX_DEPTH,
    PAIRED,
    REAL,
    START,
    VALUE,
    member,
    scan,
    skip,
)

NAMES = np.array([list(name.ljust(6, b"\0")) for name in (b"score", b"bbox")], np.uint8)

decimals = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", "-"]),
    st.integers(0, 10**25).map(str),
    st.one_of(st.just(""), st.integers(0, 10**25).map(lambda digits: f".{digits}"), st.just(".000000")),
    st.one_of(st.just(""), st.integers(-400, 400).map(lambda power: f"e{power}"), st.just("E+05")),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


def data_of(text: str | bytes) -> Any:
    """The text with the NUL that ends it."""
    return np.frombuffer((text.encode() if isinstance(text, str) else text) + b"\0", np.uint8)


def read(texts: list[str], kind: int) -> tuple[Any, Any, Any]:
    """Numbers that are fields of records: whether each was left to Python, and all as reals and as integers.

    The second of a kind is compared with the one before, so each stands twice.
    """
    content = "[" + ",".join(f'{{"score":{text}}}' for text in texts for _ in range(2)) + "]"
    rows = 2 * len(texts)
    integers, reals, deferred = np.zeros((1, rows), np.int64), np.zeros((1, rows)), np.zeros(rows, np.int64)
    fields, spans = np.array([[kind, 0, -1], [VALUE, 0, -1]], np.int32), np.zeros((0, rows, 2), np.int64)
    found = scan(
        data_of(content),
        len(content),
        0,
        START,
        NAMES,
        fields,
        1,
        JSON,
        integers,
        reals,
        np.zeros((0, 4)),
        spans,
        deferred,
    )
    assert found[2:] == (len(content), len(content), rows)
    assert (deferred[::2] >= 0).tolist() == (deferred[1::2] >= 0).tolist()
    settled = deferred[::2] < 0
    for column in (integers[0], reals[0]):
        assert column[::2][settled].tobytes() == column[1::2][settled].tobytes()
    return ~settled, reals[0, ::2], integers[0, ::2]


def bits(value: float) -> bytes:
    return struct.pack("d", value)


def midpoint(value: float) -> str:
    """The decimal number halfway between a float and the next, with all its digits."""
    numerator, denominator = value.as_integer_ratio()
    above, below = math.nextafter(value, math.inf).as_integer_ratio()
    twice = 2 * denominator * below  # a power of two
    power = twice.bit_length() - 1
    digits = (numerator * below + above * denominator) * 5**power
    return f"{digits}e-{power}"


@given(decimals)
@example("0.1")
@example("9007199254740993")  # 2^53 + 1, halfway between two floats
@example("1.7976931348623157e308")
@example("2.2250738585072011e-308")
@example("0e99")
@example("-0.0")
def test_a_number_is_the_nearest_float_or_left_to_python(text: str) -> None:
    (left,), (value,), _ = read([text], REAL)
    assert left or bits(value) == bits(float(text))


@given(st.floats(1e-40, 1e40), st.sampled_from([-1, 0, 1]))
def test_numbers_at_the_edge_between_two_floats(value: float, step: int) -> None:
    digits, power = midpoint(value).split("e")
    text = f"{int(digits) + step}e{power}"
    (left,), (nearest,), _ = read([text], REAL)
    assert left or nearest == float(text)


@given(st.floats(1e-20, 1e19), st.integers(15, 19), st.integers(-1, 1))
def test_numbers_of_nineteen_digits_close_to_an_edge(value: float, digits: int, step: int) -> None:
    mantissa, exponent = f"{(value + math.nextafter(value, math.inf)) / 2:.{digits - 1}e}".split("e")
    text = f"{int(mantissa.replace('.', '')) + step}e{int(exponent) - digits + 1}"
    (left,), (nearest,), _ = read([text], REAL)
    assert left or nearest == float(text)


def test_numbers_of_seventeen_digits_are_read_here() -> None:
    generator = np.random.default_rng(0)
    numbers = np.concatenate(
        [generator.random(20_000), generator.random(20_000) * 1e3, generator.random(20_000) * 1e-6]
    )
    left, reals, _ = read([repr(number) for number in numbers.tolist()], REAL)
    assert not left.any()
    assert (reals == numbers).all()


@given(st.integers(-(2**66), 2**66))
def test_integers_within_int64_are_exact(number: int) -> None:
    (left,), _, (value,) = read([str(number)], ID)
    assert left == (abs(number) >= 2**63)
    assert left or value == number


@given(st.integers(-(2**54), 2**54), st.sampled_from([".0", ".00", ".0e0"]))
def test_whole_floats_are_integers_as_far_as_floats_are_exact(number: int, spelling: str) -> None:
    text = f"{number}{spelling}"
    (left,), _, (value,) = read([text], ID)
    assert left == (abs(number) >= 2**53)
    assert left or value == number == float(text)


@pytest.mark.parametrize("text", ["1.5", "2e-1", "1e1", "12345678901234567890123"])
def test_other_numbers_are_left_to_python_as_ids(text: str) -> None:
    assert read([text], ID)[0].all()


@given(values)
def test_any_value_is_skipped_whole(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, indent=1, ensure_ascii=False)):
        assert skip(data_of(text.encode(errors="surrogatepass")), 0, CONSTANTS) == len(
            text.encode(errors="surrogatepass")
        )


@given(values, st.data())
def test_a_truncated_value_ends_at_the_cut(value: object, data: st.DataObject) -> None:
    whole = json.dumps([value]).encode()
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert skip(data_of(whole[:cut]), 0, CONSTANTS) == ~cut


NOT_JSON = """
nul True infinity -Inf NaNa 01 1. .5 +1 - --1 1e 1e+ 0x1 "\\x" "\\u12G4" 'a'
[1,] [1!2] [} ] {1:2} {"a"!1} {"a":1,} {,}
"""


@pytest.mark.parametrize("text", [*NOT_JSON.split(), '"\t"', "[1\x0b]", "\u00a01"])
def test_invalid_json_is_not_skipped(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)
    end = skip(data_of(text), 0, CONSTANTS)
    assert end < 0 or end < len(text.encode())


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "[1, NaN]"])
def test_nan_and_infinity_are_not_json_but_can_be_skipped(text: str) -> None:
    assert skip(data_of(text), 0, CONSTANTS) == len(text)
    assert skip(data_of(text), 0, JSON) < 0


def test_the_number_of_levels_is_limited() -> None:
    assert skip(data_of("[" * MAX_DEPTH + "]" * MAX_DEPTH), 0, JSON) == 2 * MAX_DEPTH
    assert skip(data_of("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)), 0, JSON) == ~MAX_DEPTH


@pytest.mark.parametrize("key", ["score", r"\u0073core", r"s\u0063\u006Fre"])
def test_keys_may_be_spelled_with_escapes(key: str) -> None:
    assert member(data_of(f' "{key}" : 1'), 0, NAMES, JSON) == (len(key) + 6, 0)


@pytest.mark.parametrize("key", ["", "scor", "scores", "Score", r"\score", r"\u0073cores", "segmentation"])
def test_other_keys(key: str) -> None:
    assert member(data_of(f'"{key}":1'), 0, NAMES, JSON)[1] == len(NAMES)


@pytest.mark.parametrize("escape", [r"\ud800", r"\uDFff"])
def test_halves_of_surrogates_are_refused_on_request(escape: str) -> None:
    assert skip(data_of(f'"{escape}"'), 0, JSON) == 8
    assert skip(data_of(f'"{escape}"'), 0, PAIRED) < 0
