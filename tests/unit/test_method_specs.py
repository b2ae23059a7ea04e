"""Specs as methods, and the choice of a tuning as a method that knows what it was tuned for."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tunings import TUNED_ON, tuning_of

import longtail_cli as ltcal
from longtail_cli.errors import InputError, UsageError
from longtail_cli.methods.registry import parse_method
from longtail_cli.reports.origin import InputDigest, Origin
from longtail_cli.reports.tuning.json import to_json
from longtail_cli.workflow.method_specs import method_of, space_files, spec_files
from longtail_cli.workflow.saved_method import read_tuning

SPEC = "norcal:gamma=0.5"
LOGITS = Origin("logits", "softmax", "last", (7, 1), (InputDigest("predictions", "val.npz", "00ff"),), {})
ENTRIES = [{"image_id": 1, "category_id": id_, "bbox": [0, 0, 2, 2], "score": 0.5} for id_ in (1, 7)]
COUNTS = {1: 10, 7: 1000}


def write(path: Path, tuned_on: Origin, spec: str = SPEC) -> str:
    path.write_text(to_json(tuning_of(spec, tuned_on)), encoding="utf-8")
    return f"@{path}"


def test_a_spec_in_words():
    assert method_of("norcal:0.5") == parse_method(SPEC)
    assert method_of("iif", {"zero_count": "smooth"}) == parse_method("iif:zero_count=smooth")
    assert spec_files(["iif", "temperature:t=1e+20"], [method_of("iif")]) == ()
    chain = parse_method("vector:file=a.npz+target-prior:prior=file,file=t.csv")
    assert spec_files([], [chain]) == (Path("a.npz"), Path("t.csv"))
    assert space_files(["vector:file=a.npz+temperature:t=0.5..2", "iif:variant=*"]) == (Path("a.npz"),)


@pytest.mark.parametrize("spec", ["bcts", "platt:sizes=3", "classifier:loss=iif"])
def test_what_is_learned_has_to_be_fitted_first(spec: str) -> None:
    with pytest.raises(UsageError, match=r"learned from labelled data\nFix: fit it with `ltcal fit`, and pass"):
        method_of(spec)


def test_the_choice_of_a_tuning(tmp_path):
    spec = write(tmp_path / "tuned+1.json", TUNED_ON)
    method = method_of(spec, {"zero_count": "smooth"})
    assert (method.spec, method.uses_counts) == (SPEC, True)
    assert spec_files(["iif", spec], [method]) == (tmp_path / "tuned+1.json",)
    assert read_tuning(tmp_path / "tuned+1.json").chosen.spec == SPEC


@pytest.mark.parametrize("spec", ["@tuned.json+iif", "iif+@tuned.json", "iif + @tuned.json"])
def test_a_tuning_is_no_part_of_a_chain(spec):
    with pytest.raises(UsageError, match=r"`method=`: spec: expected a file alone, such as @tuned.json, found"):
        method_of(spec)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "a file that can be read"),
        (b"", "an empty file"),
        (b"\xff", "a tuning in JSON, which is UTF-8"),
        (b"[]", "pass a JSON file that `ltcal tune` wrote"),
    ],
)
def test_a_file_that_is_no_tuning_is_refused(tmp_path, content, message):
    path = tmp_path / "tuned.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        method_of(f"@{path}")


def test_result_files(tmp_path):
    spec = write(tmp_path / "tuned.json", replace(TUNED_ON, category_ids=(7, 1)))  # in any order
    assert ltcal.rescore(ENTRIES, COUNTS, spec) == ltcal.rescore(ENTRIES, COUNTS, SPEC)


def test_result_files_of_other_classes(tmp_path):
    spec = write(tmp_path / "tuned.json", replace(TUNED_ON, category_ids=(1, 2)))
    with pytest.raises(InputError) as caught:
        ltcal.rescore(ENTRIES, COUNTS, spec)
    assert str(caught.value) == (
        f"{tmp_path / 'tuned.json'}: tuned for other classes or another head: categories: expected the 2 tuned on, "
        "found 2: 2 missing, 7 unknown\n"
        "Fix: apply it to the model that it was tuned on (val.json), or tune again on this one"
    )


def test_without_counts_a_result_file_may_lack_classes_but_not_add_some(tmp_path):
    spec = write(tmp_path / "tuned.json", TUNED_ON, "temperature:t=2.0")
    assert len(ltcal.rescore(ENTRIES[:1], None, spec)) == 1
    with pytest.raises(InputError, match="found 1: 1, 7 missing, 9 unknown"):
        ltcal.rescore([{**ENTRIES[0], "category_id": 9}], None, spec)


def test_logits(tmp_path):
    spec, rows = write(tmp_path / "tuned.json", LOGITS), np.arange(6, dtype=np.float32).reshape(2, 3)
    adjusted = ltcal.adjust(rows, COUNTS, spec, background="last", category_ids=[1, 7])
    assert (adjusted == ltcal.adjust(rows, COUNTS, SPEC, background="last", category_ids=[1, 7])).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"background": "first"},
            "head: expected softmax, background last, as tuned on, found softmax, background fir",
        ),
        ({"background": "last", "head": "sigmoid"}, "found sigmoid, background last"),
        ({"background": "last", "category_ids": [1, 8]}, "categories: expected the 2 tuned on, found 2: 7 missing, 8"),
    ],
)
def test_logits_of_another_head_or_other_classes(tmp_path, options, message):
    spec, counts = write(tmp_path / "tuned.json", LOGITS), dict.fromkeys(options.get("category_ids", COUNTS), 5)
    with pytest.raises(InputError, match=message):
        ltcal.adjust(np.zeros((2, 3), np.float32), counts, spec, **options)


def test_a_tuning_of_the_other_kind_of_input_is_refused(tmp_path):
    results, logits = write(tmp_path / "a.json", TUNED_ON), write(tmp_path / "b.json", LOGITS)
    with pytest.raises(InputError, match=r"one score per detection .* as tuned on, found full logits"):
        ltcal.adjust(np.zeros((2, 2), np.float32), COUNTS, results, head="sigmoid")
    with pytest.raises(InputError, match="full logits, as tuned on, found one score per detection"):
        ltcal.rescore(ENTRIES, COUNTS, logits)
