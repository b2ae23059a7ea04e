"""Whether ids and boxes of predictions mean what is stated, judged by the annotations.

Detections whose class ids are off by one, or whose boxes are corners taken for sizes, are read without complaint and
give plausible metrics that are wrong. The guard reads a sample of the detections in each way that is in use, and asks
how many boxes fit the annotations: whether a box overlaps an object with an IoU of at least `MATCH`, for image ids and
boxes; and for categories whether one of the objects that it overlaps so is of its class. The sample are the `PER_IMAGE`
detections of the highest scores of each of up to `IMAGES` images, which are spread over the file.

What is stated is used. Another reading fits better by far, and stops the run, only if

- it is possible: under it all ids of the file are in the annotations, and no box has a negative size;
- at least `MIN_BOXES` boxes can tell;
- the share that agrees is `RATIO` times that of what is stated: a reading with which more than a quarter agree is safe.
  A reading that is not possible is never safe, as the ids are refused anyway: it is then enough to name the right one;
- the difference of the shares is at least `DIFFERENCE`, and at least `SPREAD` / sqrt(images). The boxes of an image
  are not independent, so that images count; the share of agreeing boxes in an image has a standard deviation of at most
  1/2, and the difference between two readings that fit equally hardly more, so this is about four standard errors;
- for categories, more boxes agree than by chance: Cohen's kappa, (agreement - chance) / (1 - chance), is at least
  `KAPPA`. Chance is the agreement when classes are dealt out anew among the boxes. A detector that always answers one
  class agrees by chance alone, and is evaluated, unless no object is of any class that the file states: then there is
  nothing to evaluate.

A weak detector that is read as it should be does not meet these conditions: it would have to take one class for its
neighbour in the order of ids more than four times as often as for what it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from longtail_cli.choices import BOX_FORMATS, BoxFormat
from longtail_cli.errors import InputError, Problem
from longtail_cli.evaluation.geometry import overlaps
from longtail_cli.evaluation.protocol import Protocol, objects_of
from longtail_cli.evaluation.selection import by_category
from longtail_cli.files.masks import mask_boxes
from longtail_cli.files.results.rows import results_at
from longtail_cli.tables import Detections, GroundTruth, Ints, Longs, Results
from longtail_cli.workflow.locate_detections import index_of
from longtail_cli.workflow.names import with_ids_for_names
from longtail_cli.workflow.options import ConventionOptions
from longtail_cli.workflow.readings import (
    PARTS,
    RELATIVE,
    IdPart,
    IdReading,
    Listing,
    Meaning,
    Part,
    as_xywh,
    meaning_of,
)

IMAGES = 2000
PER_IMAGE = 5
MATCH = 0.5
MIN_BOXES = 20
RATIO = 4
DIFFERENCE = 0.1
SPREAD = 2.0
KAPPA = 0.1
LOST = 0.05

_PROBES = 4 * IMAGES
_TABLE = 1 << 22

Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class Reading:
    """One meaning of the image ids, the category ids, or the boxes of a file."""

    name: str
    """In words, such as ``ids + 1``."""
    option: str
    """The parameters that state it, such as `` `category_offset=1` ``; empty if there are none."""
    agreeing: int
    """Boxes that agree with the annotations."""
    boxes: int
    """Boxes of the sample that can tell, >= 0."""
    images: int
    """Images that these boxes are in."""
    possible: bool
    """Whether the whole file can mean this: its ids are in the annotations, and no box has a negative size."""
    chance: float = 0.0
    """The share that would agree if classes were dealt out anew among the boxes; 0 for images and boxes."""

    @property
    def agreement(self) -> float | None:
        """The share of the boxes that agree, in [0, 1]; None if there are none."""
        return self.agreeing / self.boxes if self.boxes else None

    @property
    def kappa(self) -> float:
        """Agreement beyond chance, at most 1; 0 if all agree by chance."""
        return ((self.agreement or 0.0) - self.chance) / (1 - self.chance) if self.chance < 1 else 0.0


@dataclass(frozen=True, slots=True)
class Question:
    """The meanings that one part of a file may have."""

    part: Part
    stated: Reading
    """What is used."""
    others: tuple[Reading, ...]
    """Empty if an option, a name or the length of a list settles it."""
    better: Reading | None
    """The one of `others` that fits better by far, if any."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the meanings of ids and boxes agree with the annotations."""

    images: Question
    categories: Question
    boxes: Question
    sampled_images: int
    sampled_boxes: int

    @property
    def questions(self) -> tuple[Question, ...]:
        """All of them."""
        return self.images, self.categories, self.boxes


def examined(results: Results, truth: GroundTruth, options: ConventionOptions) -> Verdict:
    """How the meanings that the ids and boxes of a file may have agree with the annotations.

    Raises InputError for names that are not in the annotations, and UsageError for options that contradict the file.
    """
    meaning = meaning_of(results.convention, options, results.source)
    results = with_ids_for_names(results, truth)
    return Examination(sample_of(results), numbers_in(results), truth, meaning).verdict


def check_meaning(results: Results, truth: GroundTruth, meaning: Meaning) -> tuple[str, ...]:
    """Raise InputError if another reading of the results, which have no names, fits better by far than `meaning`.

    Returns a warning for what no reading fits: kappa, for images and boxes the share that agrees, is below `LOST`.
    """
    if meaning.settled == PARTS:
        return ()
    return Examination(sample_of(results), numbers_in(results), truth, meaning).warnings()


@dataclass(frozen=True, slots=True)
class _Matches:
    """The objects that the boxes of a sample overlap."""

    judged: Longs
    """int64, rows of the sample: boxes in images that have objects, or that are not in the annotations."""
    row: Longs
    """int64 [P], ascending, rows of the sample."""
    category: Ints
    """int32 [P], of the object."""


class Examination:
    """A sample of the detections of a file, and the objects they may be of."""

    def __init__(self, sample: Results, numbers: Mapping[IdPart, Longs], truth: GroundTruth, meaning: Meaning) -> None:
        """sample: as of `sample_of`, without names. numbers: of the whole file, as of `numbers_in`.

        meaning: what is stated.
        """
        self._sample, self._all, self._truth, self._meaning = sample, numbers, truth, meaning
        self._objects = objects_of(truth, Protocol("coco", 1))
        self._listings = {"images": Listing.of_images(truth), "categories": Listing.of_categories(truth)}

    @property
    def surely_right(self) -> bool:
        """Whether what is stated is possible, and fits so many boxes that nothing else can fit better by far."""
        stated = self._meaning
        found = self._matches(stated.images, stated.boxes)
        if found is None or not (
            self._is_known("images", stated.images) and self._is_known("categories", stated.categories)
        ):
            return False
        boxes = len(np.unique(found.row))
        agreeing = len(self._agreeing(found, stated.categories))
        return RATIO * boxes > len(found.judged) and RATIO * agreeing > boxes

    def warnings(self) -> tuple[str, ...]:
        """As `check_meaning`, unless all is settled."""
        if self.surely_right:
            return ()
        verdict = self.verdict
        _refuse_what_fits_better(verdict, self._sample.source, self._truth.source)
        return _doubts(verdict, self._truth.source)

    @property
    def verdict(self) -> Verdict:
        """How all meanings agree with the annotations."""
        meaning = self._meaning
        images = {one: self._of_images(one) for one in self._id_readings("images")}
        forms = dict.fromkeys((meaning.boxes, *(() if "boxes" in meaning.settled else BOX_FORMATS)))
        boxes = {form: self._of_boxes(form) for form in forms}
        image, form = _best(images), _best(boxes)
        found = self._matches(image, form)
        categories = {one: self._of_categories(one, found) for one in self._id_readings("categories")}
        empty = self._no_objects_of(meaning.categories)
        return Verdict(
            _question("images", images),
            _question("categories", categories, chance_counts=not empty),
            _question("boxes", boxes),
            len(distinct(self._sample.image_id)),
            len(self._sample),
        )

    def _id_readings(self, part: IdPart) -> list[IdReading]:
        """What is stated, and what else numbers are in use for; of those that mean the same, the first."""
        stated = self._meaning.images if part == "images" else self._meaning.categories
        if part in self._meaning.settled:
            return [stated]
        others = [IdReading(offset) for offset in (0, 1, -1)]
        others += [IdReading(offset, position=True) for offset in (0, -1)]
        numbers = self._all[part]
        found: dict[bytes, IdReading] = {}
        for reading in (stated, *others):
            found.setdefault(reading.index(numbers, self._listings[part])[0].tobytes(), reading)
        return list(found.values())

    def _is_known(self, part: IdPart, reading: IdReading) -> bool:
        """Whether all numbers of the file are in the annotations."""
        return reading.index(self._all[part], self._listings[part])[1]

    def _of_images(self, reading: IdReading) -> Reading:
        found = self._matches(reading, self._meaning.boxes)
        return self._geometry(found, *_words("image", reading), possible=self._is_known("images", reading))

    def _of_boxes(self, form: BoxFormat) -> Reading:
        return self._geometry(self._matches(self._meaning.images, form), form, f"`box_format='{form}'`", possible=True)

    def _geometry(self, found: _Matches | None, name: str, option: str, *, possible: bool) -> Reading:
        if found is None:
            return Reading(name, option, 0, 0, 0, possible=False)
        images = len(distinct(self._sample.image_id[found.judged]))
        return Reading(name, option, len(np.unique(found.row)), len(found.judged), images, possible)

    def _of_categories(self, reading: IdReading, found: _Matches | None) -> Reading:
        name, option = _words("category", reading)
        possible = self._is_known("categories", reading)
        if found is None:
            return Reading(name, option, 0, 0, 0, possible)
        rows = np.unique(found.row)
        predicted, _ = reading.index(self._sample.category_id[rows], self._listings["categories"])
        chance = _chance(predicted, found, len(self._truth.categories))
        images = len(distinct(self._sample.image_id[rows]))
        return Reading(name, option, len(self._agreeing(found, reading)), len(rows), images, possible, chance)

    def _agreeing(self, found: _Matches, reading: IdReading) -> Longs:
        """The rows of boxes of the class of an object that they overlap."""
        predicted, _ = reading.index(self._sample.category_id[found.row], self._listings["categories"])
        return np.unique(found.row[predicted == found.category])

    def _no_objects_of(self, reading: IdReading) -> bool:
        """Whether no object is of any category that the file states."""
        index, _ = reading.index(self._all["categories"], self._listings["categories"])
        return not np.isin(index, self._objects.category).any()

    def _matches(self, reading: IdReading, form: BoxFormat) -> _Matches | None:
        """The matches of the sample; None without boxes, with negative sizes, or if sizes of images are not known."""
        if self._sample.bbox is None:
            return None
        image, _ = reading.index(self._sample.image_id, self._listings["images"])
        known = np.flatnonzero(image >= 0)
        image_size = self._truth.image_size[image[known]]
        if form.startswith(RELATIVE) and not image_size.all():
            return None
        boxes = as_xywh(self._sample.bbox[known], form, image_size)
        if (boxes[:, 2:] < 0).any():
            return None
        nothing = np.zeros(len(known))
        detections = Detections(image[known], nothing.astype(np.int32), nothing, boxes, nothing, None, "")
        pairs = overlaps(detections, self._truth, self._objects, "bbox", np.arange(len(known)))
        row = np.repeat(known, np.diff(pairs.start))
        match = (pairs.iou >= MATCH) & ~self._objects.crowd[pairs.object]
        has_objects = np.diff(self._objects.start)[image] > 0
        judged = np.flatnonzero((image < 0) | has_objects)
        return _Matches(judged, row[match], self._objects.category[pairs.object[match]])


def sample_of(results: Results) -> Results:
    """The detections with the `PER_IMAGE` highest scores, of equals the first, in each of up to `IMAGES` images.

    The images are those of detections at regular distances in the file, all images of a small file.
    """
    chosen = best_of_images(results, sampled_images(results.image_id[probes(len(results))]))
    if chosen.bbox is not None or chosen.masks is None:
        return chosen
    return replace(chosen, bbox=mask_boxes(chosen.masks))


def numbers_in(results: Results) -> Mapping[IdPart, Longs]:
    """The numbers that occur in results: int64, ascending."""
    return {"images": distinct(results.image_id), "categories": distinct(results.category_id)}


def probes(rows: int) -> Longs:
    """The detections whose images may be in the sample of a file with so many rows: int64, ascending."""
    return np.unique(np.linspace(0, max(rows - 1, 0), _PROBES).astype(np.int64))[:rows]


def sampled_images(image_id: Longs) -> Longs:
    """The images of the sample, int64, ascending, of those of all probes."""
    images = np.unique(image_id)
    return images[np.unique(np.linspace(0, len(images) - 1, IMAGES).astype(np.int64))] if len(images) else images


def best_of_images(results: Results, images: Longs) -> Results:
    """The detections with the `PER_IMAGE` highest scores of each of these images (int64, ascending)."""
    image, _ = index_of(results.image_id, images)
    row, start = by_category(image, results.score, np.flatnonzero(image >= 0), len(images))
    rank = np.arange(len(row)) - np.repeat(start[:-1], np.diff(start))
    return results_at(results, np.sort(row[rank < PER_IMAGE]))


def distinct(numbers: Longs) -> Longs:
    """The numbers that occur, ascending: int64. Faster than `numpy.unique` for many ids of a small range."""
    if not len(numbers):
        return numbers
    least, most = int(numbers.min()), int(numbers.max())
    if most - least >= _TABLE:
        return np.unique(numbers)
    occurs = np.zeros(most - least + 1, bool)
    occurs[numbers - least] = True
    return np.flatnonzero(occurs) + least


def _chance(predicted: Ints, found: _Matches, categories: int) -> float:
    """The share of n boxes with matches that would agree if their classes were dealt out anew among them.

    predicted: int32 [n], the class of each box, -1 for none.
    """
    if not len(predicted):
        return 0.0
    pairs = np.unique(found.row * categories + found.category)
    of_objects = np.bincount(pairs % categories, minlength=categories)
    of_boxes = np.bincount(predicted[predicted >= 0], minlength=categories)
    return float(of_objects @ of_boxes) / len(predicted) ** 2


def _question(part: Part, readings: Mapping[Any, Reading], *, chance_counts: bool = True) -> Question:
    """The first of the readings is what is stated."""
    stated, *others = readings.values()
    better = [one for one in others if fits_better_by_far(one, stated, chance_counts=chance_counts)]
    return Question(part, stated, tuple(others), max(better, key=lambda one: one.agreeing, default=None))


def _best(readings: Mapping[Key, Reading]) -> Key:
    """The reading that fits better by far, or what is stated."""
    better = _question("images", readings).better
    return next(key for key, one in readings.items() if better is None or one is better)


def fits_better_by_far(one: Reading, stated: Reading, *, chance_counts: bool = True) -> bool:
    """Whether the reading is possible and fits so much better than what is stated that this is a mistake.

    See above for the rule. chance_counts: whether the agreement has to exceed what chance gives.
    """
    boxes, images = max(one.boxes, stated.boxes), max(one.images, stated.images)
    if not one.possible or boxes < MIN_BOXES:
        return False
    agreement, before = one.agreement or 0.0, stated.agreement or 0.0
    ratio = RATIO if stated.possible else 1
    if agreement < ratio * before or agreement - before < max(DIFFERENCE, SPREAD / math.sqrt(images)):
        return False
    return one.kappa >= KAPPA or not chance_counts


def _words(kind: str, reading: IdReading) -> tuple[str, str]:
    """What a reading of ids is called, and the parameters that state it."""
    offset = f"`{kind}_offset={reading.offset}`"
    if not reading.position:
        return "ids" + (f" {reading.offset:+d}" if reading.offset else ""), offset
    first = -reading.offset
    if kind == "image":
        return f"positions in the annotations, from {first}", ""
    order = f"numbers from {first} in order of id"
    return order, "`contiguous=True`" + (f" and {offset}" if reading.offset else "")


def _refuse_what_fits_better(verdict: Verdict, source: str, truth_source: str) -> None:
    """Raise InputError if another reading fits better by far. source, truth_source: the two files, for messages."""
    found = [(one, one.better) for one in verdict.questions if one.better is not None]
    if found:
        problems = [_mismatch(question, better, truth_source) for question, better in found]
        fixes = [_settling(question, better) for question, better in found]
        raise InputError(source, problems, "; ".join(fixes))


_EXPECTED: Mapping[Part, str] = {
    "images": "boxes that overlap an object of their image",
    "categories": "boxes of the class of an object that they overlap",
    "boxes": "boxes that overlap an object of their image",
}


def _mismatch(question: Question, better: Reading, truth_source: str) -> Problem:
    found = f"as stated {_as_stated(question)}; with {better.option or better.name} {_percent(better)}"
    return Problem(f"{question.part}", f"{_EXPECTED[question.part]} in {truth_source} (IoU >= {MATCH})", found)


def _as_stated(question: Question) -> str:
    stated = question.stated
    if question.part == "boxes" and not stated.possible:
        return f"({stated.name}) boxes of negative size, or in images of unknown size"
    lacking = "" if stated.possible else f", and {question.part} that the annotations lack"
    return f"({stated.name}) {_percent(stated)} of {stated.boxes} sampled boxes{lacking}"


def _doubts(verdict: Verdict, truth_source: str) -> tuple[str, ...]:
    """A warning if next to no box fits an object, or the classes hardly more than by chance, and nothing settles it."""
    asked = (
        (
            verdict.boxes,
            "overlap an object of their image",
            "are these the annotations of these images, in this order if the file has no image ids, and the boxes in "
            "pixels of images of that size?",
        ),
        (
            verdict.categories,
            "have the class of an object that they overlap",
            "are these the categories that the model was trained on, in this order?",
        ),
    )
    for question, fit, doubt in asked:
        stated = question.stated
        if question.others and stated.boxes >= MIN_BOXES and stated.kappa < LOST and (stated.agreement or 0.0) < 0.5:
            fits = f"only {_percent(stated)} of {stated.boxes} sampled boxes {fit} in {truth_source} (IoU >= {MATCH})"
            return (f"warning: {fits}, and no other reading fits: {doubt}",)
    return ()


def _settling(question: Question, better: Reading) -> str:
    how = f"pass {better.option}" if better.option else "replace the positions by the ids of the images"
    otherwise = f", or {question.stated.option} if they are as stated" if question.stated.possible else ""
    return f"{how} if the {question.part} are so{otherwise}"


def _percent(reading: Reading) -> str:
    return "none" if reading.agreement is None else f"{100 * reading.agreement:.0f}%"
