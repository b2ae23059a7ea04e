"""The width of bootstrap intervals, compared with the variation of metrics between sets of images.

    python benchmarks/spread.py CASE            # a folder written by generate.py, with 4,000 images

The images are split into disjoint sets. The bootstrap's standard error within one set should equal the standard
deviation of the metric between the sets.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from random import Random
from typing import Any

from tabulate import tabulate

from longtail_cli.reports.metric_names import metrics_of
from longtail_cli.workflow.options import BootstrapOptions
from longtail_cli.workflow.report_detection import evaluate

METRICS = ("bbox/AP", "bbox/AP50", "bbox/APr", "bbox/APc", "bbox/APf")
NORMAL = 2 * 1.959964
"""Width of the middle 95 percent of a normal distribution, in standard errors."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", type=Path)
    parser.add_argument("--sets", type=int, default=16)
    parser.add_argument("--resamples", type=int, default=200)
    options = parser.parse_args()
    values: dict[str, list[float]] = {name: [] for name in METRICS}
    errors: dict[str, list[float]] = {name: [] for name in METRICS}
    with tempfile.TemporaryDirectory() as scratch:
        truth, predictions = Path(scratch, "truth.json"), Path(scratch, "predictions.json")
        for annotations, detections in split(options.case, options.sets):
            truth.write_text(json.dumps(annotations))
            predictions.write_text(json.dumps(detections))
            run = evaluate([predictions], truth, bootstrap=BootstrapOptions(options.resamples, 0)).runs[0]
            for name, value in metrics_of(run).items():
                if name in METRICS and value is not None:
                    values[name].append(value)
                    errors[name].append((run.intervals[name].high - run.intervals[name].low) / NORMAL)
    rows = []
    for name in METRICS:
        between, within = statistics.stdev(values[name]), statistics.mean(errors[name])
        rows.append([name, statistics.mean(values[name]), between, within, within / between])
    headers = ["metric", "mean", "between sets", "bootstrap", "bootstrap / between"]
    print(tabulate(rows, headers, tablefmt="github", floatfmt=("", ".4f", ".4f", ".4f", ".2f")))


def split(case: Path, sets: int) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Annotations and predictions of each set of images."""
    annotations = json.loads((case / "annotations.json").read_bytes())
    images = [image["id"] for image in annotations["images"]]
    Random(0).shuffle(images)
    index = {image: number % sets for number, image in enumerate(images)}
    parts: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
        ({**annotations, "images": [], "annotations": []}, []) for _ in range(sets)
    ]
    for image in annotations["images"]:
        parts[index[image["id"]]][0]["images"].append(image)
    for one in annotations["annotations"]:
        parts[index[one["image_id"]]][0]["annotations"].append(one)
    for one in json.loads((case / "predictions.json").read_bytes()):
        parts[index[one["image_id"]]][1].append(one)
    return parts


if __name__ == "__main__":
    main()
