"""Frozen, columnar tables that every stage reads and none changes.

Columns are NumPy arrays of one length (struct of arrays); a detection or an object is a row index. Images and
categories are indices into `GroundTruth.image_id` and `Categories.id`, both ascending, so index order is id order.
Boxes are xywh in pixels, float64. A table holds read-only views of the arrays it is made from.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from longtail_cli.choices import BackgroundName, BoxFormat, CategoryKey, HeadName, ImageKey, SliceKey
from longtail_cli.errors import missing_package

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.uint32]
Singles = npt.NDArray[np.float32]

LARGEST_COORDINATE = 1e150
"""Of the four numbers of a box, so that areas and what is computed from them are finite."""


@dataclass(frozen=True)
class _Columns:
    """Replaces the arrays of a table by read-only views; the caller's arrays stay as they are."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                view = value.view()
                view.setflags(write=False)
                object.__setattr__(self, field.name, view)


@dataclass(frozen=True, slots=True)
class Categories(_Columns):
    """The classes of a data set."""

    id: Longs
    """int64 [C], ascending and unique; need not be contiguous, and 0 is a valid id."""
    name: tuple[str, ...]
    """C names; empty strings if the file has none."""
    frequency: tuple[str, ...] | None
    """C letters of ``"r"``, ``"c"``, ``"f"`` (LVIS v1); None if the file has no such field."""
    image_count: Longs | None
    """int64 [C], images of the training set that hold the class, as embedded in LVIS annotations; or None."""
    instance_count: Longs | None
    """int64 [C], objects of the class in the training set, as embedded in LVIS annotations; or None."""

    def __len__(self) -> int:
        return len(self.id)


@dataclass(frozen=True, slots=True)
class Masks(_Columns):
    """N binary masks as uncompressed run lengths, column-major as in COCO."""

    size: Ints
    """int32 [N, 2], (height, width) in pixels."""
    counts: Counts
    """uint32 [total], the run lengths of all masks one after another; each mask starts with a run of zeros."""
    start: Longs
    """int64 [N + 1]; mask i is ``counts[start[i]:start[i + 1]]``."""

    def __len__(self) -> int:
        return len(self.size)


@dataclass(frozen=True, slots=True)
class GroundTruth(_Columns):
    """Annotations of a detection data set, COCO or LVIS.

    Columns of objects are in file order. A set without objects has G = 0; a set without images is refused by the
    reader.
    """

    categories: Categories
    """The C classes."""
    image_id: Longs
    """int64 [I], ascending and unique."""
    image_position: Ints
    """int32 [I], the position of each image in the file's list of images."""
    image_size: Ints
    """int32 [I, 2], (height, width) in pixels; zeros if the file has none."""
    id: Longs
    """int64 [G], ids of the objects, unique; 0 is a valid id."""
    image: Ints
    """int32 [G], index into `image_id`."""
    category: Ints
    """int32 [G], index into `categories`."""
    bbox: Floats
    """float64 [G, 4], xywh in pixels, sizes >= 0."""
    area: Floats
    """float64 [G], pixels, as the file states it (for COCO and LVIS the area of the mask), >= 0."""
    crowd: Bools
    """bool [G], COCO's ``iscrowd``; False if the file has no such field."""
    ignore: Bools
    """bool [G], the field ``ignore``; False if the file has no such field."""
    masks: Masks | None
    """G masks; None if they were not read."""
    negative: Ints | None
    """int32 [P, 2] pairs (image, category) that are stated to be absent; None outside LVIS."""
    not_exhaustive: Ints | None
    """int32 [Q, 2] pairs (image, category) of which only some objects are annotated; None outside LVIS."""
    source: str
    """The file it was read from, as the user gave it."""
    image_name: tuple[str, ...] = ()
    """The file name of each of the I images, empty for an image without one; or () if they were not read."""

    @property
    def federated(self) -> bool:
        """Whether the images say which categories were judged in them (LVIS)."""
        return self.negative is not None and self.not_exhaustive is not None


@dataclass(frozen=True, slots=True)
class DataSet(_Columns):
    """The images and categories that annotations list, without their objects."""

    image_id: Longs
    """int64 [I], in the order of the file."""
    image_size: Ints
    """int32 [I, 2], (height, width) in pixels; zeros for an image without a size."""
    category_id: Longs
    """int64 [C], ascending and unique."""
    source: str
    """The file it was read from, as the user gave it."""

    @classmethod
    def of(cls, truth: GroundTruth) -> DataSet:
        """Those of annotations that were read."""
        order = np.argsort(truth.image_position)
        return cls(truth.image_id[order], truth.image_size[order], truth.categories.id, truth.source)


@dataclass(frozen=True, slots=True)
class Occurrences(_Columns):
    """Which class occurs in which image, one row per object or labelled image: all that counting needs."""

    categories: Categories
    """The C classes."""
    num_images: int
    """Images in the source, including those without objects."""
    image: Ints
    """int32 [G], index of the image, 0 <= image < num_images."""
    category: Ints
    """int32 [G], index into `categories`."""
    source: str
    """The file it was read from, as the user gave it."""


@dataclass(frozen=True, slots=True)
class Convention:
    """How detections that were saved name their images and categories, and write their boxes."""

    format: str = "COCO results"
    """What was recognised, in the words of docs/inputs.md."""
    images: ImageKey = "id"
    """``id``: `Results.image_id` holds ids of the annotations. ``name``: indices into `image_names`. ``position``: the
    positions of the images in the file of the annotations."""
    image_names: tuple[str, ...] = ()
    """File names, or parts of them such as stems; empty unless `images` is ``name``."""
    categories: CategoryKey = "id"
    """``id``: `Results.category_id` holds ids of the annotations. ``index``: 0 to C - 1 in order of these ids.
    ``name``: indices into `category_names`."""
    category_names: tuple[str, ...] = ()
    """Empty unless `categories` is ``name``."""
    boxes: BoxFormat = "xywh"
    """What the four numbers of `Results.bbox` are."""
    listed: int | None = None
    """Images that the file lists, with and without detections; None if it only lists detections."""
    notes: tuple[str, ...] = ()
    """What a reader of the results should know, one sentence each."""


@dataclass(frozen=True, slots=True)
class Results(_Columns):
    """The content of a detection result file in file order, ids not yet looked up."""

    image_id: Longs
    """int64 [N]."""
    category_id: Longs
    """int64 [N]."""
    score: Floats
    """float64 [N], finite."""
    bbox: Floats | None
    """float64 [N, 4], finite, as `Convention.boxes` says; None if the file has none or they were not read."""
    masks: Masks | None
    """N masks; None if the file has none or they were not read."""
    source: str
    """The file it was read from, as the user gave it."""
    convention: Convention = Convention()
    """What ids and boxes mean: by default ids of the annotations, and xywh in pixels."""
    entry: Longs | None = None
    """int64 [N], ascending, the number of each row in the whole file; None if all rows of the file are here."""

    def __len__(self) -> int:
        return len(self.score)

    def entry_of(self, row: int) -> int:
        """The number of a row in the whole file."""
        return row if self.entry is None else int(self.entry[row])


@dataclass(frozen=True, slots=True)
class Detections(_Columns):
    """Detections whose images and categories were found in a `GroundTruth`, in file order; N = 0 if there are none."""

    image: Ints
    """int32 [N], index into `GroundTruth.image_id`."""
    category: Ints
    """int32 [N], index into `GroundTruth.categories`."""
    score: Floats
    """float64 [N], finite."""
    bbox: Floats
    """float64 [N, 4], xywh in pixels, sizes >= 0; from the mask if the file has no ``bbox``."""
    area: Floats
    """float64 [N], pixels: width times height, or the mask's area if the file has no ``bbox``; decides the area range
    in box evaluation."""
    masks: Masks | None
    """N masks; None if the file has none or they were not read."""
    source: str
    """The file they were read from, as the user gave it."""
    within_limit: Bools | None = None
    """bool [N], whether each is within the limit per image of the decoder, which leaves the best of an image; only
    Fixed AP and pooled AP evaluate the others. None if all are."""

    def __len__(self) -> int:
        return len(self.score)


@dataclass(frozen=True, slots=True)
class FrequencyTable(_Columns):
    """How often each class occurs in the training set."""

    category_id: Longs
    """int64 [C], ascending and unique."""
    name: tuple[str, ...]
    """C names."""
    image_count: Longs
    """int64 [C], images that hold the class, >= 0."""
    instance_count: Longs
    """int64 [C], objects of the class, >= 0; equal to `image_count` for classification."""
    group: tuple[str, ...]
    """C labels, ``r``/``c``/``f`` (detection) or ``few``/``medium``/``many`` (classification)."""
    num_images: int | None
    """Images in the source; None if unknown."""
    fractal_dimension: Floats | None = None
    """float64 [C] in [1, 2], how the boxes of the class spread over the image; None if not computed."""

    def __len__(self) -> int:
        return len(self.category_id)

    @property
    def image_rate(self) -> Floats:
        """float64 [C] in [0, 1]: `image_count` / `num_images`; NaN if the number of images is unknown or 0."""
        return self.image_count / (self.num_images or np.nan)

    @property
    def columns(self) -> dict[str, list[Any]]:
        """The columns as lists of Python values, by the names that they have in files."""
        dimension = self.fractal_dimension
        return {
            "category_id": self.category_id.tolist(),
            "name": list(self.name),
            "image_count": self.image_count.tolist(),
            "instance_count": self.instance_count.tolist(),
            "group": list(self.group),
            "image_rate": self.image_rate.tolist(),
            **({} if dimension is None else {"fractal_dimension": dimension.tolist()}),
        }

    def to_frame(self) -> Any:
        """A pandas DataFrame with the columns of a frequency table in CSV. Raises MissingExtraError without pandas."""
        try:
            pandas: Any = import_module("pandas")
        except ImportError as error:
            raise missing_package("pandas", "data frames", "pandas") from error
        return pandas.DataFrame(self.columns)


@dataclass(frozen=True, slots=True)
class Slices(_Columns):
    """S >= 1 named sets of images or rows, each with at least one and none twice; they may overlap."""

    name: tuple[str, ...]
    """S different names, of characters that can be printed and without ``/``."""
    start: Longs
    """int64 [S + 1]; slice s holds members ``start[s]:start[s + 1]``."""
    key: SliceKey
    """What `member` holds: ``image_id``; ``row``, the numbers of rows of a classifier, from 0; ``number``, either of
    them, as lists in JSON do not say which; or ``file_name``, indices into `file_names`."""
    member: Longs
    """int64 [M]."""
    source: str
    """The file they were read from, as the user gave it."""
    file_names: tuple[str, ...] = ()
    """The different file names; () unless `key` is ``file_name``."""

    def __len__(self) -> int:
        """S."""
        return len(self.name)


@dataclass(frozen=True, slots=True)
class LogitColumns(_Columns):
    """The meaning of the K columns of logits or scores."""

    head: HeadName
    """``softmax`` (over all K columns), ``sigmoid`` (each column by itself), ``bags`` (a softmax in each slice), or
    ``none`` for scores, which need no activation."""
    background: BackgroundName
    """The position of the background column, if any. For ``bags`` that of the slice of background and foreground:
    ``last``, or the first for ``first`` and ``none``."""
    category_id: Longs
    """int64 [C], unique, in column order; for ``bags`` in ascending order."""
    bags: tuple[tuple[int, ...], ...] | None = None
    """For a ``bags`` head the category ids of each slice with classes, in column order, every class in one slice;
    None for other heads, or if unknown.

    Such a slice is [others, its classes]. The slice before them is [background, foreground] (Li et al., "Overcoming
    Classifier Imbalance for Long-tail Object Detection with Balanced Group Softmax", CVPR 2020, section 3.2); as the
    last slice, in EQLv2's code, it is [others, background], and what is not the background is the foreground.
    """

    def __len__(self) -> int:
        """C, the number of classes."""
        return len(self.category_id)

    @property
    def width(self) -> int | None:
        """K, the number of columns; None for a ``bags`` head without slices."""
        if self.head == "bags":
            return None if self.bags is None else len(self) + 2 + len(self.bags)
        return len(self) + (self.background != "none")

    @property
    def classes(self) -> slice:
        """Which columns are the C classes, except for ``bags``."""
        first = int(self.background == "first")
        return slice(first, first + len(self))


@dataclass(frozen=True, slots=True)
class Logits(_Columns):
    """Consecutive rows of a logits file; for detection, all rows of each of its images."""

    logits: torch.Tensor
    """[N, K], float16, bfloat16 or float32, on the CPU; [N, 0] of features alone."""
    first: int
    """The index of the first row in the file."""
    labels: Longs | None = None
    """int64 [N], the true class of each row as an index into `LogitColumns.category_id`; or None."""
    image_id: Longs | None = None
    """int64 [N], rows of one image together; None for classification."""
    boxes: Singles | None = None
    """float32 [N, 4], or [N, C, 4] with one box per class in column order, xyxy in pixels; None for classification."""
    objectness: Singles | None = None
    """float32 [N] in [0, 1], or None."""
    features: torch.Tensor | None = None
    """[N, D], the input of the last layer, or None."""

    def __len__(self) -> int:
        return len(self.logits)
