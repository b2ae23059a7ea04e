"""Counts per class that were passed as class labels."""

import numpy as np
import pytest

from longtail_cli.errors import InputError
from longtail_cli.files.classes.mistaken import may_be_counts, refuse_counts
from longtail_cli.files.labels import labels_from_array
from longtail_cli.files.shipped import shipped_table

RNG = np.random.default_rng(0)

COUNTS = {
    name: shipped_table(name).image_count
    for name in ("cifar10-lt:10", "cifar10-lt:100", "cifar100-lt:10", "cifar100-lt:100", "places-lt", "lvis-v1")
} | {
    "pareto, sorted": np.sort((RNG.pareto(1.5, 8142) * 10 + 2).astype(int).clip(2, 1000))[::-1],
    "three classes": np.array([1280, 700, 300]),
    "step": np.array([5000] * 5 + [50] * 5),
}
LABELS = {
    "balanced": np.arange(1000) % 10,
    "long-tailed": RNG.permutation(np.repeat(np.arange(100), shipped_table("cifar100-lt:100").image_count)),
    "sorted": np.repeat(np.arange(365), shipped_table("places-lt").image_count),
    "sorted the other way": np.repeat(np.arange(365), shipped_table("places-lt").image_count)[::-1],
    "few of many classes": RNG.integers(0, 200, 5000) * 5,
    "one image": np.array([0]),
    "a few images": np.array([3, 0, 1]),
    "one class": np.zeros(9, int),
}


@pytest.mark.parametrize("name", list(COUNTS))
def test_counts_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="if they are counts per class, pass them as `counts=`"):
        refuse_counts(labels_from_array(COUNTS[name]))


@pytest.mark.parametrize("name", list(LABELS))
def test_labels_are_not(name: str) -> None:
    labels = labels_from_array(LABELS[name])
    refuse_counts(labels)
    assert not may_be_counts(labels)


def test_counts_in_no_order_of_many_classes_are_only_suspected() -> None:
    labels = labels_from_array(RNG.permutation(COUNTS["pareto, sorted"]))
    refuse_counts(labels)
    assert may_be_counts(labels)


def test_what_was_found_is_said() -> None:
    with pytest.raises(InputError) as error:
        refuse_counts(labels_from_array(COUNTS["three classes"], "cls_num_list.npy"))
    assert str(error.value) == (
        "cls_num_list.npy: content: expected one class index for each image; as labels, 1278 of 1281 classes would "
        "never occur, found 3 numbers from 300 to 1280, which fall from the first to the last\n"
        "Fix: if they are counts per class, pass them as `counts=`; if they are labels, number the classes that occur "
        "0, 1, 2, ..."
    )
