"""How a report was made: rules, data and files, as names and values."""

from __future__ import annotations

from dataclasses import dataclass

from longtail_cli.reports.model import Report, Run, Signature


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and its value."""

    name: str
    value: str
    digest: str = ""
    """Hex digest of what the value names; empty without one."""


def about(report: Report) -> list[Fact]:
    """The rules and the data, then the baseline, then each run."""
    facts = _signature(report.signature)
    if report.bootstrap is not None:
        drawn = f"{report.bootstrap.resamples:,} resamples, seed {report.bootstrap.seed}"
        facts.append(Fact("bootstrap", drawn, report.bootstrap.sha256))
        facts.append(Fact("95% intervals", f"hold {report.bootstrap.covers}"))
    if report.baseline is not None:
        facts.append(Fact("baseline", report.baseline.source))
    return facts + [_run(run) for run in report.runs]


def _signature(signature: Signature) -> list[Fact]:
    classes = "classes" if signature.protocol == "classification" else "categories"
    facts = [Fact("ltcal", signature.version), Fact("protocol", signature.protocol)]
    if signature.max_dets is not None:
        facts.append(Fact("most detections per image", str(signature.max_dets)))
    if signature.iou_types:
        facts.append(Fact("IoU types", ", ".join(signature.iou_types)))
        facts.append(Fact("TIDE", signature.tide))
    facts.append(Fact("images", f"{signature.images:,}"))
    facts += [Fact("part of the images", signature.split)] if signature.split else []
    facts.append(Fact(classes, f"{signature.categories:,}"))
    data = {
        "annotations": signature.annotations_sha256,
        "frequencies": signature.frequencies_sha256,
        "groups": signature.groups_sha256,
    }
    facts += [Fact(name, "" if digest else "none", digest or "") for name, digest in data.items()]
    return facts + ([Fact("oracle", ", ".join(signature.oracle))] if signature.oracle else [])


def _run(run: Run) -> Fact:
    method = f", {run.method}" if run.method else ""
    return Fact(run.name, f"{run.source}{method}", run.sha256 or "")
