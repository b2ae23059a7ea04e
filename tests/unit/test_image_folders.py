"""A folder with a folder of images for each class."""

from pathlib import Path

import pytest

from longtail_cli.errors import InputError
from longtail_cli.files.classes.folders import read_image_folder


def make(root: Path, *paths: str) -> Path:
    """Empty files below `root`; a path that ends in a slash is a folder."""
    for path in paths:
        target = root / path
        (target if path.endswith("/") else target.parent).mkdir(parents=True, exist_ok=True)
        if not path.endswith("/"):
            target.touch()
    return root


def counts(root: Path) -> dict[str, int]:
    found = read_image_folder(root)
    numbers = [0] * len(found.categories)
    for category in found.category.tolist():
        numbers[category] += 1
    return dict(zip(found.categories.name, numbers, strict=True))


def message_of(root: Path) -> str:
    with pytest.raises(InputError) as error:
        read_image_folder(root)
    return str(error.value)


def test_folders_are_classes_in_order_of_their_names(tmp_path: Path) -> None:
    found = read_image_folder(make(tmp_path, "dog/1.jpg", "Cat/1.jpg", "ant/1.jpg", "ant/2.jpg"))
    assert found.categories.name == ("Cat", "ant", "dog")  # capitals first, as Python sorts
    assert found.categories.id.tolist() == [0, 1, 2]
    assert found.category.tolist() == [0, 1, 1, 2]
    assert found.num_images == 4


def test_images_at_any_depth_and_in_any_case(tmp_path: Path) -> None:
    assert counts(make(tmp_path, "a/x.JPEG", "a/b/c/x.Tiff", "a/x.webp", "a/x.txt", "a/x.jpg.bak")) == {"a": 3}


def test_an_empty_folder_is_a_class_without_images(tmp_path: Path) -> None:
    assert counts(make(tmp_path, "a/1.jpg", "b/", "c/notes.txt")) == {"a": 1, "b": 0, "c": 0}


def test_hidden_files_and_empty_hidden_folders_are_ignored(tmp_path: Path) -> None:
    assert counts(make(tmp_path, "a/1.jpg", "a/._1.jpg", ".ipynb_checkpoints/", ".DS_Store", "0.jpg")) == {"a": 1}


def test_a_hidden_folder_with_images_is_a_class_as_in_torchvision(tmp_path: Path) -> None:
    assert counts(make(tmp_path, "a/1.jpg", ".b/1.jpg")) == {".b": 1, "a": 1}


def test_links_are_followed(tmp_path: Path) -> None:
    store = make(tmp_path / "store", "x/1.jpg", "x/y/2.jpg")
    root = make(tmp_path / "set", "a/1.jpg")
    (root / "b").symlink_to(store / "x")
    (root / "a" / "2.jpg").symlink_to(tmp_path / "gone.jpg")
    assert counts(root) == {"a": 2, "b": 2}


def test_a_link_that_leads_back_is_refused(tmp_path: Path) -> None:
    root = make(tmp_path, "a/1.jpg")
    (root / "a" / "again").symlink_to(root / "a")
    assert "is a link to a folder that it lies in" in message_of(root)


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    folder = bytes(tmp_path) + b"/caf\xe9"
    try:
        Path(folder.decode("utf-8", "surrogateescape")).mkdir()
    except OSError:
        pytest.skip("the file system takes UTF-8 alone")
    make(tmp_path, "caf\udce9/1.jpg")
    assert counts(tmp_path) == {"caf\N{REPLACEMENT CHARACTER}": 1}


def test_the_folders_of_splits_are_no_classes(tmp_path: Path) -> None:
    message = message_of(make(tmp_path, "train/cat/1.jpg", "val/cat/1.jpg"))
    assert "folders: expected a folder for each class, with images in it, found train, val" in message
    assert f"pass the folder of the training set: {tmp_path / 'train'}" in message


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        ((), "found no folders\n"),
        (("1.jpg",), "found no folders, and files such as 1.jpg\nFix: put the images of each class into a folder"),
        (("labels/1.txt",), "found 1 folder without images\nFix: images end in .jpg"),
        (("a/1.txt", "b/1.txt", "README"), "found 2 folders without images, and files such as README"),
    ],
)
def test_nothing_to_count(tmp_path: Path, paths: tuple[str, ...], found: str) -> None:
    assert found in message_of(make(tmp_path, *paths))


def test_a_folder_that_cannot_be_listed(tmp_path: Path) -> None:
    assert "folder: expected a folder that can be listed" in message_of(tmp_path / "nowhere")
