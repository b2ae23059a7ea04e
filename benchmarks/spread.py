"""How wide the bootstrap's intervals are, against how much figures really differ between sets of images.

    python benchmarks/spread.py CASE            # a folder that generate.py wrote, of 4,000 images

The images are dealt into disjoint sets. The standard deviation of a figure between the sets is what the standard error
of the bootstrap within one set should be.
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
from longtail_cli.workflow.intervals import Bootstrapping
from longtail_cli.workflow.report_detection import evaluate

FIGURES = ("bbox/AP", "bbox/AP50", "bbox/APr", "bbox/APc", "bbox/APf")
NORMAL = 2 * 1.959964
"""Standard errors that the middle 95 percent of a normal distribution span."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", type=Path)
    parser.add_argument("--sets", type=int, default=16)
    parser.add_argument("--resamples", type=int, default=200)
    options = parser.parse_args()
    values: dict[str, list[float]] = {name: [] for name in FIGURES}
    errors: dict[str, list[float]] = {name: [] for name in FIGURES}
    with tempfile.TemporaryDirectory() as scratch:
        truth, predictions = Path(scratch, "truth.json"), Path(scratch, "predictions.json")
        for annotations, found in dealt(options.case, options.sets):
            truth.write_text(json.dumps(annotations))
            predictions.write_text(json.dumps(found))
            run = evaluate([predictions], truth, bootstrap=Bootstrapping(options.resamples, 0)).runs[0]
            for name, value in metrics_of(run).items():
                if name in FIGURES and value is not None:
                    values[name].append(value)
                    errors[name].append((run.intervals[name].high - run.intervals[name].low) / NORMAL)
    rows = []
    for name in FIGURES:
        between, within = statistics.stdev(values[name]), statistics.mean(errors[name])
        rows.append([name, statistics.mean(values[name]), between, within, within / between])
    headers = ["figure", "mean", "between sets", "bootstrap", "bootstrap / between"]
    print(tabulate(rows, headers, tablefmt="github", floatfmt=("", ".4f", ".4f", ".4f", ".2f")))


def dealt(case: Path, sets: int) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Annotations and predictions of each set of images."""
    annotations = json.loads((case / "annotations.json").read_bytes())
    images = [image["id"] for image in annotations["images"]]
    Random(0).shuffle(images)
    place = {image: number % sets for number, image in enumerate(images)}
    parts: list[tuple[dict[str, Any], list[dict[str, Any]]]] = [
        ({**annotations, "images": [], "annotations": []}, []) for _ in range(sets)
    ]
    for image in annotations["images"]:
        parts[place[image["id"]]][0]["images"].append(image)
    for one in annotations["annotations"]:
        parts[place[one["image_id"]]][0]["annotations"].append(one)
    for one in json.loads((case / "predictions.json").read_bytes()):
        parts[place[one["image_id"]]][1].append(one)
    return parts


if __name__ == "__main__":
    main()
