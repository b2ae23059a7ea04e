"""The columns of a logits file: stated by the file, a sidecar or parameters, never guessed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from logit_files import DETECTION_METADATA, classification, detection, save

from longtail_cli.errors import InputError
from longtail_cli.files.logits.metadata import Declared
from longtail_cli.files.logits.reader import open_logits
from longtail_cli.tables import LogitColumns

NOTHING = Declared()
DECLARED = Declared("softmax", "last", np.array([3, 1, 7]))


def columns_of(path: Path, declared: Declared = NOTHING) -> LogitColumns:
    return open_logits(path, declared).columns


def message_of(path: Path, declared: Declared = NOTHING) -> str:
    with pytest.raises(InputError) as error:
        open_logits(path, declared)
    return str(error.value)


def bags(tmp_path: Path, width: int = 7, **metadata: Any) -> Path:
    return save(
        tmp_path / "logits.npz", {**detection([2]), "logits": torch.zeros(2, width)}, {"head": "bags", **metadata}
    )


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt"])
def test_parameters_replace_missing_metadata(tmp_path: Path, suffix: str) -> None:
    columns = columns_of(save(tmp_path / f"logits{suffix}", detection([2])), DECLARED)
    assert (columns.head, columns.background, columns.category_id.tolist()) == ("softmax", "last", [3, 1, 7])


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_sidecar_completes_what_the_file_states(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"logits{suffix}", detection([2]), {"head": "sigmoid"})
    (tmp_path / "logits.meta.json").write_text(json.dumps({"background": "last", "category_ids": [3, 1, 7]}))
    columns = columns_of(path)
    assert (columns.head, columns.background, columns.category_id.tolist()) == ("sigmoid", "last", [3, 1, 7])


def test_the_metadata_of_a_folder_are_inside_it(tmp_path: Path) -> None:
    save(tmp_path / "a.npz", detection([2]))
    (tmp_path / "meta.json").write_text(json.dumps(DETECTION_METADATA))
    assert columns_of(tmp_path).category_id.tolist() == [3, 1, 7]


def test_metadata_of_other_libraries_are_ignored(tmp_path: Path) -> None:
    path = save(tmp_path / "logits.safetensors", detection([2]), {**DETECTION_METADATA, "format": "pt", "epoch": "12"})
    assert columns_of(path).head == "softmax"


def test_the_error_names_everything_that_is_missing_with_its_parameter(tmp_path: Path) -> None:
    message = message_of(save(tmp_path / "logits.npz", detection([2])))
    assert "3 problems" in message
    assert "`head`: expected softmax, sigmoid or bags, found none in the file or beside it" in message
    assert "pass `head=` (softmax, sigmoid or bags), or write `head` to logits.meta.json" in message
    assert "pass `background=` (none, first or last), or write `background` to logits.meta.json" in message
    assert "pass `category_ids=` (the category id of each column), or write `category_ids` to logits.meta" in message


def test_a_classifier_needs_no_metadata(tmp_path: Path) -> None:
    path = save(tmp_path / "logits.npz", classification(4))
    file = open_logits(path)
    assert (file.columns.head, file.columns.background, file.columns.category_id.tolist()) == (
        "softmax",
        "none",
        [0, 1, 2],
    )
    (note,) = file.notes
    assert note.startswith("read as a softmax without a background column, as nothing else is stated")
    assert open_logits(path, Declared("softmax")).notes == ()


def test_the_background_of_a_classifier_can_be_stated(tmp_path: Path) -> None:
    path = save(tmp_path / "logits.npz", classification(2), {"head": "softmax", "background": "first"})
    assert columns_of(path).category_id.tolist() == [0, 1]


def test_detection_needs_its_background(tmp_path: Path) -> None:
    path = save(tmp_path / "logits.npz", detection([2]), {"head": "softmax", "category_ids": [3, 1, 7]})
    assert "logits.npz: metadata, `background`: expected none, first or last, found none in the file" in message_of(
        path
    )


def test_the_error_of_a_folder_names_its_own_sidecar(tmp_path: Path) -> None:
    save(tmp_path / "a.npz", detection([2]))
    assert "to meta.json in the folder" in message_of(tmp_path)


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (Declared(head="sigmoid"), "`head=`: expected the value in logits.meta.json (softmax), found sigmoid"),
        (Declared(background="first"), "`background=`: expected the value in logits.meta.json (last), found first"),
        (
            Declared(category_id=np.array([3, 1, 8])),
            "`category_ids=`: expected the value in logits.meta.json (7 at position 2), found 8",
        ),
        (
            Declared(category_id=np.array([3, 1])),
            "`category_ids=`: expected the value in logits.meta.json (3 of them: 3, 1, 7), found 2 of them: 3, 1",
        ),
    ],
)
def test_a_parameter_that_contradicts_the_metadata(tmp_path: Path, declared: Declared, message: str) -> None:
    assert message in message_of(save(tmp_path / "logits.npz", detection([2]), DETECTION_METADATA), declared)


def test_a_parameter_that_agrees_with_the_metadata(tmp_path: Path) -> None:
    assert columns_of(save(tmp_path / "logits.npz", detection([2]), DETECTION_METADATA), DECLARED).head == "softmax"


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"head": "argmax"}, "`head`: expected softmax, sigmoid or bags, found argmax"),
        ({"head": "none"}, "`head`: expected softmax, sigmoid or bags, found none"),
        ({"background": "middle"}, "`background`: expected none, first or last, found middle"),
        ({"head": 5}, "metadata: expected metadata of ltcal-logits/1, found Expected `str | null`, got `int`"),
        ({"category_ids": [3, 1, 3]}, "position 2: expected each id once, found 3, as at position 0"),
        ({"category_ids": [3, 1, 0.5]}, "found Expected `int`, got `float`"),
        ({"category_ids": [3, 1, 2**70]}, "metadata: expected metadata of ltcal-logits/1"),
        ({"category_ids": []}, "category ids: expected at least one, found none"),
        (
            {"category_ids": [3, 1, 7, 8]},
            "tensor `logits`: expected K = 5 columns: 4 classes (category ids) and a background column (last), found 4",
        ),
        ({"background": "none"}, "tensor `logits`: expected K = 3 columns: 3 classes (category ids), found 4 columns"),
        ({"slices": [[3, 1, 7]]}, "`slices`: expected none, unless the head is bags, found 1 slices"),
        ({"format": "ltcal-logits/2"}, "`format`: expected ltcal-logits/1, found ltcal-logits/2"),
    ],
)
@pytest.mark.parametrize("suffix", [".npz", ".pt"])
def test_metadata_that_do_not_fit(tmp_path: Path, suffix: str, metadata: dict[str, Any], message: str) -> None:
    path = save(tmp_path / f"logits{suffix}", detection([2]), {**DETECTION_METADATA, **metadata})
    assert message in message_of(path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"head": "soft\ufffdmax"', '"softmax"'])
def test_invalid_sidecars(tmp_path: Path, text: str) -> None:
    path = save(tmp_path / "logits.npz", detection([2]))
    (tmp_path / "logits.meta.json").write_text(text)
    assert message_of(path, DECLARED).startswith(f"{tmp_path / 'logits.meta.json'}: ")


def test_safetensors_metadata_that_are_not_json(tmp_path: Path) -> None:
    path = save(tmp_path / "logits.safetensors", detection([2]), {**DETECTION_METADATA, "category_ids": "3, 1, 7"})
    assert "metadata: expected metadata of ltcal-logits/1, found JSON is malformed" in message_of(path)


def test_a_bags_head_has_its_background_in_slice_0(tmp_path: Path) -> None:
    columns = columns_of(bags(tmp_path, category_ids=[1, 3, 7], slices=[[3], [1, 7]]))
    assert (columns.head, columns.background, columns.bags) == ("bags", "none", ((3,), (1, 7)))
    assert columns.width == 2 + (1 + 1) + (1 + 2)


@pytest.mark.parametrize("background", ["first", "last"])
def test_a_bags_head_may_say_which_slice_has_its_background(tmp_path: Path, background: str) -> None:
    columns = columns_of(bags(tmp_path, category_ids=[1, 3, 7], slices=[[3], [1, 7]], background=background))
    assert (columns.background, columns.width) == (background, 7)


def test_a_bags_head_without_slices(tmp_path: Path) -> None:
    """They may come from a frequency table later; until then the number of columns cannot be checked."""
    assert columns_of(bags(tmp_path, width=9, category_ids=[1, 3, 7])).bags is None


def test_a_bags_classifier_without_slices_needs_its_category_ids(tmp_path: Path) -> None:
    assert "pass `category_ids=` (" in message_of(save(tmp_path / "logits.npz", classification(2), {"head": "bags"}))


def test_a_bags_classifier_with_slices_has_0_to_c(tmp_path: Path) -> None:
    path = save(tmp_path / "logits.npz", {"logits": torch.zeros(2, 7)}, {"head": "bags", "slices": [[1], [0, 2]]})
    assert columns_of(path).category_id.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"category_ids": [3, 1, 7]}, "category ids: expected ascending order for a bags head"),
        ({"category_ids": [1, 3, 7], "slices": [[3], [1]]}, "category id 7: expected a slice that has it, found none"),
        ({"category_ids": [1, 3], "slices": [[3], [1, 7]]}, "slices: expected category ids of the file, found 7"),
        ({"category_ids": [1, 3, 7], "slices": [[3, 1], [1, 7]]}, "slices, position 2: expected each id once, found 1"),
        (
            {"category_ids": [1, 3, 7], "slices": [[1, 3, 7]]},
            "expected K = 6 columns: 3 classes (category ids), backgro",
        ),
    ],
)
def test_slices_that_do_not_fit(tmp_path: Path, metadata: dict[str, Any], message: str) -> None:
    assert message in message_of(bags(tmp_path, **metadata))


def test_a_scores_file_has_no_head(tmp_path: Path) -> None:
    """The head before the activation is irrelevant; only the classes matter."""
    path = save(tmp_path / "scores.npz", {"scores": torch.zeros(2, 3)}, DETECTION_METADATA)
    columns = columns_of(path, Declared("bags", "first"))
    assert (columns.head, columns.background, columns.category_id.tolist()) == ("none", "none", [3, 1, 7])
    contrary = Declared(category_id=np.array([1, 2, 3]))
    assert "`category_ids=`: expected the value in scores.meta.json (3 at position 0), found 1" in message_of(
        path, contrary
    )


def test_scores_of_another_width(tmp_path: Path) -> None:
    path = save(tmp_path / "scores.npz", {"scores": torch.zeros(2, 3), "category_id": torch.tensor([1, 2])})
    assert "tensor `scores`: expected K = 2 columns: 2 classes (category ids), found 3 columns" in message_of(path)
