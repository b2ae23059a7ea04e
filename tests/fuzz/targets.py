"""What is fuzzed: for each reader a valid command, and which of its files is damaged how."""

from __future__ import annotations

import contextlib
import gzip
import pickle
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import torch
from click.testing import CliRunner
from fuzz.arrays import (
    damage_fitted,
    damage_images,
    damage_npy,
    damage_npz,
    damage_parquet,
    damage_pickle,
    damage_pt,
    damage_safetensors,
    damage_saved,
)
from fuzz.mutations import Mutation, compressed, damage_bytes, damage_gates, damage_json, damage_lines, either
from fuzz.runner import Case
from fuzz.seeds import (
    CATEGORIES,
    CLASS_FREQUENCIES,
    CLASSIFIER,
    COCO,
    CORNERS,
    DETECTOR,
    FREQUENCIES,
    FREQUENCIES_JSON,
    GATES,
    INATURALIST,
    LVIS,
    MASK_RESULTS,
    MASK_TABLE,
    NAMED_RESULTS,
    RESULTS,
    VOC,
    YOLO,
    arrow,
    classifier_tensors,
    csv_text,
    detector_tensors,
    detectron2_predictions,
    image_dicts,
    lines_text,
    mmdetection_results,
    npy,
    npz,
    parquet,
    predicted,
    pt,
    query_tensors,
    safetensors,
    text,
)

from longtail_cli.cli import main
from longtail_cli.files.logits.metadata import FORMAT

_JSON = either(damage_json, damage_json, damage_bytes)
_LINES = either(damage_lines, damage_lines, damage_bytes)


@dataclass(frozen=True, slots=True)
class Target:
    """A reader: a valid case, and the file that is damaged."""

    name: str
    valid: Case
    path: str
    damage: Mutation

    def case(self, seed: int, number: int) -> Case:
        """The case of this number; the same for the same seed."""
        rng = Random(f"{seed} {self.name} {number}")
        stale = rng.random() < 0.5
        content = self.damage(rng, self.valid.inputs[self.path])
        return replace(self.valid, inputs={**self.valid.inputs, self.path: content}, stale=stale)


@cache
def targets() -> dict[str, Target]:
    """All readers by name."""
    found = [*_results(), *_named_results(), *_detection_tables(), *_shards(), *_text_folders(), *_image_dicts()]
    found += [*_saved_results(), *_annotations(), *_detector_logits(), *_classifier_logits(), *_tables()]
    found += [*_query_logits(), *_earlier_outputs()]
    found += [*_fits(), *_fitted_files()]
    found += _inspections(found)
    found += [*_class_sources(), *_slices()]
    return {target.name: target for target in found}


REPORT = {"out.json": "report", "out.csv": "csv", "out.xml": "xml"}
_WRITE_REPORT = ("--json", "out.json", "--csv", "out.csv", "--junit", "out.xml")
FURTHER = {"images.csv": "csv", "runs.csv": "csv", "runs.tex": "latex", "metrics.json": "metrics"}
"""Outputs that follow from the same report: written for one reader of each kind of metrics, as they take time."""
_WRITE_FURTHER = (
    "--per-image", "images.csv", "--csv-runs", "runs.csv", "--latex", "runs.tex", "--metrics-json", "metrics.json",
)  # fmt: skip
_FULL = ("--fixed-ap", "--pooled-ap", "--reliability", "--per-category", *_WRITE_REPORT)
_MAP = "beta:least=1,fallback=all,sizes=2"
_ANNOTATED = ("--annotations", "val.json")
_FEATURES = {"features": torch.arange(18).reshape(6, 3) % 7 / 4}
_MATCHED = detector_tensors() | {"boxes": torch.tensor([[1.0, 1, 5, 4], [3.5, 1.25, 7.5, 5.25], [0, 2, 5, 7]] * 2)}
"""Proposals, of which some match the objects of `LVIS`."""
_ADJUSTED = ("--freq", "freq.csv", "--method", "iif", "-o")


def _results() -> list[Target]:
    segm = ("--iou-type", "segm")
    kinds: tuple[tuple[str, str, bytes, Mutation, tuple[str, ...]], ...] = (
        ("json", "pred.json", text(RESULTS), _JSON, ()),
        ("json masks", "pred.json", text(MASK_RESULTS), _JSON, segm),
        ("json.gz", "pred.json.gz", gzip.compress(text(RESULTS), mtime=0), compressed(_JSON), ()),
        ("parquet", "pred.parquet", parquet(pa.Table.from_pylist(RESULTS)), damage_parquet, ()),
        ("parquet masks", "pred.parquet", parquet(MASK_TABLE), damage_parquet, segm),
    )
    found = []
    for kind, path, content, damage, options in kinds:
        inputs = {path: content, "val.json": LVIS, "freq.csv": FREQUENCIES}
        report = Case(("report", path, *_ANNOTATED, *options, *_FULL), inputs, REPORT)
        output = path.replace("pred", "out")
        rescore = Case(("rescore", path, *_ADJUSTED, output), inputs, {output: "results"})
        found.append(Target(f"results {kind}: report", report, path, damage))
        found.append(Target(f"results {kind}: rescore", rescore, path, damage))
    return found


def _detection_tables() -> list[Target]:
    """Other tables than COCO results."""
    found = []
    beside = {"val.json": LVIS, "freq.csv": FREQUENCIES}
    masks = lines_text([one for one in MASK_RESULTS if isinstance(one["segmentation"]["counts"], str)])
    kinds: tuple[tuple[str, bytes, Mutation], ...] = (
        ("pred.csv", csv_text(CORNERS), _LINES),
        ("pred.csv.gz", gzip.compress(csv_text(CORNERS), mtime=0), compressed(_LINES)),
        ("masks.jsonl", masks, _LINES),
        ("pred.jsonl", lines_text(CORNERS.to_pylist()), _LINES),
        ("named.parquet", parquet(CORNERS), damage_parquet),
        ("pred.arrow", arrow(CORNERS), damage_bytes),
        ("pred.feather", arrow(CORNERS, "lz4"), damage_bytes),
    )
    for path, content, damage in kinds:
        report = Case(("report", path, *_ANNOTATED, *_FULL), {path: content, **beside}, REPORT)
        found.append(Target(f"table {path}: report", report, path, damage))
    arguments = ("rescore", "pred.csv", *_ANNOTATED, *_ADJUSTED, "out.json")
    rescore = Case(arguments, {"pred.csv": csv_text(CORNERS), **beside}, {"out.json": "results"})
    return [*found, Target("table pred.csv: rescore", rescore, "pred.csv", _LINES)]


def _shards() -> list[Target]:
    """Results in two files, with an image in both."""
    whole = [one for one in RESULTS if one["image_id"] != 9]
    inputs = {
        "rank_0.json": text(whole),
        "rank_1.json": text([*RESULTS[2:3], *[one for one in whole if one["image_id"] == 4]]),
        "val.json": LVIS,
        "freq.csv": FREQUENCIES,
    }
    report = Case(("report", "--merge", "rank_*.json", *_ANNOTATED, *_FULL), inputs, REPORT)
    arguments = ("rescore", "--merge", "rank_0.json", "rank_1.json", *_ADJUSTED, "out.json")
    rescore = Case(arguments, inputs, {"out.json": "results"})
    return [
        Target("shards: report", report, "rank_1.json", _JSON),
        Target("shards: rescore", rescore, "rank_1.json", _JSON),
    ]


def _named_results() -> list[Target]:
    inputs = {"pred.json": text(NAMED_RESULTS), "val.json": LVIS}
    report = Case(("report", "pred.json", *_ANNOTATED, *_FULL), inputs, REPORT)
    return [Target("results json names: report", report, "pred.json", _JSON)]


def _text_folders() -> list[Target]:
    found = []
    for folder, files in (("labels", YOLO), ("voc", VOC)):
        report = Case(("report", folder, *_ANNOTATED, *_FULL), {**files, "val.json": LVIS}, REPORT)
        found.append(Target(f"{folder} txt: report", report, next(iter(files)), _LINES))
    return found


def _image_dicts() -> list[Target]:
    arrays = [{name: one.numpy() for name, one in image.items()} for image in image_dicts()]
    numbers = [{name: one.tolist() for name, one in image.items() if name != "masks"} for image in image_dicts()]
    kinds: tuple[tuple[str, bytes, Mutation], ...] = (
        ("images.pt", pt(image_dicts()), either(damage_images, damage_images, damage_bytes)),
        ("images.pkl", pickle.dumps(arrays), damage_bytes),
        ("images.json", text(numbers), _JSON),
        ("images.jsonl", lines_text(numbers), _LINES),
    )
    found = []
    for path, content, damage in kinds:
        report = Case(("report", path, *_ANNOTATED, *_FULL), {path: content, "val.json": LVIS}, REPORT)
        found.append(Target(f"{path}: report", report, path, damage))
    return found


def _saved_results() -> list[Target]:
    """Pickles of detections, as detectron2 and MMDetection write them."""
    found = []
    box, segm = ("--iou-type", "bbox"), ("--iou-type", "segm")
    for path, content, damage, options in (
        ("saved.pth", detectron2_predictions(masks=False), damage_saved, box),
        ("masks.pth", detectron2_predictions(masks=True), damage_saved, segm),
        ("mmdetection2.pkl", mmdetection_results(2), damage_pickle, box),
        ("mmdetection3.pkl", mmdetection_results(3), damage_pickle, box),
    ):
        report = Case(("report", path, *_ANNOTATED, *options, *_FULL), {path: content, "val.json": LVIS}, REPORT)
        found.append(Target(f"results {path}: report", report, path, damage))
    return found


def _annotations() -> list[Target]:
    found = []
    for kind, content in (("lvis", LVIS), ("coco", COCO)):
        for iou_type, entries in (("bbox", RESULTS), ("segm", MASK_RESULTS)):
            rules = ("--protocol", kind, "--iou-type", iou_type, *_FULL, *_WRITE_FURTHER)
            arguments = ("report", "pred.json", *_ANNOTATED, *rules, "--thresholds", "thresholds.json")
            outputs = REPORT | FURTHER | {"thresholds.json": "json"}
            case = Case(arguments, {"pred.json": text(entries), "val.json": content}, outputs)
            found.append(Target(f"annotations {kind} {iou_type}: report", case, "val.json", _JSON))
    count = ("compute-freq", "val.json", "--weights", "--fractal-dimension", "-o", "out.csv")
    case = Case(count, {"val.json": LVIS}, {"out.csv": "frequencies"})
    found.append(Target("annotations: compute-freq", case, "val.json", _JSON))
    stated = ("compute-freq", "val.json.gz", "--from-categories", "--num-images", "5000")
    packed = Case(stated, {"val.json.gz": gzip.compress(LVIS, mtime=0)})
    found.append(Target("annotations json.gz: compute-freq", packed, "val.json.gz", compressed(_JSON)))
    return found


def _detector_logits() -> list[Target]:
    tensors = detector_tensors()
    archive = {"logits.npz": npz(tensors), "logits.meta.json": text(DETECTOR)}
    stated = {"logits.safetensors": safetensors(tensors, DETECTOR)}
    pickled = {"logits.pt": pt({**tensors, "metadata": DETECTOR})}
    shards = {
        "shards/0.safetensors": safetensors(tensors),
        "shards/1.safetensors": safetensors(tensors | {"image_id": tensors["image_id"] + 20}),
        "shards/meta.json": text(DETECTOR),
    }
    kinds: tuple[tuple[str, dict[str, bytes], str, Mutation], ...] = (
        ("logits.npz", archive, "logits.npz", either(damage_npz, damage_bytes)),
        ("logits.npz", archive, "logits.meta.json", _JSON),
        ("logits.safetensors", stated, "logits.safetensors", damage_safetensors),
        ("logits.pt", pickled, "logits.pt", either(damage_pt, damage_bytes)),
        ("shards", shards, "shards/1.safetensors", damage_safetensors),
        ("shards", shards, "shards/meta.json", _JSON),
    )
    freq, results = {"freq.csv": FREQUENCIES}, {"out.json": "results"}
    found = []
    for source, inputs, damaged, damage in kinds:
        rescore = Case(("rescore", source, *_ADJUSTED, "out.json"), inputs | freq, results)
        found.append(Target(f"detector {damaged}: rescore", rescore, damaged, damage))
    methods = ("--freq", "freq.csv", "--method", "none", "--method", "norcal")
    arguments = ("report", "logits.safetensors", *_ANNOTATED, *methods, *_WRITE_REPORT)
    report = Case(arguments, {**stated, **freq, "val.json": LVIS}, REPORT)
    found.append(Target("detector logits.safetensors: report", report, "logits.safetensors", damage_safetensors))
    features = {"features": torch.ones(6, 3).half(), "weight": torch.arange(12.0).reshape(4, 3).half() + 1}
    method = "tau-norm:tau=0.5+temperature:t=0.5"
    inputs = {**archive, "logits.npz": npz(tensors | features)}
    tau = Case(("rescore", "logits.npz", "--method", method, "-o", "out.json"), inputs, results)
    found.append(Target("detector features: rescore", tau, "logits.npz", damage_npz))
    declared = ("--head", "softmax", "--background", "last", "--category-ids", "ids.txt")
    inputs = {"logits.npz": npz(tensors), "ids.txt": b"3\n1\n7\n", **freq}
    ids = Case(("rescore", "logits.npz", *_ADJUSTED, "out.json", *declared), inputs, results)
    found.append(Target("category ids: rescore", ids, "ids.txt", _LINES))
    return found


def _query_logits() -> list[Target]:
    """Outputs of query models, and a folder that two processes wrote."""
    tensors, others = query_tensors(), {"freq.csv": FREQUENCIES, "val.json": LVIS}
    alone = {name: tensors[name] for name in ("logits", "pred_boxes")}
    first = detector_tensors()
    repeated = {name: torch.cat([one[4:], one[:2]]) for name, one in first.items()}
    ranks = {
        "ranks/rank00000-00000.safetensors": safetensors({name: one[:4] for name, one in first.items()}, DETECTOR),
        "ranks/rank00001-00000.safetensors": safetensors(repeated, DETECTOR),
        **{
            f"ranks/rank0000{rank}.json": text(
                {"rank": rank, "world_size": 2, "shards": [f"rank0000{rank}-00000.safetensors"], "format": FORMAT}
            )
            for rank in range(2)
        },
    }
    kinds: tuple[tuple[str, dict[str, bytes], str, Mutation], ...] = (
        ("queries.npz", {"queries.npz": npz(tensors)}, "queries.npz", either(damage_npz, damage_bytes)),
        ("alone.npz", {"alone.npz": npz(alone)}, "alone.npz", damage_npz),
        ("alone.npz", {"alone.npz": npz(alone)}, "val.json", _JSON),
        (
            "queries.safetensors",
            {"queries.safetensors": safetensors(tensors)},
            "queries.safetensors",
            damage_safetensors,
        ),
        ("queries.pt", {"queries.pt": pt(tensors)}, "queries.pt", either(damage_pt, damage_bytes)),
        ("predicted.pkl", {"predicted.pkl": predicted()}, "predicted.pkl", damage_bytes),
        ("ranks", ranks, "ranks/rank00001-00000.safetensors", damage_safetensors),
        ("ranks", ranks, "ranks/rank00001.json", _JSON),
    )
    found = []
    for source, inputs, damaged, damage in kinds:
        arguments = ("rescore", source, *_ANNOTATED, *_ADJUSTED, "out.json")
        case = Case(arguments, inputs | others, {"out.json": "results"})
        found.append(Target(f"{source} {Path(damaged).name}: rescore", case, damaged, damage))
    return found


def _classifier_logits() -> list[Target]:
    tensors = classifier_tensors()
    archive = {"logits.npz": npz(tensors), "logits.meta.json": text(CLASSIFIER)}
    kinds: tuple[tuple[str, dict[str, bytes], Mutation], ...] = (
        ("logits.npz", archive, damage_npz),
        ("logits.safetensors", {"logits.safetensors": safetensors(tensors, CLASSIFIER)}, damage_safetensors),
        ("logits.pt", {"logits.pt": pt({**tensors, "metadata": CLASSIFIER})}, damage_pt),
    )
    freq, scores = {"freq.csv": CLASS_FREQUENCIES}, {"out.npz": "scores"}
    methods = ("--freq", "freq.csv", "--method", "iif", "--method", "temperature:t=0.5+logit-adjust")
    found = []
    for path, inputs, damage in kinds:
        rescore = Case(("rescore", path, *_ADJUSTED, "out.npz", "--keep-logits"), inputs | freq, scores)
        outputs = (*_WRITE_REPORT, *_WRITE_FURTHER)
        report = Case(("report", path, *methods, *outputs), inputs | freq, REPORT | FURTHER)
        found.append(Target(f"classifier {path}: rescore", rescore, path, damage))
        found.append(Target(f"classifier {path}: report", report, path, damage))
    learned = npz({"alpha": torch.ones(3), "beta": torch.zeros(3)})
    files: tuple[tuple[str, bytes, str, Mutation], ...] = (
        ("learned.npz", learned, "vector", either(damage_npz, damage_bytes)),
        ("learned.csv", b"category_id,alpha,beta\n1,1.5,0\n3,0.5,1e-3\n7,2,-1\n", "vector", _LINES),
        ("train.npz", npz(tensors), "logn", damage_npz),
    )
    for path, content, method, damage in files:
        arguments = ("rescore", "logits.npz", "--method", f"{method}:file={path}", "-o", "out.npz")
        case = Case(arguments, {**archive, "train.meta.json": text(CLASSIFIER), path: content}, scores)
        found.append(Target(f"{method} {path}: rescore", case, path, damage))
    unlabelled = {**archive, "logits.npz": npz({"logits": tensors["logits"]}), "labels.npy": npy(np.arange(6) % 3)}
    labels = Case(("report", "logits.npz", "--labels", "labels.npy", *_WRITE_REPORT), unlabelled, REPORT)
    found.append(Target("labels.npy: report", labels, "labels.npy", either(damage_npy, damage_bytes)))
    return [*found, *_saved_rows(unlabelled)]


def _saved_rows(unlabelled: Mapping[str, bytes]) -> list[Target]:
    """Logits of a classifier as people save them, without metadata, and labels in other containers than arrays."""
    tensors = classifier_tensors()
    logits, rows = tensors["logits"].numpy(), tensors["labels"].numpy()
    batches = [{"outputs": tensors["logits"][:4], "y": tensors["labels"][:4]}]
    entries = [
        {"pred_score": np.float32([0.5, 0.25, 0.25]), "gt_label": rows[:1], "img_path": f"{row}.jpg"}
        for row in range(6)
    ]
    columns = {f"logit_{column}": logits[:, column] for column in range(3)}
    lines = [
        ",".join(["filename", *columns]),
        *(f"{row}.jpg,{one[0]},{one[1]},{one[2]}" for row, one in enumerate(logits)),
    ]
    listed = pa.table({"filename": [f"{row}.jpg" for row in range(6)], "logit": list(logits)})
    forms: tuple[tuple[str, bytes, Mutation], ...] = (
        ("saved.npy", npy(logits), either(damage_npy, damage_bytes)),
        ("saved.npz", npz({"preds": tensors["logits"].double()}), damage_npz),
        ("saved.csv", "\n".join(lines).encode(), _LINES),
        ("saved.parquet", parquet(listed), damage_parquet),
        ("saved.pth", pt(batches), damage_bytes),
        ("saved.pkl", pickle.dumps(entries), damage_bytes),
        ("saved.p", pickle.dumps((logits, rows)), damage_bytes),
    )
    found = []
    for path, content, damage in forms:
        apart = {"labels.txt": b"".join(b"%d\n" % (row % 3) for row in range(4 if path == "saved.pth" else 6))}
        case = Case(("report", path, "--labels", "labels.txt", *_WRITE_REPORT), {path: content, **apart}, REPORT)
        found.append(Target(f"classifier {path}: report", case, path, damage))
    named = text({f"{row}.jpg": int(label) for row, label in enumerate(rows)})
    labels: tuple[tuple[str, bytes, Mutation], ...] = (
        ("labels.txt", b"0\n1\n-1\n0\n1\n2\n", _LINES),
        ("labels.csv", b"filename,y\na,0\nb,1\nc,2\nd,0\ne,1\nf,2\n", _LINES),
        ("labels.json", named, _JSON),
        ("labels.pt", pt(tensors["labels"]), damage_bytes),
        ("labels.parquet", parquet(pa.table({"label": rows})), damage_parquet),
        ("labels.npz", npz({"y_true": torch.eye(3)[tensors["labels"]]}), damage_npz),
    )
    for path, content, damage in labels:
        inputs = {name: one for name, one in unlabelled.items() if name != "labels.npy"}
        case = Case(("report", "logits.npz", "--labels", path, *_WRITE_REPORT), {**inputs, path: content}, REPORT)
        found.append(Target(f"{path}: report", case, path, damage))
    return found


def _tables() -> list[Target]:
    columns = {name: [category[name] for category in CATEGORIES] for name in ("image_count", "instance_count")}
    table = pa.table({"category_id": [3, 1, 7], "name": ["gnu", "cow", "emu"], **columns})
    found = []
    for path, content, damage in (
        ("freq.csv", FREQUENCIES, _LINES),
        ("freq.json", FREQUENCIES_JSON, _JSON),
        ("freq.parquet", parquet(table.replace_schema_metadata({"num_images": "1000"})), damage_parquet),
    ):
        method = ("--freq", path, "--method", "iif:normalizer=images,variant=smooth", "-o", "out.json")
        inputs = {"pred.json": text(RESULTS), path: content}
        rescore = Case(("rescore", "pred.json", *method), inputs, {"out.json": "results"})
        found.append(Target(f"frequencies {path}: rescore", rescore, path, damage))
    labels = np.array([0, 0, 2, 1, 2, 2])
    lines = b"a.jpg 0\nb c.jpg 2\nd.jpg 1\ne.jpg 2\n"
    sources: tuple[tuple[str, bytes, Mutation], ...] = (
        ("labels.npy", npy(labels), either(damage_npy, damage_bytes)),
        ("labels.npz", npz({"labels": torch.from_numpy(labels)}), either(damage_npz, damage_bytes)),
        ("labels.txt", lines, _LINES),
        ("labels.csv", b'path,label\na.jpg,0\n"b,c.jpg",2\nd.jpg,1\n', _LINES),
        ("labels.txt.gz", gzip.compress(lines, mtime=0), compressed(_LINES)),
    )
    for path, content, damage in sources:
        count = Case(("compute-freq", path, "-o", "out.csv"), {path: content}, {"out.csv": "frequencies"})
        found.append(Target(f"{path}: compute-freq", count, path, damage))
    return found


def _class_sources() -> list[Target]:
    """Lists with class names, annotations without boxes, and counts per class."""
    counts = torch.tensor([500, 20, 3])
    lists: tuple[tuple[str, bytes, Mutation], ...] = (
        ("names.txt", b'a.jpg "guide dog"\nb c.jpg cat\nd.jpg cat\n', _LINES),
        ("folders.txt", b"train/dog/a.jpg\ntrain/cat/b c.jpg\n", _LINES),
        ("names.csv", b'path,label\na.jpg,cat\n"b,c.jpg","owl, barn"\n', _LINES),
        ("labels.json", b"[0, 2, 1, 2]", _JSON),
        ("inat.json", INATURALIST, _JSON),
    )
    counted: tuple[tuple[str, bytes, Mutation], ...] = (
        ("counts.npy", npy(counts.numpy()), either(damage_npy, damage_bytes)),
        ("counts.npz", npz({"counts": counts}), either(damage_npz, damage_bytes)),
        ("counts.json", b'{"7": 500, "3": 20}', _JSON),
        ("named.json", b'{"cat": 500, "sea lion": 20}', _JSON),
        ("counts.txt", b"sea lion: 500\ncat: 20\n", _LINES),
        ("counts.csv", b"id,name,count\n7,dog,500\n3,cat,20\n", _LINES),
        ("counts.pt", pt({"7": counts[0], "3": counts[1]}), damage_pt),
    )
    output = {"out.csv": "frequencies"}
    found = []
    for options, files in (((), lists), (("--counts",), counted)):
        for path, content, damage in files:
            count = Case(("compute-freq", *options, path, "-o", "out.csv"), {path: content}, output)
            found.append(Target(f"{path}: compute-freq", count, path, damage))
    return found


def _slices() -> list[Target]:
    """Parts of the images as lists by name, and as tables."""
    images = {"night": [4, 0], "day, dry": [9], "all": [0, 4, 9]}
    attributes = b'image_id,file_name,weather,lanes\n4,a.jpg,"rain, fog",2\n0,b.jpg,sun,1\n9,c.jpg,,2\n'
    table = pa.table({"image_id": [4, 0, 9], "dark": [True, None, False], "lens": [1.5, 2.0, None]})
    kinds: tuple[tuple[str, bytes, Mutation], ...] = (
        ("slices.json", text(images), _JSON),
        ("names.json", text({name: [f"{one}.jpg" for one in ids] for name, ids in images.items()}), _JSON),
        ("members.csv", b"slice,image_id\nnight,4\nnight,0\nday,9\n", _LINES),
        ("slices.csv", attributes, _LINES),
        ("slices.parquet", parquet(table), damage_parquet),
    )
    found = []
    for path, content, damage in kinds:
        inputs = {"pred.json": text(RESULTS), "val.json": LVIS, path: content}
        options = ("--fixed-ap", "--pooled-ap", "--bootstrap", "--resamples", "2", *_WRITE_REPORT)
        outputs = REPORT | {"out.ltcal.parquet": "parquet"}
        if path == "slices.csv":
            options, outputs = (*options, *_WRITE_FURTHER), outputs | FURTHER
        report = Case(("report", "pred.json", *_ANNOTATED, "--slices", path, *options), inputs, outputs)
        found.append(Target(f"{path}: report", report, path, damage))
    rows = {"logits.npz": npz(classifier_tensors()), "logits.meta.json": text(CLASSIFIER)}
    rows["rows.csv"] = b"row,lens\n0,wide\n1,long\n5,wide\n"
    report = Case(("report", "logits.npz", "--slices", "rows.csv", *_WRITE_REPORT), rows, REPORT)
    return [*found, Target("rows.csv: report", report, "rows.csv", _LINES)]


def _earlier_outputs() -> list[Target]:
    """Files that the tool wrote itself: reports with their resamples, tunings; and gates on them."""
    inputs = {"pred.json": text(RESULTS), "val.json": LVIS, "freq.csv": FREQUENCIES}
    base = ("report", "pred.json", *_ANNOTATED, "--tide", "off")  # fewer metrics, so smaller files
    before = inputs | _made(inputs, (*base, "--bootstrap", "--resamples", "5", "--json", "before.json"))
    judged = (*base, "--baseline", "before.json", "--max-drop", "bbox/AP=0.5", "--allow-undefined", *_WRITE_REPORT)
    resamples = {"out.ltcal.parquet": "parquet"}
    value = Case(judged, before, REPORT)
    interval = Case((*judged, "--gate-on", "interval"), before, REPORT | resamples)
    gates = Case((*base, *_WRITE_REPORT), {**before, "ltcal.toml": GATES}, REPORT, optional=resamples)
    tune = ("tune", "pred.json", *_ANNOTATED, "--freq", "freq.csv", "--method", "norcal:gamma=0|1", "--folds", "2")
    tune = (*tune, "--no-bootstrap", "-o", "tuned.json")
    tuned = inputs | _made(inputs, tune)
    applied = ("--freq", "freq.csv", "--method", "@tuned.json")
    rescore = Case(("rescore", "pred.json", *applied, "-o", "out.json"), tuned, {"out.json": "results"})
    report = Case((*base, *applied, *_WRITE_REPORT), tuned, REPORT)
    return [
        Target("baseline: report", value, "before.json", _JSON),
        Target("resamples: report", interval, "before.ltcal.parquet", damage_parquet),
        Target("gates: report", gates, "ltcal.toml", either(damage_gates, damage_gates, _LINES)),
        Target("tuning: rescore", rescore, "tuned.json", _JSON),
        Target("tuning: report", report, "tuned.json", _JSON),
        Target("results: tune", Case(tune, inputs, {"tuned.json": "tuning"}), "pred.json", _JSON),
    ]


def _fits() -> list[Target]:
    """What is learned on labelled rows, proposals, and detections of a result file."""
    output = {"fit.npz": "fit"}
    damage = either(damage_npz, damage_npz, damage_bytes)
    found = []
    rows = {"freq.csv": CLASS_FREQUENCIES, "logits.meta.json": text(CLASSIFIER)}
    logits = classifier_tensors() | _FEATURES
    unlabelled = {name: one for name, one in logits.items() if name != "labels"}
    for method in ("vector:l2=0.1", "disalign:l2=0.1", "classifier:l2=0.1,loss=balanced-softmax", "ncm:features=cl2n"):
        learn = ("fit", "logits.npz", "--freq", "freq.csv", "--method", method, "-o", "fit.npz")
        case = Case(learn, {**rows, "logits.npz": npz(logits)}, output)
        found.append(Target(f"classifier {method.partition(':')[0]}: fit", case, "logits.npz", damage))
    alone = {"feats": _FEATURES["features"].numpy(), "labels": np.arange(6) % 3}
    for path, content, how in (
        ("trainfeat_all.pkl", pickle.dumps(alone), damage_pickle),
        ("features.npz", npz(_FEATURES | {"labels": torch.arange(6) % 3}), damage),
    ):
        learn = ("fit", path, "--method", "ncm", "-o", "fit.npz")
        found.append(Target(f"{path}: fit", Case(learn, {path: content}, output), path, how))
    learn = ("fit", "logits.npz", "--labels", "labels.npy", "--method", "temperature", "-o", "fit.npz")
    labelled = Case(learn, {**rows, "logits.npz": npz(unlabelled), "labels.npy": npy(np.arange(6) % 3)}, output)
    found.append(Target("labels.npy: fit", labelled, "labels.npy", either(damage_npy, damage_bytes)))
    truth = {"freq.csv": FREQUENCIES, "val.json": LVIS}
    proposals = {**truth, "logits.npz": npz(_MATCHED | _FEATURES), "logits.meta.json": text(DETECTOR)}
    for method, damaged, how in (("vector:l2=0.1", "val.json", _JSON), ("classifier:l2=0.1", "logits.npz", damage)):
        learn = ("fit", "logits.npz", *_ANNOTATED, "--freq", "freq.csv", "--method", method, "-o", "fit.npz")
        found.append(Target(f"detector {damaged}: fit", Case(learn, proposals, output), damaged, how))
    learn = ("fit", "pred.json", *_ANNOTATED, "--freq", "freq.csv", "--method", _MAP, "-o", "fit.npz")
    found.append(Target("results: fit", Case(learn, {**truth, "pred.json": text(RESULTS)}, output), "pred.json", _JSON))
    return found


def _fitted_files() -> list[Target]:
    """What `fit` wrote, applied to the predictions that it was learned on."""
    damage = either(damage_fitted, damage_fitted, damage_npz, damage_bytes)
    logits = {"logits.npz": npz(classifier_tensors() | _FEATURES), "logits.meta.json": text(CLASSIFIER)}
    rows = {**logits, "freq.csv": CLASS_FREQUENCIES}
    results = {"pred.json": text(RESULTS), "val.json": LVIS, "freq.csv": FREQUENCIES}
    found = []
    for source, inputs, options, method in (
        ("logits.npz", rows, (), "disalign:l2=0.1"),
        ("logits.npz", rows, (), "classifier:l2=0.1"),
        ("pred.json", results, _ANNOTATED, _MAP),
    ):
        made = _made(inputs, ("fit", source, *options, "--freq", "freq.csv", "--method", method, "-o", "fit.npz"))
        output = {"out.npz": "scores"} if source == "logits.npz" else {"out.json": "results"}
        rescore = Case(("rescore", source, "--method", "@fit.npz", "-o", *output), inputs | made, output)
        found.append(Target(f"fitted {method.partition(':')[0]}: rescore", rescore, "fit.npz", damage))
    alone = {"testfeat_all.pkl": pickle.dumps({"feats": _FEATURES["features"].numpy(), "labels": np.arange(6) % 3})}
    made = _made(alone, ("fit", "testfeat_all.pkl", "--method", "ncm", "-o", "fit.npz"))
    for command in ("report", "rescore"):
        output = {"out.npz": "scores"} if command == "rescore" else {}
        given = (command, "testfeat_all.pkl", "--method", "@fit.npz", *(("-o", "out.npz") if output else ()))
        found.append(
            Target(f"testfeat_all.pkl: {command}", Case(given, alone | made, output), next(iter(alone)), damage_pickle)
        )
    return found


_NOT_INSPECTED = (
    "ids.txt", "learned.npz", "learned.csv", "before.ltcal.parquet", "ltcal.toml",  # say nothing without another file
    "logits.meta.json", "shards/meta.json", "train.npz", "val.json.gz", "labels.txt.gz",  # read as others are
)  # fmt: skip


def _inspections(targets: list[Target]) -> list[Target]:
    """`ltcal inspect` of the files that other targets read, one of each name, and of detections beside annotations."""
    found: dict[str, Target] = {}
    for one in targets:
        if one.path not in _NOT_INSPECTED and one.path not in found:
            folder = one.path.partition("/")[0]
            annotated = _ANNOTATED if "--annotations" in one.valid.arguments else ()
            beside = {path: content for path, content in one.valid.inputs.items() if path.startswith(folder[:6])}
            beside |= {path: one.valid.inputs[path] for path in annotated[1:]}
            case = Case(("inspect", folder, *annotated, "--json", "out.json"), beside, {"out.json": "inspection"})
            found[one.path] = Target(f"{one.name.partition(':')[0]}: inspect", case, one.path, one.damage)
    inputs = {"pred.json": text(RESULTS), "val.json": LVIS, "freq.csv": FREQUENCIES}
    arguments = ("inspect", "pred.json", *_ANNOTATED, "--freq", "freq.csv", "--json", "out.json")
    compared = Case(arguments, inputs, {"out.json": "inspection"})
    beside_truth = [
        Target(f"{path} with annotations: inspect", compared, path, _JSON) for path in ("pred.json", "val.json")
    ]
    return [*found.values(), *beside_truth]


def _made(inputs: Mapping[str, bytes], arguments: tuple[str, ...]) -> dict[str, bytes]:
    """What the command writes."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for path, content in inputs.items():
            Path(path).write_bytes(content)
        done = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return {path.name: path.read_bytes() for path in Path().iterdir() if path.name not in inputs}
