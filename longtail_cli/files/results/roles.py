"""Which column of a table of detections holds what, by the names that are in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from longtail_cli.choices import BoxFormat
from longtail_cli.files.faults import Fault, fault

IMAGES = ("image_id", "image", "img", "imageid")
CATEGORIES = ("category_id", "class_id", "label_id", "label", "class", "category")
"""Of ids or names, as their values say."""

IMAGE_NAMES = ("file_name", "filename", "image_path")
CATEGORY_NAMES = ("category_name", "class_name", "labelname")
"""Of names, also if they look like numbers."""

SCORES = ("score", "scores", "confidence", "conf")
SEGMENTATIONS = ("segmentation",)

BOXES: Mapping[tuple[str, ...], BoxFormat] = {
    ("bbox",): "xywh",
    ("x", "y", "w", "h"): "xywh",
    ("x", "y", "width", "height"): "xywh",
    ("left", "top", "width", "height"): "xywh",
    ("bbox_x", "bbox_y", "bbox_w", "bbox_h"): "xywh",
    ("x1", "y1", "x2", "y2"): "xyxy",
    ("xmin", "ymin", "xmax", "ymax"): "xyxy",
    ("left", "top", "right", "bottom"): "xyxy",
    ("cx", "cy", "w", "h"): "cxcywh",
    ("xc", "yc", "w", "h"): "cxcywh",
    ("cx", "cy", "width", "height"): "cxcywh",
    ("x_center", "y_center", "width", "height"): "cxcywh",
}
"""What the numbers of a box are, by the names of their columns, or of one column of lists."""

OPEN_IMAGES = ("XMin", "YMin", "XMax", "YMax")
"""In this spelling the corners are shares of the image's size, as in the CSV files of Open Images
(https://storage.googleapis.com/openimages/web/evaluation.html)."""


@dataclass(frozen=True, slots=True)
class Roles:
    """The names of the columns as they are spelled in a table."""

    image: str = "image_id"
    category: str = "category_id"
    score: str = "score"
    box: tuple[str, ...] = ("bbox",)
    """One column of lists, or four of numbers; empty if the table has no boxes."""
    boxes: BoxFormat = "xywh"
    segmentation: str | None = "segmentation"
    named_images: bool = False
    """Whether images are names even if all of them look like numbers."""
    named_categories: bool = False
    """As `named_images`."""
    notes: tuple[str, ...] = ()
    """Which columns were left out because others say the same."""

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that are read, each once."""
        masks = () if self.segmentation is None else (self.segmentation,)
        return tuple(dict.fromkeys((self.image, self.category, self.score, *self.box, *masks)))


COCO = Roles()
"""The columns of COCO results."""


def looks_like_detections(names: Sequence[str]) -> bool:
    """Whether a table with these columns is meant to hold detections: boxes or masks, and what they are of."""
    folded = {name.lower() for name in names}
    located = _families(names) or folded & set(SEGMENTATIONS)
    known = (*IMAGES, *IMAGE_NAMES), (*CATEGORIES, *CATEGORY_NAMES), SCORES
    return bool(located) and sum(bool(folded & set(one)) for one in known) >= 2


def roles_of(names: Sequence[str], first: Mapping[str, Any]) -> tuple[Roles, list[Fault]]:
    """The roles of the columns of a table, and what is wrong with them: a role that no column has, or more than one.

    first: the values of the first row, which say whether images and categories are ids or names: a text that is no
    integer, or anything in a column whose name says so, is a name. Where a table has both, the ids are read.
    """
    faults: list[Fault] = []
    image, named_images, of_images = _key("images", names, first, IMAGES, IMAGE_NAMES, faults)
    category, named_categories, of_categories = _key("categories", names, first, CATEGORIES, CATEGORY_NAMES, faults)
    score = _only("scores", _spelled(names, SCORES), SCORES, faults)
    segmentation = _spelled(names, SEGMENTATIONS)
    families = _families(names)
    if len(families) > 1:
        found = " and ".join(", ".join(f"`{name}`" for name in family) for family in families)
        faults.append(fault("columns", "the box of each detection once", found, _FIX_ONE))
    if not families and not segmentation:
        known = ", ".join(f"`{','.join(one)}`" for one in BOXES)
        faults.append(fault("columns", f"boxes ({known}) or `segmentation`", ", ".join(names), _FIX_NAME))
    family = families[0] if families else ()
    repeated = [name for name in family if len(_spelled(names, (name.lower(),))) > 1]
    faults += [fault("columns", f"one column `{name}`", "more than one", _FIX_ONE) for name in repeated]
    return Roles(
        image=image,
        category=category,
        score=score,
        box=family,
        boxes=_format(family),
        segmentation=segmentation[0] if segmentation else None,
        named_images=named_images,
        named_categories=named_categories,
        notes=(*of_images, *of_categories),
    ), faults


_FIX_ONE = "keep one of them: remove or rename the others"
_FIX_NAME = "give the column one of these names"


def _key(
    what: str,
    names: Sequence[str],
    first: Mapping[str, Any],
    either: Sequence[str],
    always: Sequence[str],
    faults: list[Fault],
) -> tuple[str, bool, tuple[str, ...]]:
    """The column of images or categories, whether it surely holds names, and a note if there are ids and names."""
    found, named = _spelled(names, either), _spelled(names, always)
    ids = [name for name in found if not _is_name(first.get(name))]
    texts = [*(name for name in found if name not in ids), *named]
    column = _only(what, ids or texts, (*either, *always), faults)
    if not ids or not texts:
        return column, column in named, ()
    unread = " and ".join(f"`{name}`" for name in texts)
    return column, False, (f"{what} are told by the ids in `{column}`; the names in {unread} are not read",)


def _is_name(value: object) -> bool:
    if not isinstance(value, str):
        return False
    return not value.strip().removeprefix("-").partition(".")[0].isdecimal()


def _only(what: str, found: Sequence[str], known: Sequence[str], faults: list[Fault]) -> str:
    """The only one of `found`; with a fault and the first known name if there is none."""
    if not found:
        faults.append(fault("columns", f"a column of {what}: one of {', '.join(known)}", "none", _FIX_NAME))
        return known[0]
    if len(found) > 1:
        shown = " and ".join(f"`{name}`" for name in found)
        faults.append(fault("columns", f"one column of {what}", shown, _FIX_ONE))
    return found[0]


def _spelled(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """Those of `names` that are known, whatever their case; in the order of `known`."""
    return [name for one in known for name in names if name.lower() == one]


def _families(names: Sequence[str]) -> list[tuple[str, ...]]:
    """The columns of each set of four numbers, or of lists, that hold a box."""
    spelled = {name.lower(): name for name in names}
    families = [tuple(spelled[one] for one in family) for family in BOXES if all(one in spelled for one in family)]
    return families


def _format(family: tuple[str, ...]) -> BoxFormat:
    if family == OPEN_IMAGES:
        return "relative-xyxy"
    return BOXES.get(tuple(name.lower() for name in family), "xywh")
