"""Counting, groups, and the tail ratio."""

import numpy as np
import pytest

from longtail_cli.errors import InputError, UsageError
from longtail_cli.frequency import (
    classification_groups,
    count,
    detection_groups,
    embedded_counts_differ,
    from_categories,
    named,
    tail_ratio,
)
from longtail_cli.tables import Categories, FrequencyTable, Occurrences


def categories(
    ids: list[int], image_count: list[int] | None = None, instance_count: list[int] | None = None
) -> Categories:
    return Categories(
        np.array(ids),
        tuple(f"class {number}" for number in ids),
        None,
        None if image_count is None else np.array(image_count),
        None if instance_count is None else np.array(instance_count),
    )


def occurrences(pairs: list[tuple[int, int]], classes: int, images: int) -> Occurrences:
    columns = np.array(pairs, np.int32).reshape(-1, 2)
    return Occurrences(categories([10 * c for c in range(classes)]), images, columns[:, 0], columns[:, 1], "train.json")


def table(image_count: list[int], num_images: int | None) -> FrequencyTable:
    counts = np.array(image_count)
    names = tuple("abcdefgh"[: len(counts)])
    return FrequencyTable(np.arange(len(counts)), names, counts, counts, ("r",) * len(counts), num_images)


def test_several_objects_in_one_image_are_one_image() -> None:
    counted = count(occurrences([(0, 1), (0, 1), (0, 1), (2, 1), (2, 0)], classes=3, images=4), detection_groups())
    assert counted.category_id.tolist() == [0, 10, 20]
    assert counted.image_count.tolist() == [1, 2, 0]
    assert counted.instance_count.tolist() == [1, 4, 0]
    assert counted.image_rate.tolist() == [0.25, 0.5, 0]
    assert counted.num_images == 4


def test_counting_equals_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    pairs = [(int(i), int(c)) for i, c in zip(rng.integers(50, size=400), rng.integers(7, size=400), strict=True)]
    counted = count(occurrences(pairs, classes=8, images=50), detection_groups())
    assert counted.image_count.tolist() == [len({i for i, c in pairs if c == k}) for k in range(8)]
    assert counted.instance_count.tolist() == [sum(c == k for _, c in pairs) for k in range(8)]


def test_no_objects() -> None:
    counted = count(occurrences([], classes=2, images=3), detection_groups())
    assert counted.image_count.tolist() == [0, 0]
    assert tail_ratio(counted, 0.5) == 0.0


def test_groups_of_lvis() -> None:
    assert detection_groups().of(np.array([0, 10, 11, 100, 101])) == ("r", "r", "c", "c", "f")


def test_groups_of_classification() -> None:
    assert classification_groups().of(np.array([0, 19, 20, 100, 101])) == ("few", "few", "medium", "medium", "many")


def test_boundaries_are_the_largest_counts_of_their_groups_for_every_source() -> None:
    assert detection_groups(5, 7).of(np.array([5, 6, 7, 8])) == ("r", "c", "c", "f")
    assert classification_groups(5, 7).of(np.array([5, 6, 7, 8])) == ("few", "medium", "medium", "many")


@pytest.mark.parametrize("boundaries", [(100, 10), (0, 5), (10, 10), (-1, 5)])
def test_boundaries_in_wrong_order(boundaries: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="two whole numbers, 0 < low < high"):
        detection_groups(*boundaries)


def test_embedded_counts() -> None:
    stated = categories([1, 5], [3, 200], [4, 900])
    taken = from_categories(stated, detection_groups(), num_images=1000, source="val.json")
    assert taken.image_count.tolist() == [3, 200]
    assert taken.instance_count.tolist() == [4, 900]
    assert taken.group == ("r", "f")
    assert taken.image_rate.tolist() == [0.003, 0.2]


def test_categories_without_counts() -> None:
    with pytest.raises(InputError, match=r"val\.json: categories: .* found no `instance_count`"):
        from_categories(categories([1], [3]), detection_groups(), num_images=None, source="val.json")


def test_fewer_images_than_those_with_a_class() -> None:
    stated = categories([1, 5], [3, 200], [4, 900])
    with pytest.raises(InputError, match="at least the largest `image_count`, 200, found 100"):
        from_categories(stated, detection_groups(), num_images=100, source="val.json")


def test_which_embedded_counts_differ() -> None:
    counted = count(occurrences([(0, 0), (0, 1), (1, 1)], classes=3, images=2), detection_groups())
    assert embedded_counts_differ(categories([0, 10, 20], [1, 2, 0], [1, 2, 0]), counted).tolist() == [False] * 3
    assert embedded_counts_differ(categories([0, 10, 20], [1, 9, 0], [1, 2, 7]), counted).tolist() == [
        False,
        True,
        True,
    ]
    assert embedded_counts_differ(categories([0, 10, 20]), counted).tolist() == [False] * 3


def test_tail_ratio_by_hand() -> None:
    counts = table([1, 2, 7, 90], num_images=100)
    assert tail_ratio(counts, 0.02) == 0.01  # 0.02 is not below 0.02
    assert tail_ratio(counts, 0.1) == 0.1
    assert tail_ratio(counts, 0.91) == 1.0
    assert tail_ratio(counts, 0.0) == 0.0


def test_tail_ratio_needs_the_number_of_images() -> None:
    with pytest.raises(UsageError, match=r"`tail_ratio=`: image rates: .*\nFix: state it with `num_images=`"):
        tail_ratio(table([1, 2], None), 0.1)


def test_classes_in_notes() -> None:
    counts = table([1, 2, 3, 4], 10)
    assert named(counts, np.array([True, False, True, False])) == "0 a, 2 c"
    assert named(counts, np.ones(4, bool), limit=2) == "0 a, 1 b and 2 more"
