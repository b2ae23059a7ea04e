"""Detection logits with the ids of the annotations, checked by what they decode to. Imports torch."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import numpy as np
import torch

from longtail_cli.decode.decoding import Decoded, decode, joined
from longtail_cli.errors import Problem, UsageError
from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.methods.registry import parse_method
from longtail_cli.tables import Convention, GroundTruth, LogitColumns, Logits
from longtail_cli.workflow.conventions import ids_of
from longtail_cli.workflow.decode_logits import as_results, check_decodable
from longtail_cli.workflow.logit_batches import map_batches
from longtail_cli.workflow.offset_guard import check_meaning
from longtail_cli.workflow.options import ConventionOptions, InputOptions, device_of
from longtail_cli.workflow.prepare_methods import prepare_methods
from longtail_cli.workflow.progress import no_progress
from longtail_cli.workflow.readings import IdReading, Listing, meaning_of

DECODED_IMAGES = 400
DECODED_LOGITS = 1 << 27
"""The guard decodes the first images of a file, until there are so many of them or of their logits."""


def resolved_logits(file: LogitsFile, truth: GroundTruth, options: InputOptions) -> LogitsFile:
    """The file with the image ids and category ids of the annotations, which the options may have to translate.

    Ids that are not in the annotations stay, for others to refuse them.
    Raises InputError if the file holds no boxes, and if the detections of its first images without adjustment fit by
    far better with other ids (see `offset_guard`), unless the options settle it; UsageError for a format of boxes.
    """
    stated = options.convention
    _check_no_box_format(stated, file.source)
    check_decodable(file, options)
    image_id = file.image_id
    assert image_id is not None
    meaning = meaning_of(Convention("logits"), replace(stated, box_format="xywh"), file.source)
    warnings = check_meaning(as_results(_first_detections(file, options), file.source), truth, meaning)
    file = replace(file, notes=(*file.notes, *warnings))
    if stated == ConventionOptions():
        return file
    image_id = ids_of("image_id of row", image_id, meaning.images, Listing.of_images(truth), file.source)
    columns = _renumbered(file.columns, meaning.categories, Listing.of_categories(truth), file.source)
    return replace(file, image_id=image_id, columns=columns)


def resolved_logits_alone(file: LogitsFile, options: InputOptions) -> LogitsFile:
    """As `resolved_logits`, without annotations to look positions up in, and without the guard.

    Raises UsageError for options that need annotations, and for options about ids if the file is a classifier's.
    """
    stated = options.convention
    if stated == ConventionOptions():
        return file
    if file.image_id is None:
        problem = Problem("ids and boxes", "no options about them for logits of a classifier", "some")
        raise UsageError(file.source, [problem], "leave `category_offset=`, `contiguous=` and `image_offset=` out")
    if stated.contiguous:
        problem = Problem("`annotations=`", "those of the detections, for the ids of the categories", "none")
        raise UsageError(file.source, [problem], "pass the annotations")
    _check_no_box_format(stated, file.source)
    columns, by = file.columns, stated.category_offset or 0
    bags = columns.bags and tuple(tuple(id_ + by for id_ in bag) for bag in columns.bags)
    columns = replace(columns, category_id=columns.category_id + by, bags=bags)
    return replace(file, image_id=file.image_id + (stated.image_offset or 0), columns=columns)


def _check_no_box_format(stated: ConventionOptions, source: str) -> None:
    if stated.box_format is not None:
        problem = Problem("`box_format=`", "none for logits, whose boxes are corners in pixels", stated.box_format)
        raise UsageError(source, [problem], "leave it out")


def _first_detections(file: LogitsFile, options: InputOptions) -> Decoded:
    """The detections of the first images, without adjustment."""
    device = device_of(options.device)
    plain = prepare_methods(file, (parse_method("none"),), None, options, device)[0]
    decoding = options.decode.for_queries(file.queries)

    def work(scores: torch.Tensor, columns: LogitColumns, batch: Logits) -> tuple[Decoded, int]:
        return decode(scores, columns, batch, decoding), len(batch)

    parts, rows, last = [], 0, _last_row(file)
    with closing(map_batches(file, [(plain.adjuster, work)], device, no_progress)) as batches:
        for [(found, own)] in batches:
            parts.append(found)
            rows += own
            if rows >= last:
                break
    return joined(parts)


def _last_row(file: LogitsFile) -> int:
    """How many rows to decode."""
    rows = DECODED_LOGITS // file.width
    assert file.image_id is not None
    starts = np.flatnonzero(np.diff(file.image_id[:rows])) + 1
    return rows if len(starts) < DECODED_IMAGES else int(starts[DECODED_IMAGES - 1])


def _renumbered(columns: LogitColumns, reading: IdReading, listing: Listing, source: str) -> LogitColumns:
    """The columns with other category ids."""
    new = ids_of("category_id of column", columns.category_id, reading, listing, source)
    by_old = dict(zip(columns.category_id.tolist(), new.tolist(), strict=True))
    bags = columns.bags and tuple(tuple(by_old[id_] for id_ in bag) for bag in columns.bags)
    return replace(columns, category_id=new, bags=bags)
