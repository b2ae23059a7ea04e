"""What `ltcal inspect` compares a file with, and what all its answers have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from longtail_cli import __version__
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.files.frequencies import read_frequencies
from longtail_cli.files.outline import Container, Outline
from longtail_cli.files.source import printable
from longtail_cli.reports.inspection.model import Fact, Inspection, Kind, Section, Step
from longtail_cli.tables import FrequencyTable, GroundTruth
from longtail_cli.workflow.inspect_words import counted, listed, size_text

CONTAINERS: Mapping[Container, str] = {
    "json list": "a JSON list", "json object": "a JSON object", "json lines": "JSON Lines",
    "parquet": "a Parquet table", "arrow": "an Arrow table", "csv": "a CSV table", "text": "text",
    "npy": "a NumPy array", "npz": "NumPy arrays", "torch": "a file of torch.save", "pickle": "a pickle",
    "safetensors": "a safetensors file", "folder": "a folder",
}  # fmt: skip


_NAMED: tuple[Kind, ...] = ("results", "frequencies", "labels")
"""The kinds whose fields are shown even if the file was read; the others show more of them."""
_SHOWN_FIELDS = 12
_OF_TENSORS = ("storage", "cpu")
"""Texts that torch.save writes with every tensor."""
_TITLES = {"json object": "keys", "npz": "arrays", "safetensors": "tensors", "npy": "array", "folder": "files"}


@dataclass(frozen=True, slots=True)
class Beside:
    """What the user named beside the file; None for what was not."""

    annotations: Path | None = None
    labels: Path | None = None
    frequencies: Path | None = None
    truth: GroundTruth | None = None
    """The content of `annotations`."""
    table: FrequencyTable | None = None
    """The content of `frequencies`."""


def read_beside(annotations: Path | None, labels: Path | None, frequencies: Path | None) -> Beside:
    """The files, read once for all inputs. Raises InputError if one is not valid."""
    truth = None
    if annotations is not None:
        with open_annotations(annotations) as file:
            truth = file.read()
    table = None if frequencies is None else read_frequencies(frequencies)
    return Beside(annotations, labels, frequencies, truth, table)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a part of the workflow found out about a file."""

    kind: Kind
    headline: str
    sections: Sequence[Section]
    notes: Sequence[str] = ()
    steps: Sequence[Step] = ()


def inspection_of(outline: Outline, answer: Answer, problem: str | None = None) -> Inspection:
    """The answer, after what the first bytes of the file show."""
    named = problem is not None or (answer.kind in _NAMED and outline.container not in ("pickle", "torch"))
    file = Section("File", tuple(_file_facts(outline, named)))
    sections = (file, *(one for one in answer.sections if one.facts))
    return Inspection(
        __version__, printable(str(outline.path)), answer.kind, answer.headline, sections, tuple(answer.notes),
        tuple(answer.steps), problem,
    )  # fmt: skip


def _file_facts(outline: Outline, named: bool) -> list[Fact]:
    """named: whether the names in it are among the facts."""
    container = CONTAINERS[outline.container]
    if outline.container == "folder":
        facts = [Fact("content", f"{container} with {counted(len(outline.names), 'file')}", {"container": "folder"})]
        return [*facts, *(_field_facts(outline) if named else ())]
    size = outline.path.stat().st_size
    facts = [Fact("content", f"{container}, {size_text(size)}", {"container": outline.container, "bytes": size})]
    return [*facts, *(_field_facts(outline) if named else ())]


def _field_facts(outline: Outline) -> list[Fact]:
    """The names in the file, with types or shapes as far as they were seen."""
    seen = [_field(name, outline.first[name]) if name in outline.first else name for name in outline.names]
    title = _TITLES.get(outline.container, "fields")
    if outline.container in ("pickle", "torch"):
        return _pickle_facts(outline)
    return [Fact(title, listed(seen, _SHOWN_FIELDS), {})] if seen and outline.container != "text" else []


def _field(name: str, value: object) -> str:
    if isinstance(value, tuple):
        return f"{name} {list(value)}".strip()
    if isinstance(value, list):
        return f"{name} (list of {len(value):,})"
    return name if value is None or isinstance(value, str) else f"{name} ({type(value).__name__})"


def _pickle_facts(outline: Outline) -> list[Fact]:
    facts = []
    if outline.nesting:
        facts.append(Fact("begins as", " of ".join(f"a {one}" for one in outline.nesting), {}))
    for title, names in (("texts", outline.names), ("objects", outline.globals)):
        distinct = [one for one in dict.fromkeys(names) if one not in _OF_TENSORS and not one.isdecimal()]
        if distinct:
            facts.append(Fact(title, listed([one[:60] for one in distinct], _SHOWN_FIELDS), {}))
    return facts
