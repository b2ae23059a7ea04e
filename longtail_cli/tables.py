"""The nouns: frozen, columnar tables that every stage reads and none changes.

Columns are numpy arrays of one length (struct of arrays); a detection or an object is a row number. Images and
categories are referred to by index into `GroundTruth.image_id` and `Categories.id`, both ascending, so that an index
order is an id order. Boxes are xywh in pixels, float64. A table holds read-only views of the arrays it is made from.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]
Ints = npt.NDArray[np.int32]
Bools = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.uint32]
Singles = npt.NDArray[np.float32]

HeadName = Literal["softmax", "sigmoid", "bags"]
BackgroundName = Literal["none", "first", "last"]
ScoreSpace = Literal["prob", "logit"]

HEADS: tuple[HeadName, ...] = get_args(HeadName)
BACKGROUNDS: tuple[BackgroundName, ...] = get_args(BackgroundName)
SCORE_SPACES: tuple[ScoreSpace, ...] = get_args(ScoreSpace)


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
    """The classes of a data set.

    id: int64 [C], ascending and unique; need not be contiguous, and 0 is a valid id.
    name: C names; empty strings where the file gives none.
    frequency: C letters of ``"r"``, ``"c"``, ``"f"`` (LVIS v1), or None where the file has no such field.
    image_count: int64 [C], images of the training set that hold the class, as LVIS embeds them; or None.
    instance_count: int64 [C], objects of the class in the training set, as LVIS embeds them; or None.
    """

    id: Longs
    name: tuple[str, ...]
    frequency: tuple[str, ...] | None
    image_count: Longs | None
    instance_count: Longs | None

    def __len__(self) -> int:
        return len(self.id)


@dataclass(frozen=True, slots=True)
class Masks(_Columns):
    """N binary masks as uncompressed run lengths, column-major as COCO stores them.

    size: int32 [N, 2], (height, width) in pixels.
    counts: uint32 [total], run lengths of all masks one after another; each mask starts with a run of zeros.
    start: int64 [N + 1]; mask i owns ``counts[start[i]:start[i + 1]]``.
    """

    size: Ints
    counts: Counts
    start: Longs

    def __len__(self) -> int:
        return len(self.size)


@dataclass(frozen=True, slots=True)
class GroundTruth(_Columns):
    """Annotations of a detection data set, COCO or LVIS.

    categories: the C classes.
    image_id: int64 [I], ascending and unique.
    image_position: int32 [I], where each image stands in the file's list of images.
    image_size: int32 [I, 2], (height, width) in pixels; zeros where the file gives none.
    id: int64 [G], ids of the objects, unique, in file order as are all columns of objects; 0 is a valid id.
    image: int32 [G], index into `image_id`.
    category: int32 [G], index into `categories`.
    bbox: float64 [G, 4], xywh in pixels, sizes >= 0.
    area: float64 [G], pixels, as the file states it (for COCO and LVIS the area of the mask), >= 0.
    crowd: bool [G], COCO's ``iscrowd``; False where the file has no such field.
    ignore: bool [G], the field ``ignore``; False where the file has no such field.
    masks: G masks, or None where they were not asked for.
    negative: int32 [P, 2] pairs (image, category) that are stated to be absent, or None outside LVIS.
    not_exhaustive: int32 [Q, 2] pairs (image, category) of which only some objects are annotated, or None.
    source: the file it came from, as the user gave it.

    A set without objects has G = 0; a set without images is refused by the reader.
    """

    categories: Categories
    image_id: Longs
    image_position: Ints
    image_size: Ints
    id: Longs
    image: Ints
    category: Ints
    bbox: Floats
    area: Floats
    crowd: Bools
    ignore: Bools
    masks: Masks | None
    negative: Ints | None
    not_exhaustive: Ints | None
    source: str

    @property
    def federated(self) -> bool:
        """Whether the images say which categories were judged in them (LVIS)."""
        return self.negative is not None and self.not_exhaustive is not None


@dataclass(frozen=True, slots=True)
class Occurrences(_Columns):
    """Which class occurs in which image, one row an object (or a labelled image): all that counting needs.

    categories: the C classes.
    num_images: images in the source, those without objects included.
    image: int32 [G], index of the image, 0 <= image < num_images.
    category: int32 [G], index into `categories`.
    source: the file it came from, as the user gave it.
    """

    categories: Categories
    num_images: int
    image: Ints
    category: Ints
    source: str


@dataclass(frozen=True, slots=True)
class Results(_Columns):
    """A detection result file as it stands, ids not yet looked up, in file order.

    image_id, category_id: int64 [N].
    score: float64 [N], finite.
    bbox: float64 [N, 4], xywh in pixels, sizes >= 0; or None where the file has none or it was not asked for.
    masks: N masks, or None where the file has none or they were not asked for.
    source: the file it came from, as the user gave it.
    """

    image_id: Longs
    category_id: Longs
    score: Floats
    bbox: Floats | None
    masks: Masks | None
    source: str

    def __len__(self) -> int:
        return len(self.score)


@dataclass(frozen=True, slots=True)
class Detections(_Columns):
    """Detections whose images and categories were found in a `GroundTruth`, in file order.

    image: int32 [N], index into `GroundTruth.image_id`.
    category: int32 [N], index into `GroundTruth.categories`.
    score: float64 [N], finite.
    bbox: float64 [N, 4], xywh in pixels, sizes >= 0; from the mask where the file has no ``bbox``.
    area: float64 [N], pixels: width times height, or the mask's area where the file has no ``bbox``; what the size
        ranges of box evaluation go by.
    masks: N masks, or None where the file has none or they were not asked for.
    source: the file it came from, as the user gave it.

    An empty result list has N = 0.
    """

    image: Ints
    category: Ints
    score: Floats
    bbox: Floats
    area: Floats
    masks: Masks | None
    source: str

    def __len__(self) -> int:
        return len(self.score)


@dataclass(frozen=True, slots=True)
class FrequencyTable(_Columns):
    """How often each class occurs in the training set.

    category_id: int64 [C], ascending and unique.
    name: C names.
    image_count: int64 [C], images that hold the class, >= 0.
    instance_count: int64 [C], objects of the class, >= 0; equal to `image_count` for classification.
    group: C labels, ``r``/``c``/``f`` (detection) or ``few``/``medium``/``many`` (classification).
    num_images: images in the source, or None where a table on file does not tell (all its counts are 0).
    fractal_dimension: float64 [C] in [1, 2], how the boxes of the class spread over the image; None where not computed.
    """

    category_id: Longs
    name: tuple[str, ...]
    image_count: Longs
    instance_count: Longs
    group: tuple[str, ...]
    num_images: int | None
    fractal_dimension: Floats | None = None

    def __len__(self) -> int:
        return len(self.category_id)

    @property
    def image_rate(self) -> Floats:
        """float64 [C] in [0, 1]: `image_count` / `num_images`; NaN where the number of images is not known or 0."""
        return self.image_count / (self.num_images or np.nan)


@dataclass(frozen=True, slots=True)
class LogitColumns(_Columns):
    """What the K columns of logits stand for.

    head: ``softmax`` (over all K columns), ``sigmoid`` (each column by itself) or ``bags`` (a softmax in each slice).
    background: where the background column stands, if there is one; ``none`` for ``bags``, whose slice 0 has it.
    category_id: int64 [C], unique, in column order; for ``bags`` in ascending order.
    bags: for a ``bags`` head the category ids of each slice after the first, in column order, every class in one
        slice; None for other heads, and where a file does not tell.
        Slice 0 is [background, foreground], every other [others, its classes] (Li et al., "Overcoming Classifier
        Imbalance for Long-tail Object Detection with Balanced Group Softmax", CVPR 2020, section 3.2).
    """

    head: HeadName
    background: BackgroundName
    category_id: Longs
    bags: tuple[tuple[int, ...], ...] | None = None

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
        """Which columns are the C classes, for ``softmax`` and ``sigmoid``."""
        first = int(self.background == "first")
        return slice(first, first + len(self))


@dataclass(frozen=True, slots=True)
class Logits(_Columns):
    """Consecutive rows of a logits file; for detection, all rows of each image it touches.

    logits: torch tensor [N, K], float16, bfloat16 or float32, on the CPU.
    first: the number of the first row in the file, for messages.
    labels: int64 [N], the true class of each row as an index into `LogitColumns.category_id`; or None.
    image_id: int64 [N], rows of one image together; None for classification.
    boxes: float32 [N, 4], or [N, C, 4] with a box for each class in column order, xyxy in pixels; None for
        classification.
    objectness: float32 [N] in [0, 1], or None.
    features: torch tensor [N, D], the input of the last layer, or None.
    """

    logits: torch.Tensor
    first: int
    labels: Longs | None = None
    image_id: Longs | None = None
    boxes: Singles | None = None
    objectness: Singles | None = None
    features: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.logits)
