"""What a tuning or a fit was made from: what a later report is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

from longtail_cli.choices import BackgroundName, HeadName

_DIGESTS = np.dtype("<u8")


METHOD = "method"
"""The role of a file that holds a method which was tried."""


@dataclass(frozen=True, slots=True)
class InputDigest:
    """A file that was tuned or fitted on."""

    role: str
    """``predictions``, ``annotations``, ``labels``, ``frequencies``, ``target``, ``held-out`` or `METHOD`."""
    name: str
    """Path as given."""
    sha256: str
    """Hex digest of its content; of a folder, of its shards one after another; of the logits of a classifier, of the
    digests of their rows."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The data and the kind of model that something was tuned or fitted on."""

    kind: str
    """``logits`` or ``results``."""
    head: HeadName
    """Of the logits; ``sigmoid`` for result files."""
    background: BackgroundName
    category_ids: tuple[int, ...]
    """In column order; for result files those of the frequency table, in order of id."""
    inputs: tuple[InputDigest, ...]
    images: Mapping[int, str]
    """Detection: the file name of each image by id, empty if the annotations state none. Empty for classification."""
    rows: tuple[int, ...] = ()
    """Classification: a 64-bit digest of the logits of each row. Empty for detection."""


class OriginDocument(msgspec.Struct):
    """`Origin` with the digests of the rows as bytes, which JSON holds in base64: 11 characters per row."""

    kind: str
    head: HeadName
    background: BackgroundName
    category_ids: tuple[int, ...]
    inputs: tuple[InputDigest, ...]
    images: dict[int, str]
    rows: bytes

    def __post_init__(self) -> None:
        if len(self.rows) % _DIGESTS.itemsize:
            raise ValueError("expected digests of rows, 8 bytes each")

    @classmethod
    def of(cls, one: Origin) -> OriginDocument:
        rows = np.array(one.rows, _DIGESTS).tobytes()
        return cls(one.kind, one.head, one.background, one.category_ids, one.inputs, dict(one.images), rows)

    def decoded(self) -> Origin:
        rows = tuple(np.frombuffer(self.rows, _DIGESTS).tolist())
        return Origin(self.kind, self.head, self.background, self.category_ids, self.inputs, self.images, rows)
