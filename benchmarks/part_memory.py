"""The memory of a part of the images, for each of its detections: read, matched with TIDE, made rows of.

    python benchmarks/part_memory.py                                   # generated boxes and masks
    python benchmarks/part_memory.py RESULTS ANNOTATIONS --iou-type segm

Prints the rates that `longtail_cli/workflow/partitioned/memory.py` counts with: `BYTES_PER_ROW` and `BYTES_PER_MASK`.
Parts of several sizes are matched, each in a process of its own that has already read the annotations; what its
resident set grows by at most (the kernel's `VmHWM`) is divided by the detections. "Each further" is the slope of a line
through the sizes, without what any part needs. Generated are 100 detections per image, half of them near objects, as in
`generate.py`; the masks are ellipses in images of 640 x 480, with 170 bytes of run lengths each. Results are read from
Parquet, as a list in JSON that is larger than a part is copied to Parquet before it is divided.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from generate import Predictions, write_case
from tabulate import tabulate

from longtail_cli.choices import IouType
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.protocol import Protocol
from longtail_cli.execution.base import NamedPart
from longtail_cli.execution.spilled import Spilled
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.files.results.json_entries import JsonEntries
from longtail_cli.files.results.manifest import opened
from longtail_cli.files.results.streamed import write_parquet
from longtail_cli.files.stores import listed
from longtail_cli.tables import GroundTruth
from longtail_cli.workflow.detection_inputs import Adjustments
from longtail_cli.workflow.options import InputOptions
from longtail_cli.workflow.partitioned.image_parts import ImagePart
from longtail_cli.workflow.partitioned.inputs import open_in_parts
from longtail_cli.workflow.partitioned.match import MatchPart
from longtail_cli.workflow.partitioned.memory import Sizes
from longtail_cli.workflow.progress import no_progress

SIZES = [50_000, 100_000, 200_000, 400_000]


def generated(folder: Path, detections: int) -> tuple[Path, Path]:
    """Results with boxes and masks, and their annotations."""
    options = Predictions(100, near=0.5, digits=15, format="compact", masks=True)
    write_case(folder, detections // options.detections, points=24, predictions=options)
    (folder / "rescored.json").unlink()
    return in_parquet(folder / "predictions.json", folder), folder / "annotations.json"


def in_parquet(results: Path, folder: Path) -> Path:
    """The results, or a copy in Parquet."""
    if results.suffix == ".parquet":
        return results
    path = folder / "detections.parquet"
    with opened(listed(results)[0]) as held:
        assert isinstance(held.entries, JsonEntries)
        write_parquet(held.entries, path)
    return path


def largest_part(results: Path, truth: GroundTruth, iou_type: IouType, rows: int) -> NamedPart[ImagePart]:
    """Of the parts of about so many detections."""
    with open_annotations(truth.source) as file:
        divided = open_in_parts(results, file, InputOptions())
        adjustments = Adjustments((), None, "prob", InputOptions(), False)
        planned = divided.planned(truth, adjustments, ["run"], [iou_type], Sizes(rows), Spilled(), no_progress)
        divided.close()
    return max(planned.parts, key=lambda part: part.size)


def measure(results: Path, annotations: Path, iou_type: IouType, rows: int) -> tuple[int, int]:
    """The detections of a part, and the bytes that are allocated at most for it."""
    with open_annotations(annotations) as file:
        truth = file.read(masks=iou_type == "segm")
    part = largest_part(results, truth, iou_type, rows)
    options = EvaluationOptions("coco")
    work = MatchPart(Protocol("coco", 100), (iou_type,), options, buckets=16, digested=False)
    del truth
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = resident("VmRSS")
    work(part.content)
    return part.size, resident("VmHWM") - before


def resident(name: str) -> int:
    """Bytes of memory of this process: ``VmRSS`` now, ``VmHWM`` at its peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


def rates(results: Path, annotations: Path, iou_type: str, sizes: list[int]) -> list[tuple[str, ...]]:
    """A row for each size, and one for the growth from the first to the last."""
    found = [_in_a_process(results, annotations, iou_type, rows) for rows in sizes]
    rows = [(iou_type, f"{size:,}", f"{peak / 1e6:,.0f}", f"{peak / size:,.0f}") for size, peak in found]
    sizes_of, peaks = np.array(found, float).T
    growth = np.polyfit(sizes_of, peaks, 1)[0] if len(found) > 1 else np.nan
    return [*rows, (iou_type, "each further", "", f"{growth:,.0f}")]


def _in_a_process(results: Path, annotations: Path, iou_type: str, rows: int) -> tuple[int, int]:
    command = [sys.executable, __file__, str(results), str(annotations), "--iou-type", iou_type, "--part", str(rows)]
    size, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return int(size), int(peak)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="RESULTS ANNOTATIONS")
    parser.add_argument("--iou-type", nargs="+", choices=("bbox", "segm"), default=["bbox", "segm"])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="detections of the parts")
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        results, annotations = options.files
        print(*measure(results, annotations, options.iou_type[0], options.part))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        results, annotations = options.files or generated(folder, max(options.sizes))
        results = in_parquet(results, folder)
        rows = [row for one in options.iou_type for row in rates(results, annotations, one, options.sizes)]
    print(tabulate(rows, ["", "detections of the part", "MB", "bytes for each"], "github", disable_numparse=True))


if __name__ == "__main__":
    main()
