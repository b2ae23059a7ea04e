"""Names of categories are compared between a frequency table and annotations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import ground_truth
from frequency_tables import table

from longtail_cli.errors import InputError
from longtail_cli.tables import FrequencyTable, GroundTruth
from longtail_cli.workflow.category_names import compared_names


def counted(names: dict[int, str]) -> FrequencyTable:
    return replace(table([1] * len(names), ids=sorted(names)), name=tuple(names[id_] for id_ in sorted(names)))


def annotated(names: dict[int, str]) -> GroundTruth:
    truth = ground_truth([], categories=len(names))
    own = tuple(names[id_] for id_ in sorted(names))
    return replace(truth, categories=replace(truth.categories, id=np.array(sorted(names)), name=own))


@pytest.mark.parametrize(
    ("in_table", "in_annotations"),
    [
        ({1: "cat", 2: "dog"}, {1: "cat", 2: "dog"}),
        ({1: "Traffic_Light", 2: "dog"}, {1: "traffic light", 2: "DOG"}),
        ({1: "", 2: ""}, {1: "cat", 2: "dog"}),
        ({1: "1", 2: "2"}, {1: "cat", 2: "dog"}),
        ({1: "1", 2: "2"}, {1: "0", 2: "1"}),
        ({1: "cat", 2: "dog", 3: "cow"}, {1: "cat", 2: "dog"}),
        ({5: "cat"}, {1: "cat"}),  # ids that only one has are for others to refuse
    ],
)
def test_names_that_agree_or_are_missing(in_table: dict[int, str], in_annotations: dict[int, str]) -> None:
    assert compared_names(counted(in_table), annotated(in_annotations)) == ()
    assert compared_names(None, annotated(in_annotations)) == ()


def test_a_synonym_is_a_note() -> None:
    notes = compared_names(counted({1: "cat", 2: "puppy"}), annotated({1: "cat", 2: "dog"}))
    assert notes == (
        "the frequency table and made by the test have different names for 1 of the ids: 2 is 'puppy' and 'dog'",
    )


def test_a_name_with_another_id_is_refused() -> None:
    with pytest.raises(InputError) as raised:
        compared_names(counted({1: "background", 2: "cat", 3: "dog"}), annotated({1: "cat", 2: "dog", 3: "cow"}))
    assert str(raised.value) == (
        "`frequencies=`: 2 problems\n"
        "  category_id 2 (cat): expected the same class in made by the test, found it has id 1 there\n"
        "  category_id 3 (dog): expected the same class in made by the test, found it has id 2 there\n"
        "Fix: count the training set that has the ids of these annotations, or correct the ids in the table"
    )


def test_a_name_of_several_categories_is_no_evidence() -> None:
    notes = compared_names(counted({1: "cat", 2: "mouse"}), annotated({1: "mouse", 2: "mouse (animal)", 3: "mouse"}))
    assert len(notes) == 1
