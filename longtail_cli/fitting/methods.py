"""What can be fitted: frozen dataclasses; fields are the parameters, docstrings formula and source."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, get_args

from longtail_cli.choices import VARIANTS, VariantName
from longtail_cli.errors import Problem, UsageError
from longtail_cli.methods.base import Choice, Named, Number, NumberOrWord
from longtail_cli.methods.iif import SCALES, Scale
from longtail_cli.methods.prior import Reference
from longtail_cli.methods.specs import parse_named

Confidence = Literal["features", "logits", "none"]
By = Literal["class", "group", "all"]
Fallback = Literal["group", "all", "keep", "zero"]
Loss = Literal[
    "ce", "iif", "balanced-softmax", "logit-adjust", "ldam", "class-balanced", "disalign", "eql", "seql", "bags"
]
Sampler = Literal["random", "class-balanced", "square-root", "rfs"]
SamplerChoice = Literal["auto", "random", "class-balanced", "square-root", "rfs"]
Start = Literal["new", "given"]
StartChoice = Literal["auto", "new", "given"]
Norm = Literal["auto", "none", "cosine"]
Solver = Literal["lbfgs", "sgd"]
NcmFeatures = Literal["raw", "l2n", "cl2n"]
Metric = Literal["l2", "cosine"]
Preset = Literal[
    "none",
    "iif-cifar",
    "iif-imagenet-lt",
    "crt-imagenet-lt",
    "crt-places-lt",
    "crt-inaturalist18",
    "balanced-softmax-places-lt",
    "bags-lvis",
]

AUTO = "auto"
Penalty = Annotated[
    float | str,
    NumberOrWord("strength of the L2 penalty; auto chooses from 1e-4 to 1 on the held-out rows", AUTO, high=1e4),
]


@dataclass(frozen=True, slots=True)
class FitMethod(Named):
    """Base of everything that can be fitted."""

    listed: ClassVar[str] = "`ltcal methods` with `fit=True`"

    @property
    def uses_l2(self) -> bool:
        """Whether a penalty of the strength `l2` has a part in the fit."""
        return any(p.name == "l2" for p in self.parameters())


@dataclass(frozen=True, slots=True)
class LogitsFit(FitMethod):
    """Base of corrections of the logits."""


@dataclass(frozen=True, slots=True)
class Temperature(LogitsFit):
    """z'_k = z_k / T, one T > 0 for all columns.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2
    """

    name: ClassVar[str] = "temperature"


@dataclass(frozen=True, slots=True)
class VectorScaling(LogitsFit):
    """z'_k = alpha_k z_k + beta_k, the background's column too. Penalty: l2/2 (Σ (alpha_k - 1)² + Σ beta_k²).

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2
    """

    name: ClassVar[str] = "vector"
    l2: Penalty = AUTO


@dataclass(frozen=True, slots=True)
class BiasCorrectedTemperature(LogitsFit):
    """z'_k = z_k / T + beta_k. Penalty: l2/2 Σ beta_k².

    Source: Alexandari et al., "Maximum Likelihood with Bias-Corrected Calibration is Hard-To-Beat at Label Shift
    Adaptation", ICML 2020, section 4
    """

    name: ClassVar[str] = "bcts"
    l2: Penalty = AUTO


@dataclass(frozen=True, slots=True)
class ClassTemperature(LogitsFit):
    """z'_c = z_c / T_c, a T_c > 0 for each class; the background keeps its logit. Penalty: l2/2 Σ (ln T_c)².

    Source: Frenkel and Goldberger, "Network Calibration by Class-based Temperature Scaling", EUSIPCO 2021
    """

    name: ClassVar[str] = "class-temperature"
    l2: Penalty = AUTO


@dataclass(frozen=True, slots=True)
class LearnableWeightScaling(LogitsFit):
    """z'_c = alpha_c z_c; the background keeps its logit. Penalty: l2/2 Σ (alpha_c - 1)².

    Source: Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR 2020, section 4
    """

    name: ClassVar[str] = "lws"
    l2: Penalty = AUTO


@dataclass(frozen=True, slots=True)
class DisAlign(LogitsFit):
    """z'_k = s (alpha_k z_k + beta_k) + (1 - s) z_k with the confidence s = sigmoid(v · w + b), v the features of the
    row or its logits; s = 1 with confidence=none. The rows of class c weigh (1/r_c)^exponent, r_c its share of them;
    the background keeps its logit. Penalty: l2/2 (Σ (alpha_k - 1)² + Σ beta_k² + |w|²).

    Source: Zhang et al., "Distribution Alignment: A Unified Framework for Long-tail Visual Recognition", CVPR 2021,
    section 3.3
    """

    name: ClassVar[str] = "disalign"
    exponent: Annotated[float, Number("of the weights of the classes; 0 weighs all rows alike", low=0.0, high=4.0)] = (
        1.2
    )
    confidence: Annotated[Confidence, Choice("what the confidence is computed from", get_args(Confidence))] = "features"
    l2: Penalty = AUTO


@dataclass(frozen=True, slots=True)
class ScoresFit(FitMethod):
    """Base of maps from the score of a detection to the probability that it is matched at an IoU.

    A bin of the box area with too few detections takes the map of its class without bins.
    """

    iou: Annotated[
        float,
        Number("a detection is right if matched at this IoU: 0.5, 0.55, ..., 0.95", 0.5, 0.95, default_shown=False),
    ] = 0.5
    by: Annotated[By, Choice("one map for each class, each frequency group, or all classes", get_args(By))] = "class"
    fallback: Annotated[
        Fallback,
        Choice(
            "for a class, or group, with fewer than `least` right or `least` wrong detections: the map of its group, "
            "or of all classes if the group has fewer, too; of all classes; its scores as they are; score 0",
            get_args(Fallback),
        ),
    ] = "group"
    least: Annotated[
        float, Number("right and wrong detections that a map needs", 1.0, 1e6, default_shown=False, whole=True)
    ] = 10.0
    sizes: Annotated[
        float,
        Number(
            "bins of the box area, equally full, each with its own map; 1 for none",
            1.0,
            16.0,
            default_shown=False,
            whole=True,
        ),
    ] = 1.0

    def __post_init__(self) -> None:
        super(ScoresFit, self).__post_init__()
        if abs(self.iou * 20 - round(self.iou * 20)) > 1e-9:
            problem = Problem("iou", "0.5, 0.55, ..., 0.95", f"{self.iou:g}")
            raise UsageError(f"method {self.name}", [problem], "use the nearest of these")


@dataclass(frozen=True, slots=True)
class Platt(ScoresFit):
    """s' = sigmoid(a ln(s / (1 - s)) + b), a >= 0, fitted to (m + 1) / (m + 2) for each of m right detections, and to
    1 / (n + 2) for each of n wrong ones.

    Source: Platt, "Probabilistic Outputs for Support Vector Machines", 1999; sizes as in Gilg et al., "The Box Size
    Confidence Bias Harms Your Object Detector", WACV 2023
    """

    name: ClassVar[str] = "platt"


@dataclass(frozen=True, slots=True)
class BetaCalibration(ScoresFit):
    """s' = sigmoid(a ln s - b ln(1 - s) + c), a, b >= 0, with the targets of platt.

    Source: Kull et al., "Beta calibration: a well-founded and easily implemented improvement on logistic calibration
    for binary classifiers", AISTATS 2017; sizes as in Gilg et al., WACV 2023
    """

    name: ClassVar[str] = "beta"


@dataclass(frozen=True, slots=True)
class Isotonic(ScoresFit):
    """s' is the non-decreasing function of s that is nearest to right = 1 and wrong = 0 in the squares, and linear
    between the scores of the detections.

    Source: Zadrozny and Elkan, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates", KDD
    2002; sizes as in Gilg et al., WACV 2023
    """

    name: ClassVar[str] = "isotonic"


@dataclass(frozen=True, slots=True)
class Histogram(ScoresFit):
    """s' is the share of right detections in the bin of s; bins hold equally many detections, and those whose share
    would fall are merged.

    Source: Zadrozny and Elkan, "Obtaining calibrated probability estimates from decision trees and naive Bayesian
    classifiers", ICML 2001; sizes as in Gilg et al., WACV 2023
    """

    name: ClassVar[str] = "histogram"
    bins: Annotated[float, Number("bins of the score", 1.0, 1000.0, default_shown=False, whole=True)] = 15.0


@dataclass(frozen=True, slots=True)
class Spline(ScoresFit):
    """s' is linear between (0, 0), the points (mean score, share of right detections) of bins that hold equally many
    detections, and (1, 1); bins whose share would fall, or stay, are merged.

    Source: Gilg et al., "The Box Size Confidence Bias Harms Your Object Detector", WACV 2023, section 4
    """

    name: ClassVar[str] = "spline"
    bins: Annotated[float, Number("bins of the score", 1.0, 1000.0, default_shown=False, whole=True)] = 10.0


@dataclass(frozen=True, slots=True)
class HeadFit(FitMethod):
    """Base of classifier heads that are learned on features."""


@dataclass(frozen=True, slots=True)
class Classifier(HeadFit):
    """z_k = w_k · f + b_k with the least loss on the features f, with solver=lbfgs plus l2/2 Σ |w_k|²; or with
    norm=cosine z_k = logit_scale times the cosine of w_k and f, with the least loss. A sampler draws rows, or with
    solver=lbfgs weighs them by how often it would. start=given starts from the head that made the logits.

    Source: Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR 2020, section 4,
    with the losses of `longtail_cli.losses`
    """

    name: ClassVar[str] = "classifier"
    loss: Annotated[Loss, Choice("the loss", get_args(Loss))] = "ce"
    sampler: Annotated[
        SamplerChoice,
        Choice("how often rows of a class are drawn; auto is that of the preset, or random", get_args(SamplerChoice)),
    ] = "auto"
    start: Annotated[
        StartChoice,
        Choice("the head that the search starts from; auto is that of the preset, or new", get_args(StartChoice)),
    ] = "auto"
    norm: Annotated[
        Norm,
        Choice(
            "whether features and weights are divided by their length; auto is cosine for ldam, whose margins are "
            "those of cosines, otherwise none",
            get_args(Norm),
        ),
    ] = "auto"
    solver: Annotated[Solver, Choice("full batches until convergence, or a schedule", get_args(Solver))] = "lbfgs"
    preset: Annotated[Preset, Choice("settings of sgd from the authors of a method", get_args(Preset))] = "none"
    l2: Penalty = AUTO
    epochs: Annotated[
        float | str,
        NumberOrWord("sgd: epochs of the sampler; auto is that of the preset, or 10", AUTO, 1.0, whole=True),
    ] = AUTO
    lr: Annotated[float | str, NumberOrWord("sgd: learning rate; auto as above, or 0.1", AUTO, high=1000.0)] = AUTO
    momentum: Annotated[float | str, NumberOrWord("sgd: momentum; auto as above, or 0.9", AUTO, high=1.0)] = AUTO
    weight_decay: Annotated[float | str, NumberOrWord("sgd: weight decay; auto as above, or 5e-4", AUTO, high=10.0)] = (
        AUTO
    )
    batch: Annotated[
        float | str, NumberOrWord("sgd: rows in a batch; auto as above, or 512", AUTO, 1.0, whole=True)
    ] = AUTO
    variant: Annotated[VariantName, Choice("iif: the formula of w", VARIANTS)] = "raw"
    strength: Annotated[float, Number("iif: exponent of the weights", 0.0, 4.0, default_shown=False)] = 1.0
    scale: Annotated[Scale, Choice("iif: what the weights are divided by", SCALES)] = "none"
    tau: Annotated[float, Number("logit-adjust: strength", 0.0, 10.0, default_shown=False)] = 1.0
    reference: Annotated[
        Reference,
        Choice(
            "balanced-softmax, logit-adjust: the count that is not shifted against a background: the geometric "
            "mean, the sum, the largest, or 1",
            ("mean", "total", "max", "one"),
        ),
    ] = "mean"
    max_margin: Annotated[float, Number("ldam: margin of the rarest class", 0.0, 100.0, default_shown=False)] = 0.5
    logit_scale: Annotated[
        float, Number("ldam and norm=cosine: what the logits are multiplied by", 1e-3, 1000.0, default_shown=False)
    ] = 30.0
    beta: Annotated[float, Number("class-balanced: 1 - 1/effective number", 0.0, 0.999999, default_shown=False)] = (
        0.9999
    )
    exponent: Annotated[float, Number("disalign: of the weights of the classes", 0.0, 4.0, default_shown=False)] = 1.2
    lambda_: Annotated[
        float | str,
        NumberOrWord(
            "eql, seql: image rate below which a class is rare; auto is 1.76e-3 for eql and 5e-3 for seql, as their "
            "authors have it",
            AUTO,
            high=1.0,
        ),
    ] = AUTO
    gamma: Annotated[
        float, Number("seql: probability of a rare class to be left out", 0.0, 1.0, default_shown=False)
    ] = 0.9
    others: Annotated[float, Number("bags: other rows for each row of the slice", 0.0, 1e6, default_shown=False)] = 8.0

    def __post_init__(self) -> None:
        super(Classifier, self).__post_init__()
        used = _ALWAYS | _OF_SOLVER[self.solver] | _OF_LOSS[self.loss]
        if self.uses_l2:
            used |= {"l2"}
        if self.is_cosine:
            used |= {"logit_scale"}
        norm = "cosine" if self.is_cosine else "none"
        _refuse_unused(self, used, f"loss={self.loss}, solver={self.solver}, norm={norm}")

    @property
    def uses_l2(self) -> bool:
        return self.solver == "lbfgs" and not self.is_cosine

    @property
    def is_cosine(self) -> bool:
        """Whether features and weights are divided by their length."""
        return self.norm == "cosine" or (self.norm == "auto" and self.loss == "ldam")


_ALWAYS = frozenset({"loss", "sampler", "start", "norm", "solver"})
_OF_SOLVER: Mapping[str, frozenset[str]] = MappingProxyType(
    {"lbfgs": frozenset(), "sgd": frozenset({"preset", "epochs", "lr", "momentum", "weight_decay", "batch"})}
)
_OF_LOSS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "ce": frozenset(),
        "iif": frozenset({"variant", "strength", "scale"}),
        "balanced-softmax": frozenset({"reference"}),
        "logit-adjust": frozenset({"tau", "reference"}),
        "ldam": frozenset({"max_margin", "logit_scale"}),
        "class-balanced": frozenset({"beta"}),
        "disalign": frozenset({"exponent"}),
        "eql": frozenset({"lambda_"}),
        "seql": frozenset({"lambda_", "gamma"}),
        "bags": frozenset({"others"}),
    }
)


@dataclass(frozen=True, slots=True)
class ClassifierRetraining(HeadFit):
    """z_k = w_k · f + b_k: a new head with the least cross entropy on rows drawn evenly over the classes.

    Source: Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR 2020, section 4
    """

    name: ClassVar[str] = "crt"
    solver: Annotated[Solver, Choice("the authors' schedule, or full batches", ("sgd", "lbfgs"))] = "sgd"
    preset: Annotated[
        Preset, Choice("sgd: the data set", ("crt-imagenet-lt", "crt-places-lt", "crt-inaturalist18"))
    ] = "crt-imagenet-lt"
    l2: Penalty = AUTO

    def __post_init__(self) -> None:
        super(ClassifierRetraining, self).__post_init__()
        _refuse_unused(self, {"solver", "l2" if self.uses_l2 else "preset"}, f"solver={self.solver}")

    @property
    def uses_l2(self) -> bool:
        return self.solver == "lbfgs"


def _refuse_unused(method: HeadFit, used: Set[str], chosen: str) -> None:
    """Raise UsageError for parameters that are not `used` and not the default. chosen: what decides, for the error."""
    problems = [
        Problem(p.name, f"the default, as {chosen} does not use it", str(getattr(method, p.name)))
        for p in method.parameters()
        if p.name not in used and getattr(method, p.name) != p.default
    ]
    if problems:
        raise UsageError(f"method {method.name}", problems, "leave it out")


@dataclass(frozen=True, slots=True)
class NearestClassMean(HeadFit):
    """z_c = -|f - m_c|² / 2 up to a constant of the row, or with metric=cosine the cosine of f and m_c, with m_c the
    mean of the features of class c, which may be divided by their length (l2n), or centred first and then divided
    (cl2n).

    Source: Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR 2020, section 4
    """

    name: ClassVar[str] = "ncm"
    features: Annotated[NcmFeatures, Choice("what happens to the features first", get_args(NcmFeatures))] = "raw"
    metric: Annotated[Metric, Choice("how rows and means are compared", get_args(Metric))] = "l2"


@dataclass(frozen=True, slots=True)
class TauNormalized(HeadFit):
    """z_k = f · w_k / |w_k|^tau without bias, w the weights that made the logits; auto takes the tau of 0, 0.1, ..., 2
    with the highest balanced accuracy on the rows, the least of equals. The weights of the background keep their
    length.

    Source: Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR 2020, section 4
    """

    name: ClassVar[str] = "tau-norm"
    tau: Annotated[float | str, NumberOrWord("strength", AUTO, high=10.0)] = AUTO


FIT_METHODS: Mapping[str, type[FitMethod]] = MappingProxyType(
    {
        method.name: method
        for method in (
            Temperature,
            BiasCorrectedTemperature,
            ClassTemperature,
            VectorScaling,
            LearnableWeightScaling,
            DisAlign,
            Platt,
            BetaCalibration,
            Isotonic,
            Histogram,
            Spline,
            Classifier,
            ClassifierRetraining,
            NearestClassMean,
            TauNormalized,
        )
    }
)
"""All that can be fitted, by name."""


def parse_fit_method(spec: str) -> FitMethod:
    """What `spec` names, ``name:parameter=value,...``.

    Raises UsageError for unknown names and parameters, values out of range, and several methods joined by ``+``.
    """
    if re.search(r"\+(?![0-9])", spec):
        problem = Problem("spec", "one method, which is fitted alone", spec)
        raise UsageError("`method=`", [problem], "fit one method, and pass the adjusted logits to the next fit")
    return parse_named(spec.strip(), FIT_METHODS)
