"""Digests of the rows of a logits file, to find the same rows in another file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from longtail_cli.files.logits.reader import LogitsFile

Digests = npt.NDArray[np.uint64]

_SEED = 0x6C7463616C
_BATCH = 1 << 20
"""Logits that are read together."""
_BLOCK = 1 << 18
"""Words that are hashed together."""


def row_digests(file: LogitsFile) -> Digests:
    """A 64-bit digest of the logits of each row, uint64 [N], in file order; read batch by batch.

    Of a file of features alone it is that of the features.

    The hash is multilinear, h = a_0 + a_1 x_1 + ... + a_W x_W modulo 2^64, where the row's bytes, as stored in float16,
    bfloat16 or float32, are W words x of 16 bits. The odd factors a are random but fixed, so equal rows have equal
    digests on every machine. Two given rows that differ have equal digests with a probability of at most 2^-48.

    What it does not find: the same image in another order of columns or another precision, after any change of the
    logits, or from another model, a flipped or resized copy of it included; nor the row of a file of features alone in
    one that has logits.
    """
    found = [np.zeros(0, np.uint64)]
    for batch in file.unchecked_batches(max(1, _BATCH // file.width)):
        rows = batch.features if file.content == "features" else batch.logits
        assert rows is not None
        found.append(digests_of(rows))
    return np.concatenate(found)


def digests_of(rows: torch.Tensor) -> Digests:
    """The digest of each row of [n, K]: uint64 [n]."""
    words = rows.contiguous().view(torch.int16).numpy().view(np.uint16)
    factors, size = _factors(words.shape[1]), max(1, _BLOCK // words.shape[1])
    found = [np.zeros(0, np.uint64)]
    for first in range(0, len(words), size):  # few at a time, as they take four times the memory
        found.append(words[first : first + size].astype(np.uint64) @ factors[1:] + factors[0])
    return np.concatenate(found)


def _factors(words: int) -> Digests:
    """a_0 to a_W, uint64 [W + 1]; the first ones are the same for every W."""
    return np.random.PCG64(_SEED).random_raw(words + 1) | np.uint64(1)


def rows_in(found: Digests, digests: Sequence[int]) -> int:
    """How many rows have one of the `digests`; rows that are equal all count."""
    return int(np.isin(found, np.array(digests, np.uint64)).sum())
