"""A small report made by hand, for the tests of the renderers."""

from longtail_cli.report.model import CategoryRow, Gains, Report, Run, Signature, Tide

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
