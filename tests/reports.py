"""Small reports made by hand, for the tests of the renderers."""

import dataclasses

import numpy as np

from longtail_cli.metrics import (
    CategoryMetrics,
    Classification,
    DetectionBin,
    ImageMetrics,
    Interval,
    Reliability,
    ReliabilityBin,
    RowPredictions,
    Tide,
    TideGains,
)
from longtail_cli.reports.model import Baseline, Bootstrap, GroupSize, Report, Run, Signature, Verdict

MAIN = {"Cls": 0.01, "Loc": 0.02, "Both": 0.0, "Dupe": 0.0, "Bkg": -0.005, "Miss": 0.1}
SPECIAL = {"FalsePos": 0.2, "FalseNeg": 0.15}
NOTHING = TideGains(None, dict.fromkeys(MAIN), dict.fromkeys(SPECIAL))


def run(name: str, shift: float, category: str = "cat") -> Run:
    """A run whose AP is `shift` above that of shift 0."""
    metrics = {"AP": 0.25 + shift, "AP50": 0.5, "APr": None, "APpool": {"AP": 0.2 + shift, "APr": None}}
    tide = Tide("aligned", 0.5, MAIN, SPECIAL, {"r": NOTHING})
    row = CategoryMetrics(7, category, "c", 3, 4, {"bbox": {"AP": 0.25 + shift, "AP50": 0.5}})
    empty = CategoryMetrics(9, "dog", None, 0, 0, {"bbox": {"AP": None, "AP50": None}})
    return Run(name, f"{name}.json", "00ff", None, {"bbox": metrics}, {"bbox": tide}, (row, empty), ("a note",))


def report(*runs: Run) -> Report:
    signature = Signature("0.1.0", "lvis", 300, ("bbox",), "aligned", 5, 2, "abcd", None)
    return Report(signature, runs, ("a note on all",))


def classification_run(name: str, shift: float) -> Run:
    """A run of a classifier: its accuracies are `shift`, and its NLL is 4 times `shift`, above those of shift 0."""
    confusion = {"many": {"many": 0.75, "few": 0.25}, "few": {"many": 0.5 - shift, "few": 0.5 + shift}}
    metrics = Classification(
        top1=0.5 + shift, top5=0.75 + shift, balanced=0.25 + shift, many=0.5 + shift, medium=None, few=0.125 + shift,
        ece=0.0625, classwise_ece=0.03125, nll=1.5 + 4 * shift, brier=0.625, confusion=confusion,
        reliability=(ReliabilityBin(0, None, None), ReliabilityBin(8, 0.5, 0.25)),
    )  # fmt: skip
    rows = (
        CategoryMetrics(0, "cat", "many", 6, 6, {"classification": {"recall": 0.5 + shift}}),
        CategoryMetrics(1, "dog", "few", 0, 0, {"classification": {"recall": None}}),
    )
    return Run(name, "logits.npz", "00ff", name, {}, {}, rows, (), metrics)


def classification_report(*runs: Run) -> Report:
    return Report(Signature("0.1.0", "classification", None, (), "off", 8, 2, "abcd", "ef01"), runs, ())


def images(name: str | None = None, threshold: float | None = 0.5) -> ImageMetrics:
    """Two images, of which the second holds nothing; both with the file `name`."""
    return ImageMetrics(
        threshold=threshold,
        image_id=np.array([3, 1 << 40]),
        file_name=None if name is None else (name, name),
        ground_truths=np.array([4, 0]),
        true_positives=np.array([1, 0]),
        false_positives=np.array([2, 0]),
        missed=np.array([3, 0]),
        main_error=("Miss", None),
        f1=np.array([2 / 7, np.nan]),
    )


def rows(name: str | None = None) -> RowPredictions:
    """Two rows, of which the second is right; both with the file `name`."""
    names = None if name is None else (name, name)
    return RowPredictions(np.array([0, 2]), names, np.array([1, 0]), np.array([0, 0]), np.array([0.5, 0.75]))


HOSTILE = (
    'a, "b"; |c| <script>alert(1)</script>\n]]>&amp;',
    "\u202e\u05d0 \N{CAT FACE}",
    '=HYPERLINK("https://example.org")',
    "::error::x",
    "##[error]x\r::set-output name=a::b",
    "\x00\x1b[31m",
    "\ud800",
)
"""Names that files may hold: separators, markup, right-to-left text, emoji, formulas, commands, and invalid XML."""


def verdict(outcome: str, allowed: bool = False, **given: object) -> Verdict:
    """A verdict on APr of a run ``after``, with the fields `given`."""
    one = Verdict(
        "after", "fail-under", "bbox/APr", "0.18", outcome, allowed or outcome == "passed", 0.1, None, None,
        f"after: bbox/APr {outcome}",
    )  # fmt: skip
    return dataclasses.replace(one, **given)


GATES = (
    verdict("passed", metric="bbox/AP", value=0.265),
    verdict("failed", kind="max-drop", limit="1%", base=0.2, interval=Interval(-0.12, -0.08)),
    verdict("undefined", metric="bbox/APs", value=None),
    verdict("undefined", allowed=True, metric="bbox/APm", value=None),
    verdict("not comparable", kind="max-rise", metric="tide/bbox/FalsePos"),
)
"""One verdict per outcome."""

BASELINE = Baseline("main.json", run("main", -0.125), ())


def gated_report(*runs: Run, gates: tuple[Verdict, ...] = GATES, baseline: Baseline | None = None) -> Report:
    """A report with gates and the sizes of groups."""
    groups = {"all": GroupSize(2, 5, 12), "r": GroupSize(1, 1, 2)}
    return dataclasses.replace(report(*runs), groups=groups, gates=gates, baseline=baseline)


def resampled_report(before: Run, after: Run) -> Report:
    """A report of two runs with intervals of AP, and of its difference to the first."""
    of_ap = {"bbox/AP": Interval(0.2, 0.3)}
    first = dataclasses.replace(before, intervals=of_ap)
    second = dataclasses.replace(after, intervals=of_ap, deltas={"bbox/AP": Interval(-0.01, 0.04)})
    return dataclasses.replace(gated_report(first, second, gates=()), bootstrap=Bootstrap(1000, 0, "00ff"))


def reliable(one: Run) -> Run:
    """The run with calibration errors of its scores."""
    errors = {"all": {"D-ECE": 0.125, "LaECE": 0.25}, "r": {"D-ECE": None, "LaECE": None}}
    bins = {"all": (DetectionBin(4, 0.5, 0.25, 0.75),), "r": (DetectionBin(0, None, None, None),)}
    return dataclasses.replace(one, reliability={"bbox": Reliability(0.5, errors, bins)})


def counting(one: Run, false_positives: int) -> Run:
    """The run with as many false positives at recall 0.4, and none at 0.6, which is not reached."""
    counts = {"FP@R40": false_positives, "FP@R60": None}
    group = dataclasses.replace(NOTHING, false_positives=dict.fromkeys(counts))
    tide = dataclasses.replace(one.tide["bbox"], false_positives=counts, groups={"r": group})
    return dataclasses.replace(one, tide={"bbox": tide})


def trained(one: Run, images: int) -> Run:
    """The run with the training counts of its first category."""
    first, *others = one.categories
    counted = dataclasses.replace(first, train_images=images, train_instances=2 * images)
    return dataclasses.replace(one, categories=(counted, *others))


def many_categories(name: str, values: list[float]) -> Run:
    """A run with a category for each AP value; ids begin at 0."""
    rows = [
        CategoryMetrics(key, f"c{key}", "f", 1, 1, {"bbox": {"AP": ap, "AP50": ap}}) for key, ap in enumerate(values)
    ]
    return dataclasses.replace(run(name, 0.0), categories=tuple(rows))
