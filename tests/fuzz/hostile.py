"""Hand-made inputs that once ended in a crash, a traceback, a lost input, or without bounds on memory and time."""

from __future__ import annotations

import gzip
import io
import json
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from fuzz.runner import Case
from fuzz.seeds import (
    CATEGORIES,
    CLASSIFIER,
    DETECTOR,
    IMAGES,
    LVIS,
    MASK_RESULTS,
    OBJECTS,
    RESULTS,
    archive,
    classifier_tensors,
    npy,
    npz,
    parquet,
    pt,
    text,
)
from fuzz.targets import targets

Cases = Iterator[tuple[str, Case]]

_RUNS = ([2**32 - 1, 2**32 - 1, 0, 0] * 50, [2**29] * 50, [2**31 - 1, 1, 2**31 - 1, 1] * 8, [2**29, 0] * 8)
_DIGITS = "9" * 4301


def _with(target: str, content: bytes) -> Case:
    """The valid case of a target with another content of the file that is damaged."""
    chosen = targets()[target]
    return replace(chosen.valid, inputs={**chosen.valid.inputs, chosen.path: content})


def _replaced(entries: list[dict[str, Any]], **fields: Any) -> list[dict[str, Any]]:
    """The entries, the first of them with other fields."""
    return [{**entries[0], **fields}, *entries[1:]]


def _lvis(**fields: Any) -> bytes:
    """Annotations, the first object with other fields."""
    return text({"images": IMAGES, "categories": CATEGORIES, "annotations": _replaced(OBJECTS, **fields)})


def masks() -> Cases:
    for number, runs in enumerate(_RUNS):
        mask = {"size": [8, 10], "counts": runs}
        results = text(_replaced(MASK_RESULTS, segmentation=mask))
        yield f"runs beyond the image {number}, results", _with("results json masks: report", results)
        objects = _lvis(segmentation=mask)
        yield f"runs beyond the image {number}, objects", _with("annotations lvis segm: report", objects)
    for points in (300, 2000):
        zigzag = [coordinate for i in range(points) for coordinate in (i % 2 * 99_999, i % 7 * 9_999)]
        objects = _lvis(segmentation=[zigzag])
        yield f"polygon of {points} long edges", _with("annotations lvis segm: report", objects)
    canvas = {"size": [2**31 - 1, 2**31 - 1], "counts": [2**31 - 1, 1]}
    results = text(_replaced(MASK_RESULTS, segmentation=canvas))
    yield "canvas of 2^62 pixels", _with("results json masks: report", results)


def numbers() -> Cases:
    entry = _raw(text(_replaced(RESULTS, note="@", score=1e-300)), _DIGITS)
    for command in ("report", "rescore"):
        yield f"integer of 4,301 digits, {command}", _with(f"results json: {command}", entry)
    large = LVIS.replace(b'"annotations": [', b'"annotations": 1e999, "other": [')
    yield "annotations that are 1e999", _with("annotations lvis bbox: report", large)


def nesting() -> Cases:
    image = {"images": [{"id": 1, "x": "@"}], "categories": CATEGORIES, "annotations": 5}
    section = {"other": "@", "images": IMAGES, "categories": CATEGORIES, "annotations": [{}]}
    for target, content in (
        ("results json: rescore", text(_replaced(RESULTS, note="@"))),
        ("annotations lvis bbox: report", text(image)),
        ("annotations lvis segm: report", text(section)),
        ("frequencies freq.json: rescore", b'{"format": "ltcal-frequency/1", "num_images": "@", "classes": []}'),
        ("baseline: report", b'{"format": "ltcal-report/1", "runs": "@"}'),
        ("tuning: rescore", b'{"format": "ltcal-tuned/1", "chosen": "@"}'),
        ("gates: report", b'[tool.ltcal.gate.fail-under]\n"bbox/AP" = "@"\n'),
    ):
        yield f"nested 5,000 deep, {target}", _with(target, _raw(content, "[" * 5000 + "]" * 5000))


def _raw(content: bytes, value: str) -> bytes:
    """The content with the text as it is in place of the string ``@``."""
    return content.replace(b'"@"', value.encode())


def keys() -> Cases:
    many = ", ".join(f'"{i}": 0' for i in range(60_000))
    entry = f'[{{"image_id": 4, "category_id": 3, {many}, "0": 1}}]'.encode()
    yield "60,000 keys, one of them twice", _with("results json: report", entry)
    long = text([{"image_id": 4, "category_id": 3, "a" * 100_000: 1}])
    yield "key of 100,000 characters", _with("results json: report", long)


def sizes() -> Cases:
    logits = _wide("logits.npy", "<f2", (1, 100_000_000))
    yield "row of 100 million columns", _with("classifier logits.npz: report", logits)
    alpha = _wide("alpha.npy", "<f2", (100_000_000,))
    yield "parameters of 100 million columns", _with("vector learned.npz: rescore", alpha)
    labels = _wide("labels.npy", "<i2", (1_000_000,))
    yield "1 million labels", _with("labels.npz: compute-freq", labels)
    blank = gzip.compress(b"[" + b" " * 300_000_000 + b"]", 1, mtime=0)
    for target in ("results json.gz: report", "annotations json.gz: compute-freq", "labels.txt.gz: compute-freq"):
        yield f"300 MB of blanks in gzip, {target}", _with(target, blank)
    yield "label of ten million", _with("labels.txt: compute-freq", b"a.jpg 9999999\n")


def _wide(name: str, dtype: str, shape: tuple[int, ...]) -> bytes:
    """A small .npz with one large array, all zeros. dtype: of two bytes."""
    file = io.BytesIO()
    packed = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with packed, packed.open(name, "w") as member:
        np.lib.format.write_array_header_1_0(member, {"descr": dtype, "fortran_order": False, "shape": shape})
        for _ in range(prod(shape) // 1_000_000):
            member.write(bytes(2_000_000))
    return file.getvalue()


def parquets() -> Cases:
    table = pa.Table.from_pylist(RESULTS)
    plain = io.BytesIO()
    pq.write_table(table, plain, compression="none")
    yield "Parquet without compression", _with("results parquet: rescore", plain.getvalue())
    polygons = pa.Table.from_pylist([{**one, "segmentation": [[1.0, 1.0, 5.0, 1.0, 5.0, 5.0]]} for one in RESULTS])
    for command in ("report", "rescore"):
        yield f"Parquet with polygons, {command}", _with(f"results parquet: {command}", parquet(polygons))
        undefined = table.append_column("segmentation", pa.array([float("nan")] * len(RESULTS)))
        yield f"Parquet with NaN for masks, {command}", _with(f"results parquet: {command}", parquet(undefined))
    names = pa.array([b"\xff\xfe", b"a", b"b"], pa.binary()).view(pa.string())
    broken = pa.table({"category_id": [1, 3, 7], "name": names, "image_count": [1, 2, 3], "instance_count": [1, 2, 3]})
    yield "names that are not UTF-8", _with("frequencies freq.parquet: rescore", parquet(broken))


def overflow() -> Cases:
    smallest, largest = float(np.finfo(np.float32).min), 3e38
    for value in (smallest, largest):
        tensors = classifier_tensors()
        tensors["logits"] = tensors["logits"].clone()
        tensors["logits"][1] = value
        tensors["logits"][2, 0] = value
        for command in ("report", "rescore"):
            yield f"logits of {value:.0e}, {command}", _with(f"classifier logits.npz: {command}", npz(tensors))
        cool = _with("classifier logits.npz: rescore", npz(tensors))
        arguments = tuple("temperature:t=0.5" if word == "iif" else word for word in cool.arguments)
        yield f"logits of {value:.0e}, temperature", replace(cool, arguments=arguments)
    boxes = text(_replaced(RESULTS, bbox=[1e200, 1e200, 1e200, 1e200]))
    yield "boxes of 1e200", _with("results json: report", boxes)


def archives() -> Cases:
    tensors = classifier_tensors()
    logits = tensors["logits"]
    kinds = {
        "nested": _nested(logits),
        "negative bit": torch.complex(logits, logits).conj().imag,
        "conjugate bit": torch.complex(logits, logits).conj(),
        "sparse": logits.to_sparse(),
        "meta": logits.to("meta"),
    }
    for name, tensor in kinds.items():
        content = pt({**tensors, "logits": tensor, "metadata": CLASSIFIER})
        yield f"tensor that is {name}", _with("classifier logits.pt: report", content)
    sound = pt({**tensors, "metadata": CLASSIFIER})
    with zipfile.ZipFile(io.BytesIO(sound)) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    legacy = io.BytesIO()
    torch.save({**tensors, "metadata": CLASSIFIER}, legacy, _use_new_zipfile_serialization=False)
    yield "file of torch 1.5", _with("classifier logits.pt: report", legacy.getvalue())
    pickled = next(name for name in members if name.endswith("data.pkl"))
    for cut in (10, 60, 120):
        members_cut = {**members, pickled: members[pickled][:cut] + b"G"}  # G: a float of 8 bytes that are missing
        yield f"pickle cut at {cut}", _with("classifier logits.pt: report", archive(members_cut))
    parts = {f"{name}.npy": npy(one.numpy()) for name, one in tensors.items()}
    yield "damaged LZMA, logits", _with("classifier logits.npz: report", _damaged_lzma(parts))
    labels = _damaged_lzma({"labels.npy": parts["labels.npy"]})
    yield "damaged LZMA, labels", _with("labels.npz: compute-freq", labels)
    alpha = _damaged_lzma({"alpha.npy": npy(np.ones(3)), "beta.npy": npy(np.ones(3))})
    yield "damaged LZMA, parameters", _with("vector learned.npz: rescore", alpha)
    yield "member that is no array, labels", _with("labels.npz: compute-freq", archive({"labels": b"text"}))
    yield "member that is no array, parameters", _with("vector learned.npz: rescore", archive({"alpha": b"text"}))


def _nested(tensor: torch.Tensor) -> torch.Tensor:
    with warnings.catch_warnings(action="ignore"):
        return torch.nested.nested_tensor([tensor[:3], tensor[3:]])


def _damaged_lzma(members: dict[str, bytes]) -> bytes:
    """An archive whose first member has bytes that are not LZMA."""
    content = bytearray(archive(members, zipfile.ZIP_LZMA))
    start = 30 + len(next(iter(members))) + 9  # after the headers of the member and of LZMA
    content[start : start + 12] = b"\xff" * 12
    return bytes(content)


def tables() -> Cases:
    classes = json.loads(targets()["frequencies freq.json: rescore"].valid.inputs["freq.json"])["classes"]
    for digits in (400, 5000):
        table = f'{{"format": "ltcal-frequency/1", "num_images": {"9" * digits}, "classes": {json.dumps(classes)}}}'
        yield f"number of images of {digits} digits", _with("frequencies freq.json: rescore", table.encode())
    gates = b'[tool.ltcal.gate.fail-under]\n"bbox/AP" = ' + b"9" * 5000 + b"\n"
    yield "limit of 5,000 digits", _with("gates: report", gates)
    ids = text({**DETECTOR, "category_ids": ["@", 1, 7]}).replace(b'"@"', _DIGITS.encode())
    yield "category id of 4,301 digits", _with("detector logits.meta.json: rescore", ids)


def overwriting() -> Cases:
    """Commands whose output is one of their inputs: they may not write anything."""
    yield "annotations are the output", Case(("compute-freq", "val.json", "-o", "val.json"), {"val.json": LVIS})
    labels = {"labels.csv": b"label\n0\n1\n"}
    yield "labels are the output", Case(("compute-freq", "labels.csv", "-o", "labels.csv"), labels)
    inputs = {"x.ltcal.parquet": parquet(pa.Table.from_pylist(RESULTS)), "val.json": LVIS}
    report = ("report", "x.ltcal.parquet", "--annotations", "val.json", "--bootstrap", "--resamples", "5")
    yield "resamples would replace the results", Case((*report, "--json", "x.json"), inputs)
    both = (*report, "--json", "y.json", "--csv", "y.ltcal.parquet")
    yield "resamples would replace the CSV", Case(both, inputs)


def names() -> Cases:
    odd = ("\n::error::b", "\x1b[31mred", "=1+1", "\u202eabc", "##[error]x", "\0", "\r")
    categories = [{**CATEGORIES[0], "id": 10 + i, "name": name} for i, name in enumerate(odd)]
    content = text({"images": IMAGES, "categories": [*CATEGORIES, *categories], "annotations": OBJECTS})
    yield "names of categories, stdout", Case(("compute-freq", "val.json"), {"val.json": content})
    yield "names of categories, report", _with("annotations lvis bbox: report", content)


HOSTILE: dict[str, Callable[[], Cases]] = {
    make.__name__: make
    for make in (masks, numbers, nesting, keys, sizes, parquets, overflow, archives, tables, overwriting, names)
}
"""Generators of named cases."""
