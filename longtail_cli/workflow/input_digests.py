"""Digests of the inputs of a tuning."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longtail_cli.files.frequencies import frequencies_sha256
from longtail_cli.files.results.file import ResultFile
from longtail_cli.files.shipped import shipped_name
from longtail_cli.files.source import check_readable, printable
from longtail_cli.reports.origin import InputDigest
from longtail_cli.tables import FrequencyTable

if TYPE_CHECKING:
    from longtail_cli.files.logits.reader import LogitsFile


def input_digests(
    source: str,
    predictions_sha256: str | None,
    frequencies: Path | FrequencyTable | None,
    frequencies_sha256: str | None,
) -> tuple[InputDigest, ...]:
    """The digests of the predictions and of the frequency table, of those that are files. source: the predictions."""
    found = []
    if predictions_sha256 is not None:
        found.append(InputDigest("predictions", printable(source), predictions_sha256))
    if frequencies_sha256 is not None:
        name = printable(str(frequencies)) if isinstance(frequencies, Path) else "in memory"
        found.append(InputDigest("frequencies", name, frequencies_sha256))
    return tuple(found)


def sha256_of(file: ResultFile | LogitsFile) -> str | None:
    """The hex digest of a result file, or of the shards of logits one after another; None for data in memory."""
    if isinstance(file, ResultFile):
        return file.sha256()
    digest = sha256()
    for path in file.shards:
        if not path.is_file():
            return None
        with path.open("rb") as content:
            while block := content.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def digests_of_paths(sources: Mapping[str, Any]) -> tuple[InputDigest, ...]:
    """The digests of those sources that are paths, by role; a frequency table may also be named.

    Raises InputError for a file that cannot be read.
    """
    paths = {role: Path(source) for role, source in sources.items() if isinstance(source, str | Path)}
    return tuple(InputDigest(role, printable(str(path)), _sha256_of_path(path)) for role, path in paths.items())


def _sha256_of_path(path: Path) -> str:
    if shipped_name(path) is not None:
        return frequencies_sha256(path)
    check_readable(path)
    return sha256(path.read_bytes()).hexdigest()
