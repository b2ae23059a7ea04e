"""What `ltcal inspect` says about annotations, class labels, counts and frequency tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from longtail_cli.errors import InputError, LtcalError
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.files.frequencies import read_frequencies
from longtail_cli.reports.inspection.model import Fact, Section
from longtail_cli.tables import Categories, FrequencyTable, GroundTruth, Longs
from longtail_cli.workflow.compute_freq import compute_freq
from longtail_cli.workflow.inspect_words import counted, ids_fact, listed, rounded, share
from longtail_cli.workflow.inspected import Answer
from longtail_cli.workflow.next_steps import (
    steps_for_annotations,
    steps_for_counts,
    steps_for_frequencies,
    steps_for_labels,
    steps_for_training_data,
)

_GROUPS = ("r", "c", "f", "few", "medium", "many")


def annotations_answer(path: Path) -> Answer:
    """What the annotations are. Raises InputError if the file is not valid."""
    try:
        with open_annotations(path) as file:
            truth = file.read()
    except InputError as error:
        return _counted_annotations(path, error)
    sections = [
        Section("Annotations", tuple(_contents(truth))),
        Section("Classes", tuple(_classes(truth.categories, truth.category))),
    ]
    kind = "LVIS" if truth.federated else "COCO"
    objects, classes = counted(len(truth.id), "object"), counted(len(truth.categories), "class", "classes")
    headline = f"{kind} annotations, {objects} of {classes} in {counted(len(truth.image_id), 'image')}"
    return Answer("annotations", headline, sections, (), steps_for_annotations(path))


def _counted_annotations(path: Path, error: InputError) -> Answer:
    """Annotations that classes are counted in, but that cannot be evaluated on. error: why not; raised if neither."""
    try:
        table, notes = compute_freq(path)
    except LtcalError:
        raise error from None
    note = f"Classes can be counted, but detections cannot be evaluated on these annotations: {error.problems[0]}."
    objects, classes = int(table.instance_count.sum()), counted(len(table), "class", "classes")
    headline = f"annotations without boxes, {counted(objects, 'label')} of {classes}"
    return Answer("annotations", headline, _sections(table), (note, *notes[1:]), steps_for_training_data(path))


def labels_answer(path: Path) -> Answer:
    """What the class labels are, or a folder of images by class. Raises InputError if it is none of them."""
    table, notes = compute_freq(path)
    noun = "image" if path.is_dir() else "label"
    about = f"{counted(int(table.image_count.sum()), noun)} of {counted(len(table), 'class', 'classes')}"
    headline = f"{'images by class' if path.is_dir() else 'class labels'}, {about}"
    steps = [*steps_for_training_data(path), *(() if path.is_dir() else steps_for_labels(path))]
    return Answer("labels", headline, _sections(table), (*notes[1:], *_doubts(table, path)), steps)


def _doubts(table: FrequencyTable, path: Path) -> Iterator[str]:
    """A note on text that may be no list of images."""
    if suffix_of(path) == ".txt" and any(table.name) and 2 * len(table) > int(table.image_count.sum()):
        yield "The last word of each line is taken for a class, but hardly any occurs twice: this may be no image list."


def counts_answer(path: Path) -> Answer:
    """What the counts per class are. Raises InputError if the file holds none."""
    table, notes = compute_freq(counts=path)
    images, classes = int(table.image_count.sum()), counted(len(table), "class", "classes")
    headline = f"counts per class, {counted(images, 'image')} of {classes}"
    return Answer("counts", headline, _sections(table), notes[1:], steps_for_counts(path))


def suffix_of(path: Path) -> str:
    """The suffix before ``.gz``."""
    return Path(path.stem).suffix if path.suffix == ".gz" else path.suffix


def _sections(table: FrequencyTable) -> list[Section]:
    return [Section("Classes", tuple(_table(table)))]


def frequencies_answer(path: Path) -> Answer:
    """What the frequency table is. Raises InputError if the file is not valid."""
    table = read_frequencies(path)
    sections = _sections(table)
    return Answer(
        "frequencies",
        f"frequency table of {counted(len(table), 'class', 'classes')}",
        sections,
        (),
        steps_for_frequencies(path),
    )


def _contents(truth: GroundTruth) -> Iterator[Fact]:
    yield ids_fact("images", truth.image_id)
    named = sum(map(bool, truth.image_name))
    yield Fact("file names", f"{share(named, len(truth.image_id))} images have one", {"number": named})
    sized = int((truth.image_size > 0).all(axis=1).sum())
    height, width = truth.image_size.max(axis=0).tolist()
    text = f"{share(sized, len(truth.image_id))} images have one, up to {width:,} x {height:,} pixels"
    yield Fact("sizes", text, {"number": sized, "height": height, "width": width})
    if len(truth.id):
        per_image = np.bincount(truth.image, minlength=len(truth.image_id))
        median, most, empty = float(np.median(per_image)), int(per_image.max()), int((per_image == 0).sum())
        text = f"median {rounded(median)}, most {most:,} objects; {counted(empty, 'image')} without any"
        yield Fact("per image", text, {"median": median, "most": most, "empty": empty})
        crowd, ignored = int(truth.crowd.sum()), int(truth.ignore.sum())
        yield Fact("left out of AP", f"{crowd:,} crowds, {ignored:,} ignored", {"crowd": crowd, "ignore": ignored})


def _classes(categories: Categories, category: Longs | np.ndarray[tuple[int], np.dtype[np.int32]]) -> Iterator[Fact]:
    yield ids_fact("classes", categories.id)
    if any(categories.name):
        yield Fact("names", listed(categories.name), {"number": sum(map(bool, categories.name))})
    yield from _counts(np.bincount(category, minlength=len(categories)), "objects")
    if categories.frequency is not None:
        yield _groups(categories.frequency)
    if categories.image_count is not None:
        total = int(categories.image_count.sum())
        yield Fact("stated counts", "of the training set, for each class (`from_categories=True`)", {"images": total})


def _table(table: FrequencyTable) -> Iterator[Fact]:
    yield ids_fact("classes", table.category_id)
    if any(table.name):
        yield Fact("names", listed(table.name), {"number": sum(map(bool, table.name))})
    yield from _counts(table.image_count)
    yield _groups(table.group)
    images = "unknown" if table.num_images is None else f"{table.num_images:,}"
    yield Fact("source images", images, {"number": table.num_images})


def _counts(count: Longs, noun: str = "images") -> Iterator[Fact]:
    """How unevenly the classes occur. count: int64 [C]."""
    if not len(count):
        return
    least, median, most = int(count.min()), float(np.median(count)), int(count.max())
    never = int((count == 0).sum())
    text = f"{least:,} to {most:,} of a class, median {rounded(median)}"
    text += f"; {counted(never, 'class', 'classes')} without any" if never else ""
    yield Fact(
        noun, text, {"least": least, "median": median, "most": most, "total": int(count.sum()), "without": never}
    )


def _groups(groups: tuple[str, ...]) -> Fact:
    sizes = Counter(groups)
    order = [name for name in _GROUPS if name in sizes] or list(sizes)
    order += [name for name in sizes if name not in order]
    return Fact("groups", ", ".join(f"{sizes[name]:,} {name}" for name in order), {name: sizes[name] for name in order})
