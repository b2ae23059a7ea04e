"""Compare the reading of detections that frameworks saved with that of the same detections as JSON.

    python benchmarks/saved.py            # 19,809 images with 300 detections each, 5.9 million in all
    python benchmarks/saved.py --quick    # a tenth of that

The files: detectron2's instances_predictions.pth (torch has to write it), MMDetection 2's results.pkl with 80 and with
1,203 classes (an array for each class of each image, most of them empty), and MMDetection 3's with a tensor for each
field. The JSON has the numbers as the frameworks write them: float32 in all their digits. Each run is a process of its
own, and the formats take turns; imports are not timed. The files are kept in --folder, and written only once.
"""

from __future__ import annotations

import argparse
import json
import pickle
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tabulate import tabulate

IMAGES, QUICK_IMAGES = 19_809, 1_981
PER_IMAGE, CLASSES = 300, 1_203
PEER = "predictions.json"

Image = tuple[int, npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int64]]
"""Its id; boxes [n, 4], xyxy; scores [n], descending; labels [n]."""


def images(number: int) -> Iterator[Image]:
    """The same detections each time."""
    rng = np.random.default_rng(0)
    for image in range(number):
        corner, size = rng.uniform(0, 500, (PER_IMAGE, 2)), rng.uniform(1, 140, (PER_IMAGE, 2))
        boxes = np.concatenate([corner, corner + size], axis=1).astype(np.float32)
        scores = np.sort(rng.random(PER_IMAGE, np.float32))[::-1].copy()
        yield 1000 + 7 * image, boxes, scores, rng.integers(0, CLASSES, PER_IMAGE)


def entries(image: Image) -> list[dict[str, Any]]:
    """The detections of an image as detectron2 makes them."""
    key, boxes, scores, labels = image
    sides = boxes.copy()
    sides[:, 2:] -= sides[:, :2]
    columns = zip(labels.tolist(), sides.tolist(), scores.tolist(), strict=True)
    return [{"image_id": key, "category_id": label, "bbox": box, "score": score} for label, box, score in columns]


def write_json(number: int, path: Path) -> None:
    with path.open("w") as file:
        for at, image in enumerate(images(number)):
            file.write(("," if at else "[") + json.dumps(entries(image))[1:-1])
        file.write("]")


def write_detectron2(number: int, path: Path) -> None:
    import torch

    torch.save([{"image_id": image[0], "instances": entries(image)} for image in images(number)], path)


def write_by_class(classes: int) -> Callable[[int, Path], None]:
    def write(number: int, path: Path) -> None:
        results = []
        for _, boxes, scores, labels in images(number):
            rows = np.concatenate([boxes, scores[:, None]], axis=1)
            results.append([rows[labels % classes == label] for label in range(classes)])
        with path.open("wb") as file:
            pickle.dump(results, file, 2)

    return write


def write_tensors(number: int, path: Path) -> None:
    import torch

    results = []
    for key, boxes, scores, labels in images(number):
        tensors = {"labels": labels, "scores": scores, "bboxes": boxes}
        predicted = {name: torch.from_numpy(values) for name, values in tensors.items()}
        about = {"img_id": key, "img_path": f"val/{key}.jpg", "ori_shape": (480, 640), "scale_factor": (1.6, 1.6)}
        results.append({"pred_instances": predicted, **about})
    with path.open("wb") as file:
        pickle.dump(results, file, 2)


WRITERS: dict[str, Callable[[int, Path], None]] = {
    PEER: write_json,
    "instances_predictions.pth": write_detectron2,
    "mmdetection2_80.pkl": write_by_class(80),
    "mmdetection2_1203.pkl": write_by_class(CLASSES),
    "mmdetection3.pkl": write_tensors,
}


def timed(path: Path) -> None:
    """Read a file and print seconds, CPU seconds, peak megabytes and the number of detections."""
    import longtail_cli.files.frameworks.detectron2
    import longtail_cli.files.frameworks.mmdetection
    import longtail_cli.files.results.json_entries  # noqa: F401
    from longtail_cli.files.results.file import open_results

    begin, busy = time.perf_counter(), time.process_time()
    with open_results(path) as file:
        results = file.read(frozenset({"bbox"}))
    seconds = [time.perf_counter() - begin, time.process_time() - busy]
    print(json.dumps([*seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, len(results)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir(), "ltcal-saved"))
    parser.add_argument("--write", metavar="NAME", choices=list(WRITERS), help=argparse.SUPPRESS)
    parser.add_argument("--only", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    number = QUICK_IMAGES if options.quick else IMAGES
    folder = options.folder / str(number)
    if options.only:
        timed(options.only)
        return
    if options.write:
        WRITERS[options.write](number, folder / options.write)
        return
    folder.mkdir(parents=True, exist_ok=True)
    for name in WRITERS:
        if not (folder / name).exists():  # in a process of its own, as the objects take gigabytes
            again = ["--quick"] if options.quick else []
            subprocess.check_call([sys.executable, __file__, *again, "--folder", str(options.folder), "--write", name])
    runs: dict[str, list[list[float]]] = {name: [] for name in WRITERS}
    for _ in range(options.runs):
        for name, found in runs.items():
            found.append(json.loads(subprocess.check_output([sys.executable, __file__, "--only", str(folder / name)])))
    print(f"{number * PER_IMAGE:,} detections; median (range) of {options.runs}; speed as a multiple of that of JSON")
    print(tabulate([row(name, folder, found, runs[PEER]) for name, found in runs.items()], HEADERS, tablefmt="github"))


HEADERS = ("file", "MB", "seconds", "CPU seconds", "peak MB", "speed", "speed in each turn")


def row(name: str, folder: Path, runs: list[list[float]], peers: list[list[float]]) -> list[str]:
    seconds, busy, memory, _ = (list(column) for column in zip(*runs, strict=True))
    ratios = [peer[0] / one[0] for one, peer in zip(runs, peers, strict=True)]
    return [
        name,
        f"{(folder / name).stat().st_size / 1e6:.0f}",
        f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})",
        f"{statistics.median(busy):.2f}",
        f"{statistics.median(memory):.0f}",
        f"{statistics.median(ratios):.2f}",
        f"{min(ratios):.2f} to {max(ratios):.2f}",
    ]


if __name__ == "__main__":
    main()
