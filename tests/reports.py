"""A small report made by hand, for the tests of the renderers."""

from longtail_cli.report.model import (
    CategoryRow,
    Classification,
    Gains,
    ReliabilityBin,
    Report,
    Run,
    Signature,
    Tide,
)

MAIN = {"Cls": 0.01, "Loc": 0.02, "Both": 0.0, "Dupe": 0.0, "Bkg": -0.005, "Miss": 0.1}
SPECIAL = {"FalsePos": 0.2, "FalseNeg": 0.15}
NOTHING = Gains(None, dict.fromkeys(MAIN), dict.fromkeys(SPECIAL))


def run(name: str, shift: float, category: str = "cat") -> Run:
    """A run whose AP figures are `shift` above those of shift 0."""
    metrics = {"AP": 0.25 + shift, "AP50": 0.5, "APr": None, "APpool": {"AP": 0.2 + shift, "APr": None}}
    tide = Tide("aligned", 0.5, MAIN, SPECIAL, {"r": NOTHING})
    row = CategoryRow(7, category, "c", 3, 4, {"bbox": {"AP": 0.25 + shift, "AP50": 0.5}})
    empty = CategoryRow(9, "dog", None, 0, 0, {"bbox": {"AP": None, "AP50": None}})
    return Run(name, f"{name}.json", "00ff", None, {"bbox": metrics}, {"bbox": tide}, (row, empty), ("a note",))


def report(*runs: Run) -> Report:
    signature = Signature("0.1.0", "lvis", 300, ("bbox",), "aligned", 5, 2, "abcd", None)
    return Report(signature, runs, ("a note on all",))


def classification_run(name: str, shift: float) -> Run:
    """A run of a classifier whose rates are `shift`, and whose NLL is 4 times `shift`, above those of shift 0."""
    confusion = {"many": {"many": 0.75, "few": 0.25}, "few": {"many": 0.5 - shift, "few": 0.5 + shift}}
    figures = Classification(
        top1=0.5 + shift, top5=0.75 + shift, balanced=0.25 + shift, many=0.5 + shift, medium=None, few=0.125 + shift,
        ece=0.0625, classwise_ece=0.03125, nll=1.5 + 4 * shift, brier=0.625, confusion=confusion,
        reliability=(ReliabilityBin(0, None, None), ReliabilityBin(8, 0.5, 0.25)),
    )  # fmt: skip
    rows = (
        CategoryRow(0, "cat", "many", 6, 6, {"classification": {"recall": 0.5 + shift}}),
        CategoryRow(1, "dog", "few", 0, 0, {"classification": {"recall": None}}),
    )
    return Run(name, "logits.npz", "00ff", name, {}, {}, rows, (), figures)


def classification_report(*runs: Run) -> Report:
    return Report(Signature("0.1.0", "classification", None, (), "off", 8, 2, "abcd", "ef01"), runs, ())
