"""Methods with learned parameters: saved numbers for each class, or the weights of the classifier itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, get_args

import numpy as np

from longtail_cli.errors import Problem, UsageError
from longtail_cli.methods.base import Adjustment, Choice, FileName, MethodContext, NamedMethod, Number
from longtail_cli.methods.steps import ColumnAffine, Reclassify
from longtail_cli.tables import Floats

Bias = Literal["drop", "keep"]
BIASES: tuple[Bias, ...] = get_args(Bias)

Saved = Annotated[str, FileName("file with `alpha` and `beta` of each class, .npz or .csv")]


@dataclass(frozen=True, slots=True)
class LearnedAffine(NamedMethod):
    """z'_c = alpha_c z_c + beta_c.

    If the file has K values and not C, one of them is the background's, in the column declared for it; with C values
    the background stays as it is.
    """

    uses_counts: ClassVar[bool] = False
    parameters_used: ClassVar[tuple[str, ...]] = ("alpha", "beta")
    file: Saved

    def adjustment(self, context: MethodContext) -> Adjustment:
        context.check_one_scale()
        saved = context.data_access.learned(self.file, context.columns)
        if "alpha" not in saved or set(saved) - set(self.parameters_used):
            problem = Problem("parameters", " and ".join(self.parameters_used), ", ".join(saved) or "none")
            fix = "choose the method that learned them: lws, disalign, vector"
            raise UsageError(f"method {self.spec}", [problem], fix)
        scale = _on_columns(context, saved["alpha"], 1.0)
        shift = _on_columns(context, saved["beta"], 0.0) if "beta" in saved else np.zeros_like(scale)
        return Adjustment((ColumnAffine(scale, shift),), context.columns)


@dataclass(frozen=True, slots=True)
class LearnableWeightScaling(LearnedAffine):
    """z'_c = alpha_c z_c with alpha from the file.

    Source: Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR 2020, section 4
    """

    name: ClassVar[str] = "lws"
    parameters_used: ClassVar[tuple[str, ...]] = ("alpha",)
    file: Annotated[str, FileName("file with `alpha` of each class, .npz or .csv")]


@dataclass(frozen=True, slots=True)
class DisAlign(LearnedAffine):
    """z'_c = alpha_c z_c + beta_c with alpha and beta from the file.

    Source: Zhang et al., "Distribution Alignment: A Unified Framework for Long-tail Visual Recognition", CVPR 2021,
    section 3.3, without the confidence function
    """

    name: ClassVar[str] = "disalign"


@dataclass(frozen=True, slots=True)
class VectorScaling(LearnedAffine):
    """z'_c = alpha_c z_c + beta_c with alpha and beta from the file.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2
    """

    name: ClassVar[str] = "vector"


def _on_columns(context: MethodContext, values: Floats, neutral: float) -> Floats:
    """Values for the K columns from those of the C classes, with `neutral` for the background; K values stay."""
    if len(values) == context.width():
        return values
    full = np.full(context.width(), neutral)
    full[context.columns.classes] = values
    return full


@dataclass(frozen=True, slots=True)
class TauNormalized(NamedMethod):
    """z'_c = f · w_c / |w_c|^tau + b_c with the features f of the row and the weights w_c of the last layer, both from
    the file; bias=drop leaves out the bias b_c of every column, the background's too, and bias=keep takes it from the
    logits, b_c = z_c - f · w_c. The weights of the background keep their length.

    Source: Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR 2020, section 4,
    without bias; Li et al. (bags) keep it in their comparison on LVIS
    """

    name: ClassVar[str] = "tau-norm"
    uses_counts: ClassVar[bool] = False
    tau: Annotated[float, Number("strength; 0 leaves the weights as they are", low=0.0)] = 1.0
    bias: Annotated[Bias, Choice("whether the biases of the columns count", BIASES)] = "drop"

    def adjustment(self, context: MethodContext) -> Adjustment:
        if context.classifier is None:
            problem = Problem("tensors", "`weight` [K, D] of the classifier and `features` [N, D]", "neither")
            raise UsageError(f"method {self.spec}", [problem], "save both with the logits (docs/logits.md)")
        if context.steps or context.columns.head == "bags":
            problem = Problem("position", "the first method, on a softmax or sigmoid head", "another")
            raise UsageError(f"method {self.spec}", [problem], "it recomputes the logits: apply it first")
        weight, classes = context.classifier.astype(np.float64), context.columns.classes
        length = np.linalg.norm(weight[classes], axis=1, keepdims=True)
        zero = np.flatnonzero(length == 0)
        if len(zero):
            problem = Problem(f"`weight`, class column {zero[0]}", "a vector that is not 0", "0")
            raise UsageError(f"method {self.spec}", [problem], "save the weights of the trained classifier")
        normalized = weight.copy()
        normalized[classes] /= length**self.tau
        step = Reclassify(normalized, 0.0) if self.bias == "drop" else Reclassify(normalized - weight, 1.0)
        return Adjustment((step,), context.columns)
