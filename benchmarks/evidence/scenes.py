"""Classifiers refitted on the proposals of examples/digit_scenes: prints tables of AP and false positives.

    python benchmarks/evidence/scenes.py

Fitted on the train scenes, reported on the val scenes with at most 20 detections per image, as in the README of the
example.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tables import markdown

import longtail_cli as ltcal
from longtail_cli.reports.metric_names import metrics_of
from longtail_cli.reports.model import Run

SCENES = Path(__file__).parents[2] / "examples" / "digit_scenes"
MAX_DETS = 20
RARE = 0.03  # the share of images below which a class is rare for EQL and SEQL: the three of group r

ADJUSTMENTS: Mapping[str, str] = MappingProxyType(
    {
        "softmax": "none",
        "IIF, mean weight 1": "iif:scale=mean",
        "logit adjustment": "logit-adjust:reference=mean",
    }
)
"""Of the detector that is there."""

HEADS: Mapping[str, str] = MappingProxyType(
    {
        "cross entropy": "classifier:loss=ce",
        "IIF": "classifier:loss=iif",
        "IIF, mean weight 1": "classifier:loss=iif,scale=mean",
        "balanced softmax": "classifier:loss=balanced-softmax",
        "balanced softmax, total as reference": "classifier:loss=balanced-softmax,reference=total",
        "LDAM": "classifier:loss=ldam,norm=cosine",
        "class-balanced": "classifier:loss=class-balanced",
        "EQL": f"classifier:loss=eql,lambda_={RARE}",
        "SEQL": f"classifier:loss=seql,lambda_={RARE}",
        "BAGS": "classifier:loss=bags",
        "cRT": "crt",
        "cRT, L-BFGS": "crt:solver=lbfgs",
    }
)
"""New classifiers."""

PENALTIES = (1e-2, 1e-3, 1e-4)
COMPARED = ("cross entropy", "IIF", "balanced softmax", "class-balanced")  # with each of the penalties

METRICS: Mapping[str, str] = MappingProxyType(
    {
        "AP": "bbox/AP",
        "AP_r": "bbox/APr",
        "AP_c": "bbox/APc",
        "AP_f": "bbox/APf",
        "TIDE FalsePos": "tide/bbox/FalsePos",
        "Bkg": "tide/bbox/Bkg",
    }
)


def main() -> None:
    freq = ltcal.count(SCENES / "train.json")
    adjusted = {name: evaluated(spec, freq) for name, spec in ADJUSTMENTS.items()}
    refitted = {f"refitted with {name}": refitted_with(spec, freq) for name, spec in HEADS.items()}
    penalised = {
        f"{name}, l2 = {l2:g}": refitted_with(f"{HEADS[name]},l2={l2}", freq) for name in COMPARED for l2 in PENALTIES
    }
    print(table({**adjusted, **refitted}), table(penalised), sep="\n\n")


def refitted_with(spec: str, freq: ltcal.FrequencyTable) -> Run:
    fit = ltcal.fit(SCENES / "train_logits.npz", SCENES / "train.json", method=spec, frequencies=freq)
    return evaluated(fit, freq)


def evaluated(method: str | ltcal.Fit, freq: ltcal.FrequencyTable) -> Run:
    report = ltcal.evaluate(
        SCENES / "logits.npz", SCENES / "val.json", methods=method, frequencies=freq, max_dets=MAX_DETS
    )
    return report.runs[0]


def table(runs: Mapping[str, Run]) -> str:
    """Percent; for FP@R60 a number of detections, empty if no such recall is reached."""
    rows = []
    for name, run in runs.items():
        value = metrics_of(run)
        cells = [f"{100 * value[metric]:.2f}" for metric in METRICS.values()]
        wrong = value["tide/bbox/FP@R60"]
        rows.append([name, *cells, "" if wrong is None else f"{wrong:.0f}"])
    return markdown(["classifier", *METRICS, "FP@R60"], rows)


if __name__ == "__main__":
    main()
