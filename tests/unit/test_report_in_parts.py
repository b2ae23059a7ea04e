"""A report in parts is that of one process, whatever the parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from cases import Entry, make_case, write_case
from random_parts import report_in_parts

from longtail_cli.errors import UsageError
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.methods.registry import parse_method
from longtail_cli.reports.json import to_json
from longtail_cli.workflow.compute_freq import compute_freq
from longtail_cli.workflow.options import BootstrapOptions, ExecutionOptions
from longtail_cli.workflow.partitioned import match
from longtail_cli.workflow.partitioned.report import evaluate_in_parts
from longtail_cli.workflow.report_detection import evaluate

SCENES = Path(__file__).parents[2] / "examples" / "digit_scenes"
VAL, FOUND = SCENES / "val.json", SCENES / "predictions.json"
EVERYTHING = EvaluationOptions(fixed_ap=True, pooled_ap=True, reliability=True, per_category=True)


@pytest.mark.parametrize("protocol", ["lvis", "coco"])
@pytest.mark.parametrize(("number", "buckets", "piece"), [(1, 256, 100_000), (7, 3, 1000)])
def test_every_metric_is_that_of_one_process(
    protocol: str, number: int, buckets: int, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with several categories in a bucket, and objects of others in between; whole, or in pieces."""
    monkeypatch.setattr(match, "LEAST_BUCKETS", buckets)
    options = replace(EVERYTHING, protocol=protocol, max_dets=20, thresholds=True)
    whole = evaluate([FOUND], VAL, options=options)
    found = report_in_parts([FOUND], VAL, options=options, number=number, piece=piece)
    assert to_json(found) == to_json(whole)
    assert found.thresholds == whole.thresholds


def test_intervals_are_those_of_one_process() -> None:
    bootstrap = BootstrapOptions(40)
    whole = evaluate([FOUND], VAL, options=EVERYTHING, bootstrap=bootstrap)
    found = report_in_parts([FOUND], VAL, options=EVERYTHING, bootstrap=bootstrap, piece=1000)
    assert to_json(found) == to_json(whole)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("protocol", ["lvis", "coco"])
def test_the_report_of_any_small_file_is_that_of_one_process(
    tmp_path: Path, seed: int, masks: bool, protocol: str
) -> None:
    """With parts that hold no detections, categories without any, ties, crowd regions and scores beyond 1.

    Buckets are reduced whole, or in pieces of some rows, or of one row.
    """
    annotations, found = make_case(seed, protocol=protocol, masks=masks, crowded_image=seed == 0)
    truth, first = write_case(tmp_path, annotations, found)
    whole = evaluate([first], truth, options=EVERYTHING)
    found_in_parts = report_in_parts([first], truth, options=EVERYTHING, seed=seed, piece=[1000, 5, 1][seed])
    assert to_json(found_in_parts) == to_json(whole)


@pytest.mark.parametrize("max_dets", [20, 300])
def test_runs_of_methods_have_the_notes_of_one_process(max_dets: int) -> None:
    table, _ = compute_freq(SCENES / "train.json", counts=None, groups=None, task=None)
    methods = [parse_method(spec) for spec in ("none", "iif:variant=relative", "norcal", "temperature:t=2")]
    options = EvaluationOptions(max_dets=max_dets, fixed_ap=True)
    whole = evaluate([FOUND], VAL, frequencies=table, methods=methods, options=options)
    found = report_in_parts([FOUND], VAL, table=table, methods=methods, options=options)
    assert replace(found, signature=whole.signature) == whole
    assert max_dets == 20 or whole.warnings


SECOND_FILES: dict[str, Callable[[list[Entry]], list[Entry]]] = {
    "the same": lambda found: found,
    "other scores in the same order": lambda found: [{**one, "score": one["score"] / 2} for one in found],
    "other scores in another order": lambda found: [{**one, "score": 1 - one["score"]} for one in found],
    "other boxes": lambda found: [{**one, "bbox": [*one["bbox"][:3], one["bbox"][3] + 1]} for one in found],
    "other categories": lambda found: [{**one, "category_id": 17} for one in found],
    "another order of the rows": lambda found: Random(0).sample(found, len(found)),
    "fewer rows": lambda found: found[1:],
}


@pytest.mark.parametrize("name", SECOND_FILES)
@pytest.mark.parametrize("protocol", ["lvis", "coco"])
def test_two_files_are_compared_as_one_process_does(tmp_path: Path, name: str, protocol: str) -> None:
    """Although they are divided in different ways. Files that only differ in scores have a warning if AP cannot."""
    entries = json.loads(FOUND.read_bytes())[::7]
    files = [tmp_path / "first.json", tmp_path / "second.json"]
    for file, found in zip(files, [entries, SECOND_FILES[name](entries)], strict=True):
        file.write_text(json.dumps(found))
    options = EvaluationOptions(protocol=protocol, tide="off")
    whole = evaluate(files, VAL, options=options)
    assert to_json(report_in_parts(files, VAL, options=options, piece=100)) == to_json(whole)
    assert bool(whole.warnings) == (name == "other scores in the same order")


def test_what_needs_all_detections_is_refused() -> None:
    options = EvaluationOptions(tide="tidecv", per_image=True)
    with pytest.raises(UsageError) as refused:
        evaluate_in_parts(
            [FOUND], VAL, execution=ExecutionOptions(memory=10**9), options=options,
            bootstrap=BootstrapOptions(2, significance=True), slices={},
        )  # fmt: skip
    assert str(refused.value) == (
        "`engine=` and `memory=`: options: expected those that are computed in parts, "
        "found `tide='tidecv'`, `slices=`, `per_image=`, `significance=`\n"
        "Fix: leave these out; or leave out `engine=` and `memory=`, to evaluate all detections in one process"
    )
