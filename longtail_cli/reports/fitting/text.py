"""The record of a fit as plain text for a terminal."""

from __future__ import annotations

from longtail_cli.escapes import one_line
from longtail_cli.reports.fitting.model import FitRecord, RowCounts
from longtail_cli.reports.format import Table
from longtail_cli.reports.text_layout import table_text


def to_text(record: FitRecord) -> str:
    """What was fitted on which rows, what was tried, and the notes."""
    tables = [table_text(_tried(record), None)] if record.tried else []
    notes = "\n".join(f"- {one_line(note)}" for note in record.notes)
    rows = _rows(record.rows, record.fitted_on.kind)
    parts = [one_line(_headline(record)), rows, *tables, _course(record), notes]
    return "\n\n".join(part for part in parts if part) + "\n"


def _headline(record: FitRecord) -> str:
    target = "" if record.target is None else f", target {record.target}"
    return f"Fitted {record.description}{target}, seed {record.seed}; ltcal {record.version}"


def _rows(rows: RowCounts, kind: str) -> str:
    noun, other = ("detections", "matched to nothing") if kind == "results" else ("rows", "background")
    images = "" if rows.images is None else f" of {rows.images:,} images"
    background = "" if rows.background is None else f", {rows.background:,} of them {other}"
    held_out = f", {rows.held_out:,} held out to choose" if rows.held_out else ""
    left_out = f"; {rows.left_out:,} left out" if rows.left_out else ""
    return f"{rows.used:,} {noun}{images}, {rows.classes:,} classes{background}{held_out}{left_out}"


def _tried(record: FitRecord) -> Table:
    name = next(iter(record.settings), "setting")
    if name == "tau":
        title, digits = "balanced accuracy", 2
        rows = tuple((f"{one.value:g}", f"{100 * one.score:.{digits}f}") for one in record.tried)
    else:
        title = "held-out NLL"
        rows = tuple((f"{one.value:g}", f"{one.score:.4f}") for one in record.tried)
    return Table("Tried", (name, title), rows)


def _course(record: FitRecord) -> str:
    """How the search went; empty for closed forms."""
    if not record.curve:
        return ""
    ended = "" if record.converged else ", not converged"
    first, last = record.curve[0], record.curve[-1]
    return (
        f"Loss {first:.6g} -> {last:.6g} in {len(record.curve) - 1} steps, {record.passes} passes over the rows{ended}"
    )
