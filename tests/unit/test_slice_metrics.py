"""What the metrics of slices are called, on how many images they rest, and which intervals they have."""

from dataclasses import replace

import numpy as np
import pytest
from classifier_rows import Rows
from gates import gate, judged
from reports import report, run

from longtail_cli import evaluate_classification
from longtail_cli.errors import InputError
from longtail_cli.reports.metric_names import (
    bounds_of,
    canonical,
    counts_images_alike,
    is_resampled,
    lower_is_better,
    part_of,
    slice_of,
    within_slice,
)
from longtail_cli.reports.model import Bootstrap, GroupSize
from longtail_cli.reports.reliance import effective_images, is_withheld, withheld_notes


def sliced(**images):
    """A report on a slice `night`, where AP of rare categories is undefined. images: by part of the slice."""
    one = replace(run("a", 0.0), slices={"night": {"bbox": {"AP": 0.25, "APr": None}}})
    behind = {"all": 100.0, "r": 50.0, **{f"slices/night/{part}": number for part, number in images.items()}}
    return replace(
        report(one), bootstrap=Bootstrap(2, 0, "00", behind), slices={"night": GroupSize(9, 7, 21)},
        groups={"all": GroupSize(10, 100, 300), "r": GroupSize(1, 50, 60)},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("slices/night/bbox/AP", "slices/night/bbox/AP"),
        ("/slices/all/bbox/AP/", "slices/all/bbox/AP"),
        ("slices/main/metrics/bbox/APfixed/APr", "slices/main/bbox/APfixed/APr"),
        ("tide/bbox/groups/r/main/Bkg", "tide/bbox/r/Bkg"),
    ],
)
def test_a_slice_keeps_its_name_even_if_it_is_that_of_a_structure(path, name):
    assert canonical(path) == name


def test_a_metric_of_a_slice_is_like_that_of_all_images():
    assert (slice_of("slices/a=b/bbox/AP"), slice_of("bbox/AP"), slice_of("slices/a")) == ("a=b", None, None)
    assert within_slice("slices/a=b/bbox/APfixed/AP") == "bbox/APfixed/AP"
    assert part_of("slices/night/bbox/APr") == "r"
    assert counts_images_alike("slices/night/bbox/APpool/APr")
    assert lower_is_better("slices/night/classification/ece")
    assert not lower_is_better("slices/ece/classification/top1")
    assert bounds_of("slices/night/classification/nll")[1] == np.inf
    assert is_resampled("slices/night/bbox/APr", "off")
    assert not is_resampled("slices/night/bbox/ARm@300", "off")


def test_a_metric_of_a_slice_rests_on_its_images():
    found = sliced(all=20.0, r=2.5, **{"pooled/all": 7.0, "pooled/r": 4.0})
    assert effective_images(found, "slices/night/bbox/AP") == 20.0
    assert effective_images(found, "slices/night/bbox/APpool/APr") == 4.0
    assert effective_images(found, "slices/night/bbox/APs") is None
    assert is_withheld(found, "slices/night/bbox/APr")
    assert not is_withheld(found, "bbox/APr")


def test_one_note_names_the_slices_without_intervals():
    found = sliced(all=2.0, r=1.25, c=0.0)
    behind = {**found.bootstrap.images, "slices/wet/r": 2.75}
    assert withheld_notes(replace(found, bootstrap=replace(found.bootstrap, images=behind))) == (
        "no intervals in slices for metrics that effectively rest on fewer than 3 images: night, 2.0 for all "
        "categories, 1.2 for rare categories; wet, 2.8 for rare categories",
    )


def test_a_gate_on_a_slice_says_what_it_is_based_on_and_why_it_is_undefined():
    (passed,) = judged(sliced(), gate("slices/night/bbox/AP=0.2"))
    assert passed.message.endswith("not under 0.2; based on 9 categories, 7 images and 21 ground truths")
    (undefined,) = judged(sliced(), gate("slices/night/bbox/APr=0.2"))
    assert undefined.message == "slices/night/bbox/APr of a is undefined: no rare category in the slice"


def test_runs_of_a_report_have_the_same_slices():
    one = replace(run("a", 0.0), slices={"night": {"bbox": {"AP": 0.25}}})
    with pytest.raises(ValueError, match="do not hold the same metrics"):
        report(one, replace(one, name="b", slices={}))


def test_a_slice_of_a_classifier_has_the_metrics_and_intervals_of_a_report_on_its_rows():
    rows = Rows()
    chosen = np.arange(1, 120, 3)
    whole = evaluate_classification(rows.logits, rows.labels, slices={"third": chosen}, bootstrap=20)
    alone = evaluate_classification(rows.logits[chosen], rows.labels[chosen], bootstrap=20)
    own, expected = whole.runs[0], alone.runs[0]
    for metric, value in own.slices["third"]["classification"].items():
        of_alone = getattr(expected.classification, metric)
        assert value == (None if of_alone is None else pytest.approx(of_alone, abs=1e-12))
    intervals = {within_slice(name): one for name, one in own.intervals.items() if slice_of(name) == "third"}
    assert intervals.keys() == expected.intervals.keys()
    for metric, one in expected.intervals.items():
        assert (intervals[metric].low, intervals[metric].high) == pytest.approx((one.low, one.high), abs=1e-12)
    assert whole.slices == {"third": alone.groups["all"]}


def test_rows_without_a_class_are_in_no_slice():
    rows = Rows()
    labels = np.where(np.arange(120) % 2, rows.labels, -1)
    whole = evaluate_classification(rows.logits, labels, slices={"first": range(10)})
    assert whole.slices["first"].instances == 5
    alone = evaluate_classification(rows.logits[1:10:2], labels[1:10:2])
    assert whole.runs[0].slices["first"]["classification"]["top1"] == alone.runs[0].classification.top1
    with pytest.raises(InputError, match="slice even: expected at least one row that has a class, found none"):
        evaluate_classification(rows.logits, labels, slices={"even": [0, 2]})
