"""The tuning as JSON, ltcal-tuned/1."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tunings import classification_tuning, detection_tuning, held_out, partial_tuning

from longtail_cli.errors import InputError
from longtail_cli.reports.tuning.json import from_json, to_json

U64 = st.integers(0, 2**64 - 1)


def test_the_schema():
    document = json.loads(to_json(detection_tuning()))
    assert document["format"] == "ltcal-tuned/1"
    assert document["chosen"]["spec"] == "norcal:gamma=0.5"
    assert document["report"]["format"] == "ltcal-report/1"
    assert "resamples" not in document["report"]
    assert document["heldout"] is None
    assert document["tuned_on"]["images"] == {"1": "a/000001.jpg", "42": "b/000042.jpg"}
    assert document["candidates"][4]["settings"] == {"variant": "raw", "strength": 0.5}


def test_digests_of_rows_are_compact():
    assert json.loads(to_json(classification_tuning()))["tuned_on"]["rows"] == "AAAAAAAAAAD//////////xEAAAAAAAAA"


@pytest.mark.parametrize(
    "tuning",
    [detection_tuning(), partial_tuning(), classification_tuning(), replace(detection_tuning(), heldout=held_out())],
    ids=["detection", "partial", "classification", "heldout"],
)
def test_what_is_written_reads_back_equal(tuning):
    assert from_json(to_json(tuning), "here") == tuning


@given(
    st.lists(U64).map(tuple),
    st.dictionaries(st.integers(-(2**63), 2**63 - 1), st.text()),
    st.floats(allow_nan=False, allow_infinity=False) | st.none(),
    st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False) | st.text()),
)
def test_any_values_read_back_equal(rows, images, value, settings):
    whole = detection_tuning()
    first = replace(whole.candidates[0], settings=settings, objective=value, error=value)
    one = replace(
        whole,
        candidates=(first, *whole.candidates[1:]),
        tuned_on=replace(whole.tuned_on, rows=rows, images=images),
        chosen=replace(whole.chosen, in_sample=value),
    )
    assert from_json(to_json(one), "here") == one


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "truncated"),
        ("[]", "Fix: this is a list, like a result file: pass a JSON file that `ltcal tune` wrote"),
        ("{}", "missing required field `format`"),
        ('{"format": "ltcal-report/1"}', "format: expected ltcal-tuned/1, found ltcal-report/1"),
        ('{"format": "ltcal-tuned/2"}', "has another schema: update ltcal"),
        ('{"format": "ltcal-tuned/1"}', "a tuning (ltcal-tuned/1), found Object missing required field"),
    ],
)
def test_anything_else_is_refused_with_the_reason(text, found):
    with pytest.raises(InputError) as caught:
        from_json(text, "tuned.json")
    assert str(caught.value).startswith("tuned.json: ")
    assert found in str(caught.value)


@pytest.mark.parametrize(
    ("part", "wrong", "found"),
    [
        ('"folds":2', '"folds":"two"', "got `str`"),
        ('"rows":""', '"rows":"AAAA"', "8 bytes each"),
        ('"run":"chosen"', '"run":"other"', "expected a run 'other' in the report"),
        ('"name":"chosen"', '"name":"none"', "unique names"),
    ],
)
def test_a_damaged_tuning_is_refused(part, wrong, found):
    compact = json.dumps(json.loads(to_json(detection_tuning())), separators=(",", ":"))
    assert part in compact
    with pytest.raises(InputError, match=found):
        from_json(compact.replace(part, wrong, 1), "tuned.json")


def test_a_tuning_without_candidates_is_refused():
    with pytest.raises(InputError, match="at least one candidate"):
        from_json(to_json(replace(detection_tuning(), candidates=())), "tuned.json")


@given(st.data())
def test_a_truncated_tuning_is_refused(data):
    text = to_json(partial_tuning()).rstrip()
    with pytest.raises(InputError):
        from_json(text[: data.draw(st.integers(0, len(text) - 1))], "tuned.json")
