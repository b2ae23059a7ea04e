"""Frequency tables of public training sets that come with the package, by name.

Counts are facts; nothing but them and the names of the classes is taken from the sources. The tables of LVIS,
COCO and Places-LT lie in `longtail_cli/data`, each with a digest that is checked when it is read; those of long-tailed
CIFAR follow from a formula.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import numpy as np

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.frequency_columns import RawTable, table_of
from longtail_cli.tables import FrequencyTable


@dataclass(frozen=True, slots=True)
class ShippedTable:
    """A table in `longtail_cli/data`, called NAME.csv."""

    source: str
    """Where the counts were read: repository, commit and path."""
    sha256: str
    """Hex digest of the file, in UTF-8 with lines that end in a line feed."""


TABLES: Mapping[str, ShippedTable] = {
    "lvis-v1": ShippedTable(
        "facebookresearch/Detic, 436cda2, datasets/metadata/lvis_v1_train_cat_info.json; its image counts are those of "
        "facebookresearch/detectron2, 02b5c4e, detectron2/data/datasets/lvis_v1_category_image_count.py",
        "a1939b5491fa97715d3ce87fc2741bc2aff9db6a3319b6af948dc5a560acf134",
    ),
    "lvis-v0.5": ShippedTable(
        "empMEMORY/vision-language-fsod, 259d841, datasets/metadata/lvis_v0.5_train_cat_info.json",
        "dd337c727031895897ecfc55e5922c61b288b80c94035b8dd5e0e531e8be7fa5",
    ),
    "coco-2017": ShippedTable(
        "kostas1515/iif, e04d4a6, instance_segmentation/coco_files/idf_91.csv; its object counts are those of "
        "GabrielEug2/tcc-instance-segm, a00d3a3, 0-informacoes_do_coco/classdist_train.json. Crowd regions are "
        "included, which `ltcal compute-freq` leaves out when it counts annotations",
        "2f076896b548f127ed998e176f95c814fdec5250e4ab95d1039fc644b3805943",
    ),
    "places-lt": ShippedTable(
        "facebookresearch/classifier-balancing, f162ade, data/Places_LT/Places_LT_train.txt; the same counts as in "
        "dvlab-research/MiSLAS, datasets/data_txt/Places_LT_train.txt",
        "dfda294385bc8c8414e9dfe6a6d6f36766ba61367887b4aff1f6b806f43e652c",
    ),
}

CIFAR_IMAGES = {"cifar10-lt": (10, 5000), "cifar100-lt": (100, 500)}
"""Classes of CIFAR, and the training images of each."""
_CIFAR_SOURCE = "the formula of kaidic/LDAM-DRW, 2536330, imbalance_cifar.py"

NAMES = (*TABLES, *(f"{name}:IMB" for name in CIFAR_IMAGES))
"""What may be asked for; IMB is the ratio of the largest count to the smallest, such as 100."""

NOT_SHIPPED = {
    "imagenet-lt": "ImageNet_LT_train.txt",
    "inat18": "train2018.json",
}
"""Well-known training sets without a table here, and the file of each that can be counted."""

_RATIO = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")


def shipped_name(path: Path) -> str | None:
    """The name of a shipped table if `path` is one, as a word that a file of this name takes precedence over."""
    name = str(path)
    known = name in TABLES or name.partition(":")[0] in CIFAR_IMAGES
    return name if known and not path.exists() else None


def shipped_table(name: str) -> FrequencyTable:
    """The table of a name that `shipped_name` returned.

    Raises InputError if the ratio after ``cifar100-lt:`` is not a number from 1 to the images of a class, or the file
    is not the one that was checked.
    """
    family, _, ratio = name.partition(":")
    return _cifar(name, family, ratio) if family in CIFAR_IMAGES else _from_file(name)


def shipped_source(name: str) -> str:
    """Where the counts of a shipped table are from."""
    return TABLES[name].source if name in TABLES else _CIFAR_SOURCE


def misspelt(path: Path) -> bool:
    """Whether `path`, which is no file, looks like the name of a shipped table or of one that is not shipped."""
    return not path.exists() and bool(get_close_matches(str(path), [*NAMES, *NOT_SHIPPED], 1))


def unknown_table(path: Path) -> InputError:
    """The error of a word that names neither a file nor a shipped table."""
    name = str(path)
    counted = NOT_SHIPPED.get(name)
    near = get_close_matches(name, NAMES, 1)
    if counted is not None:
        fix = f"its counts do not come with the package: count them with `ltcal compute-freq {counted}`"
    else:
        fix = f"did you mean {near[0]}?" if near else "check the path, or count the training set: `ltcal compute-freq`"
    expected = f"the file of a frequency table, or one of {', '.join(NAMES)}"
    return InputError(name, [Problem("frequencies", expected, "neither")], fix)


def _from_file(name: str) -> FrequencyTable:
    text = (files("longtail_cli") / "data" / f"{name}.csv").read_text(encoding="utf-8")
    found = sha256(text.encode()).hexdigest()
    if found != TABLES[name].sha256:
        problem = Problem("SHA-256 of the shipped table", TABLES[name].sha256, found)
        raise InputError(name, [problem], "install the package again: its file has been changed")
    header, *rows = csv.reader(text.splitlines())
    return table_of(RawTable(dict(zip(header, zip(*rows, strict=True), strict=True)), None), name)


def _cifar(name: str, family: str, ratio: str) -> FrequencyTable:
    """Class c of C has floor(n_max · (1/IMB)^(c/(C-1))) images, in the order of the labels (Cao et al. 2019)."""
    classes, largest = CIFAR_IMAGES[family]
    if not _RATIO.fullmatch(ratio) or not 1 <= float(ratio) <= largest:
        expected = f"a number from 1 to {largest}: the images of the largest class for each of the smallest"
        raise InputError(name, [Problem("imbalance ratio", expected, ratio or "none")], f"for example {family}:100")
    shares = [(1 / float(ratio)) ** (c / (classes - 1)) for c in range(classes)]
    counts = np.array([int(largest * share) for share in shares], np.int64)
    groups = np.searchsorted([19, 100], counts)
    return FrequencyTable(
        category_id=np.arange(classes),
        name=("",) * classes,
        image_count=counts,
        instance_count=counts,
        group=tuple(("few", "medium", "many")[group] for group in groups.tolist()),
        num_images=int(counts.sum()),
    )
