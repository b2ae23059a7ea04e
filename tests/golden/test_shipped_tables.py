"""The tables that come with the package, against what is known of their data sets.

LVIS v1: ultralytics/ultralytics, ultralytics/cfg/datasets/lvis.yaml (100,170 training images) and the letters of
facebookresearch/detectron2, detectron2/data/datasets/lvis_v1_categories.py (337 rare, 461 common, 405 frequent). LVIS
v0.5: lvis_v0_5_categories.py there (454, 461, 315). COCO: train2017 has 118,287 images with 860,001 annotations, crowd
regions among them. Places-LT: Liu et al., CVPR 2019, section 5 (62,500 images of 365
classes, from 4,980 to 5 images). Long-tailed CIFAR: Cao et al., NeurIPS 2019; papers state 10,847 images for
CIFAR-100-LT and 12,406 for CIFAR-10-LT with a ratio of 100.
"""

from collections import Counter
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

import longtail_cli
from longtail_cli.errors import InputError
from longtail_cli.files.frequencies import frequencies_csv, frequencies_sha256, read_frequencies
from longtail_cli.files.shipped import NOT_SHIPPED, TABLES, shipped_name, shipped_table

DATA = Path(longtail_cli.__file__).parent / "data"


@pytest.mark.parametrize(
    ("name", "classes", "images", "objects", "pairs", "largest", "smallest", "groups"),
    [
        ("lvis-v1", 1203, 100_170, 1_270_141, 360_952, 1977, 1, {"r": 337, "c": 461, "f": 405}),
        ("lvis-v0.5", 1230, None, 693_958, 201_417, 1145, 1, {"r": 454, "c": 461, "f": 315}),
        ("coco-2017", 80, 118_287, 860_001, 342_996, 64_115, 189, {"f": 80}),
        ("places-lt", 365, 62_500, 62_500, 62_500, 4980, 5, {"many": 131, "medium": 163, "few": 71}),
        ("cifar100-lt:100", 100, 10_847, 10_847, 10_847, 500, 5, {"many": 35, "medium": 35, "few": 30}),
        ("cifar100-lt:50", 100, 12_608, 12_608, 12_608, 500, 10, None),
        ("cifar100-lt:10", 100, 19_573, 19_573, 19_573, 500, 50, None),
        ("cifar10-lt:100", 10, 12_406, 12_406, 12_406, 5000, 50, None),
        ("cifar10-lt:50", 10, 13_996, 13_996, 13_996, 5000, 100, None),
        ("cifar10-lt:10", 10, 20_431, 20_431, 20_431, 5000, 500, None),
    ],
)
def test_totals(
    name: str, classes: int, images: int | None, objects: int, pairs: int, largest: int, smallest: int,
    groups: dict[str, int] | None,
) -> None:  # fmt: skip
    table = shipped_table(name)
    assert (len(table), table.num_images) == (classes, images)
    assert (table.instance_count.sum(), table.image_count.sum()) == (objects, pairs)
    assert (table.image_count.max(), table.image_count.min()) == (largest, smallest)
    assert (table.instance_count >= table.image_count).all()
    assert groups is None or Counter(table.group) == groups


def test_single_classes() -> None:
    lvis = shipped_table("lvis-v1")
    assert (lvis.category_id[0], lvis.name[0], lvis.image_count[0], lvis.instance_count[0]) == (
        1,
        "aerosol_can",
        64,
        109,
    )
    assert (lvis.category_id[-1], lvis.name[-1], lvis.group[-1]) == (1203, "zucchini", "c")
    coco = shipped_table("coco-2017")
    assert (coco.category_id[-1], coco.name[-1], coco.image_count[-1], coco.instance_count[-1]) == (
        90,
        "toothbrush",
        1007,
        1954,
    )
    places = shipped_table("places-lt")
    assert (places.category_id[0], places.name[0], places.image_count[0]) == (0, "airfield", 219)
    assert places.category_id.tolist() == list(range(365))


def test_every_file_is_listed_and_is_what_compute_freq_writes() -> None:
    assert {path.stem for path in DATA.iterdir()} == set(TABLES)
    for name, listed in TABLES.items():
        assert frequencies_csv(shipped_table(name), {}) == (DATA / f"{name}.csv").read_text(encoding="utf-8")
        assert frequencies_sha256(Path(name)) == listed.sha256
    assert sum(path.stat().st_size for path in DATA.iterdir()) < 200_000


@pytest.mark.parametrize("ratio", ["1", "2.5", "200", "500"])
def test_the_formula_of_long_tailed_cifar(ratio: str) -> None:
    table = shipped_table(f"cifar100-lt:{ratio}")
    factor = 1 / float(ratio)
    assert table.image_count.tolist() == [int(500 * (factor ** (c / (100 - 1.0)))) for c in range(100)]
    assert table.category_id.tolist() == list(range(100))
    assert sha256(frequencies_csv(table, {}).encode()).hexdigest() == frequencies_sha256(Path(f"cifar100-lt:{ratio}"))


@pytest.mark.parametrize("name", ["cifar100-lt", "cifar100-lt:", "cifar100-lt:0", "cifar100-lt:501", "cifar10-lt:1e2"])
def test_ratios_that_no_data_set_has(name: str) -> None:
    with pytest.raises(InputError, match="imbalance ratio: expected a number from 1 to"):
        read_frequencies(Path(name))


@pytest.mark.parametrize("name", list(NOT_SHIPPED))
def test_what_is_not_shipped_can_be_counted(name: str) -> None:
    with pytest.raises(InputError) as error:
        read_frequencies(Path(name))
    assert "lvis-v1, lvis-v0.5, coco-2017, places-lt, cifar10-lt:IMB, cifar100-lt:IMB" in str(error.value)
    assert f"count them with `ltcal compute-freq {NOT_SHIPPED[name]}`" in str(error.value)


def test_a_file_takes_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shipped_name(Path("lvis-v1")) == "lvis-v1"
    assert shipped_name(Path("./lvis-v1.csv")) is None
    Path("lvis-v1").touch()
    assert shipped_name(Path("lvis-v1")) is None


def test_a_changed_file_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLES, "lvis-v1", TABLES["places-lt"])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="install the package again"):
        read_frequencies(Path("lvis-v1"))


def test_counts_are_whole_numbers() -> None:
    assert shipped_table("cifar10-lt:100").image_count.dtype == np.int64
