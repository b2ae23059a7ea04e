"""The byte-by-byte kernels against Python: `float` for numbers, `json` for values."""

import json
import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from longtail_cli.files.results.json_kernels import MAX_DEPTH, integer, name_of, real, rows_of, skip

NAMES = rows_of("score", "bbox")

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
    end, value = real(data_of(text), 0)
    assert end == len(text)
    assert math.isnan(value) or bits(value) == bits(float(text))


@given(st.floats(1e-40, 1e40), st.sampled_from([-1, 0, 1]))
def test_numbers_at_the_edge_between_two_floats(value: float, step: int) -> None:
    digits, power = midpoint(value).split("e")
    text = f"{int(digits) + step}e{power}"
    nearest = real(data_of(text), 0)[1]
    assert math.isnan(nearest) or nearest == float(text)


def test_numbers_of_seventeen_digits_are_nearly_all_read_here() -> None:
    generator = np.random.default_rng(0)
    numbers = np.concatenate(
        [generator.random(20_000), generator.random(20_000) * 1e3, generator.random(20_000) * 1e-6]
    )
    read = np.array([real(data_of(repr(number)), 0)[1] for number in numbers.tolist()])
    left = np.isnan(read)
    assert left.mean() < 0.005
    assert (read[~left] == numbers[~left]).all()


@given(st.integers(-(2**66), 2**66))
def test_integers_within_int64_are_exact(number: int) -> None:
    end, value, settled = integer(data_of(str(number)), 0)
    assert end == len(str(number))
    assert settled == (abs(number) < 2**63)
    assert not settled or value == number


@given(st.integers(-(2**54), 2**54), st.sampled_from([".0", ".00", ".0e0"]))
def test_whole_floats_are_integers_as_far_as_floats_are_exact(number: int, spelling: str) -> None:
    text = f"{number}{spelling}"
    _, value, settled = integer(data_of(text), 0)
    assert settled == (abs(number) <= 2**53)
    assert not settled or value == number == float(text)


@pytest.mark.parametrize("text", ["1.5", "2e-1", "1e1", "12345678901234567890123"])
def test_other_numbers_are_left_to_python_as_ids(text: str) -> None:
    assert not integer(data_of(text), 0)[2]


@given(values)
def test_any_value_is_skipped_whole(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, indent=1, ensure_ascii=False)):
        assert skip(data_of(text.encode(errors="surrogatepass")), 0, False) == len(text.encode(errors="surrogatepass"))


@given(values, st.data())
def test_a_truncated_value_ends_at_the_cut(value: object, data: st.DataObject) -> None:
    whole = json.dumps([value]).encode()
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert skip(data_of(whole[:cut]), 0, False) == ~cut


NOT_JSON = """
nul True infinity -Inf NaNa 01 1. .5 +1 - --1 1e 1e+ 0x1 "\\x" "\\u12G4" 'a'
[1,] [1!2] [} ] {1:2} {"a"!1} {"a":1,} {,}
"""


@pytest.mark.parametrize("text", [*NOT_JSON.split(), '"\t"', "[1\x0b]", "\u00a01"])
def test_invalid_json_is_not_skipped(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)
    end = skip(data_of(text), 0, False)
    assert end < 0 or end < len(text.encode())


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "[1, NaN]"])
def test_nan_and_infinity_are_not_json_but_can_be_skipped(text: str) -> None:
    assert skip(data_of(text), 0, False) == len(text)
    assert skip(data_of(text), 0, True) < 0


def test_the_number_of_levels_is_limited() -> None:
    assert skip(data_of("[" * MAX_DEPTH + "]" * MAX_DEPTH), 0, True) == 2 * MAX_DEPTH
    assert skip(data_of("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)), 0, True) == ~MAX_DEPTH


@pytest.mark.parametrize("key", ["score", r"\u0073core", r"s\u0063\u006Fre"])
def test_keys_may_be_spelled_with_escapes(key: str) -> None:
    assert name_of(data_of(f'"{key}"'), 0, NAMES) == 0


@pytest.mark.parametrize("key", ["", "scor", "scores", "Score", r"\score", r"\u0073cores", "segmentation"])
def test_other_keys(key: str) -> None:
    assert name_of(data_of(f'"{key}"'), 0, NAMES) == len(NAMES)
