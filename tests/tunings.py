"""Small tunings made by hand, for the tests of their outputs."""

from __future__ import annotations

from dataclasses import replace

from reports import classification_report, classification_run, report, run

from longtail_cli.metrics import Interval
from longtail_cli.reports.model import Report, Run
from longtail_cli.reports.origin import InputDigest, Origin
from longtail_cli.reports.tuning.model import Candidate, Choice, Setting, Tuning

NORCAL, IIF = "norcal:gamma=0..1", "iif:variant=*,strength=0.5..1.5"
GAMMAS, VARIANTS, STRENGTHS = (0.0, 0.5, 1.0), ("raw", "base10"), (0.5, 1.0, 1.5)


def candidate(spec: str, space: str, settings: dict[str, Setting], rare: float, frequent: float) -> Candidate:
    """Its AP is the mean of the three groups; that of the common one is 0.3."""
    ap = (rare + 0.3 + frequent) / 3
    metrics = {"bbox/AP": ap, "bbox/APr": rare, "bbox/APc": 0.3, "bbox/APf": frequent}
    return Candidate(spec, space, settings, ap, 0.004, rare - 0.1, metrics, frequent > 0.3)


def detection_candidates() -> tuple[Candidate, ...]:
    """No adjustment, a space with one number, and one with a word and a number."""
    found = [candidate("none", "none", {}, 0.1, 0.4)]
    for gamma in GAMMAS:
        spec = f"norcal:gamma={gamma}"
        found.append(candidate(spec, NORCAL, {"gamma": gamma}, 0.1 + 0.16 * gamma, 0.4 - 0.08 * gamma**2))
    for n, variant in enumerate(VARIANTS):
        for strength in STRENGTHS:
            settings = {"variant": variant, "strength": strength}
            rare, frequent = 0.1 + (0.06 + 0.04 * n) * strength, 0.4 - (0.02 + 0.03 * n) * strength**2
            found.append(candidate(f"iif:variant={variant},strength={strength}", IIF, settings, rare, frequent))
    return tuple(found)


def cross_fitted(name: str, method: str, shift: float, reference: bool = False) -> Run:
    """A run of boxes with intervals."""
    one = run(name, shift)
    metrics = {"AP": 0.25 + shift, "APr": 0.1 + shift, "APc": 0.3, "APf": 0.4 - shift / 2}
    intervals = {"bbox/AP": Interval(0.225 + shift, 0.275 + shift), "bbox/APr": Interval(0.05 + shift, 0.15 + shift)}
    deltas = {} if reference else {"bbox/AP": Interval(shift - 0.01, shift + 0.01)}
    return replace(one, method=method, metrics={"bbox": metrics}, categories=(), intervals=intervals, deltas=deltas)


def held_out() -> Report:
    return report(cross_fitted("none", "none", 0.0, True), cross_fitted("norcal:gamma=0.5", "norcal:gamma=0.5", 0.02))


TUNED_ON = Origin(
    kind="results",
    head="sigmoid",
    background="none",
    category_ids=(1, 7),
    inputs=(InputDigest("predictions", "val.json", "00ff"), InputDigest("annotations", "instances.json", "ff00")),
    images={1: "a/000001.jpg", 42: "b/000042.jpg"},
)


def no_adjustment(folds: int, objective: float, cross_fitted: float | None, run: str = "none") -> Choice:
    interval = None if cross_fitted is None else Interval(cross_fitted - 0.025, cross_fitted + 0.025)
    return Choice("none", "none", "none", ("none",) * folds, objective, cross_fitted, interval, None, run)


def detection_tuning() -> Tuning:
    """Two spaces; the folds disagree on the choice."""
    choice = Choice(
        "all",
        "norcal:gamma=0.5",
        "norcal:gamma=0.5",
        ("norcal:gamma=0.5", "norcal:gamma=1.0"),
        0.28,
        0.27,
        Interval(0.245, 0.295),
        Interval(0.01, 0.03),
        "chosen",
    )
    iif = "iif:variant=base10,strength=1.0"
    best = (
        Choice(
            NORCAL,
            "norcal:gamma=0.5",
            "norcal:gamma=0.5",
            ("norcal:gamma=0.5", "norcal:gamma=1.0"),
            0.28,
            0.27,
            Interval(0.245, 0.295),
            None,
            NORCAL,
        ),
        Choice(IIF, iif, iif, (iif, iif), 0.275, 0.265, Interval(0.24, 0.29), None, IIF),
    )
    runs = [cross_fitted("none", "none", 0.0, True), cross_fitted("chosen", "norcal:gamma=0.5", 0.02)]
    runs += [cross_fitted(NORCAL, "norcal:gamma=0.5", 0.02), cross_fitted(IIF, iif, 0.015)]
    return Tuning(
        version="0.1.0", objective="bbox/AP", keep=("bbox/APf=-0.1",), target=None, folds=2, seed=0, split=None,
        partial=False, unadjusted=no_adjustment(2, 0.8 / 3, 0.25), chosen=choice, best=best,
        candidates=detection_candidates(), tuned_on=TUNED_ON,
        report=report(*runs), notes=("a note on the tuning",),
    )  # fmt: skip


def partial_tuning() -> Tuning:
    """A search that was interrupted."""
    choice = Choice("all", "norcal:gamma=0.5", "norcal:gamma=0.5", (), 0.28, None, None, None, "")
    best = (Choice(NORCAL, "norcal:gamma=0.5", "norcal:gamma=0.5", (), 0.28, None, None, None, ""),)
    whole = detection_tuning()
    return replace(
        whole,
        partial=True,
        unadjusted=no_adjustment(0, 0.8 / 3, None, ""),
        chosen=choice,
        best=best,
        candidates=whole.candidates[:4],
        report=None,
    )


def classification_tuning() -> Tuning:
    """One space with two numbers, tuned for a low NLL; the folds agree."""
    space = "temperature:t=1..2+logit-adjust:tau=0..1"
    candidates = [_classifier_candidate("none", "none", {}, 1.5)]
    for t in (1.0, 2.0):
        for tau in (0.0, 0.5, 1.0):
            settings = {"t": t, "tau": tau}
            spec = f"temperature:t={t}+logit-adjust:tau={tau}"
            candidates.append(_classifier_candidate(spec, space, settings, 1.4 + 0.1 * t - 0.2 * tau))
    chosen = "temperature:t=1.0+logit-adjust:tau=1.0"
    runs = [classification_run(name, shift) for name, shift in (("none", 0.0), ("chosen", 0.125), (space, 0.125))]
    choice = Choice("all", chosen, chosen, (chosen, chosen, chosen), 1.3, 1.35, None, None, "chosen")
    return Tuning(
        version="0.1.0", objective="classification/nll", keep=(), target="uniform", folds=3, seed=1, split=None,
        partial=False, unadjusted=no_adjustment(3, 1.5, 1.6), chosen=choice,
        best=(replace(choice, space=space, run=space),), candidates=tuple(candidates),
        tuned_on=Origin("logits", "softmax", "none", (0, 1), (InputDigest("predictions", "logits.npz", "00ff"),), {},
                         (0, 2**64 - 1, 17)),
        report=classification_report(*runs),
    )  # fmt: skip


def _classifier_candidate(spec: str, space: str, settings: dict[str, Setting], nll: float) -> Candidate:
    metrics = {"classification/nll": nll, "classification/few": 2 - nll, "classification/many": nll / 2}
    return Candidate(spec, space, settings, nll, 0.01, 0.1, {**metrics, "classification/medium": None}, True)


def tuning_of(spec: str, tuned_on: Origin) -> Tuning:
    """A tuning on this data that chose `spec`; its figures are those of `partial_tuning`."""
    one = partial_tuning()
    return replace(one, partial=False, chosen=replace(one.chosen, spec=spec, candidate=spec), tuned_on=tuned_on)
