"""Methods whose parameters were learned elsewhere and saved, one or two numbers for each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from longtail_cli.adjust.base import Adjustment, FileName, MethodContext, NamedMethod, Number
from longtail_cli.adjust.steps import ColumnAffine, Reclassify
from longtail_cli.errors import Problem, UsageError
from longtail_cli.tables import Floats

Saved = Annotated[str, FileName("`alpha` and `beta` of each class, .npz or .csv")]


@dataclass(frozen=True, slots=True)
class _Learned(NamedMethod):
    """z'_c = alpha_c z_c + beta_c.

    Where the file has K values and not C, the first or last is the background's, as declared; with C values the
    background stays as it is.
    """

    uses_counts: ClassVar[bool] = False
    parameters_used: ClassVar[tuple[str, ...]] = ("alpha", "beta")
    file: Saved

    def adjustment(self, context: MethodContext) -> Adjustment:
        context.check_one_scale()
        found = context.data_access.learned(self.file, context.columns)
        strange = sorted(set(found) - set(self.parameters_used))
        if "alpha" not in found or strange:
            problem = Problem("parameters", " and ".join(self.parameters_used), ", ".join(found) or "none")
            raise UsageError(
                f"method {self.spec}", [problem], "choose the method that learned them: lws, disalign, vector"
            )
        scale = _on_columns(context, found["alpha"], 1.0)
        shift = _on_columns(context, found["beta"], 0.0) if "beta" in found else np.zeros_like(scale)
        return Adjustment((ColumnAffine(scale, shift),), context.columns)


@dataclass(frozen=True, slots=True)
class LearnableWeightScaling(_Learned):
    """z'_c = alpha_c z_c with alpha from the file.

    Source: Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR 2020, section 4
    """

    name: ClassVar[str] = "lws"
    parameters_used: ClassVar[tuple[str, ...]] = ("alpha",)
    file: Annotated[str, FileName("`alpha` of each class, .npz or .csv")]


@dataclass(frozen=True, slots=True)
class DisAlign(_Learned):
    """z'_c = alpha_c z_c + beta_c with alpha and beta from the file.

    Source: Zhang et al., "Distribution Alignment: A Unified Framework for Long-tail Visual Recognition", CVPR 2021,
    section 3.3, without the confidence function
    """

    name: ClassVar[str] = "disalign"


@dataclass(frozen=True, slots=True)
class VectorScaling(_Learned):
    """z'_c = alpha_c z_c + beta_c with alpha and beta from the file.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2
    """

    name: ClassVar[str] = "vector"


def _on_columns(context: MethodContext, values: Floats, neutral: float) -> Floats:
    """Values of the C classes or of all K columns, on the K columns; `neutral` for a background without a value."""
    if len(values) == context.width():
        return values
    full = np.full(context.width(), neutral)
    full[context.columns.classes] = values
    return full


@dataclass(frozen=True, slots=True)
class TauNormalized(NamedMethod):
    """z'_c = f · w_c / |w_c|^tau with the features f of the row and the weights w_c of the last layer, both from the
    file; a bias is left out, and the background keeps its logit.

    Source: Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR 2020, section 4
    """

    name: ClassVar[str] = "tau-norm"
    uses_counts: ClassVar[bool] = False
    tau: Annotated[float, Number("strength; 0 leaves the weights as they are", low=0.0)] = 1.0

    def adjustment(self, context: MethodContext) -> Adjustment:
        if context.classifier is None:
            problem = Problem("tensors", "`weight` [K, D] of the classifier and `features` [N, D]", "neither")
            raise UsageError(f"method {self.spec}", [problem], "save both with the logits (docs/logits.md)")
        if context.steps or context.columns.head == "bags":
            problem = Problem("place", "the first method, on a softmax or sigmoid head", "another")
            raise UsageError(f"method {self.spec}", [problem], "it computes the logits anew: begin with it")
        weight = context.classifier.astype(np.float64)[context.columns.classes]
        length = np.linalg.norm(weight, axis=1, keepdims=True)
        still = np.flatnonzero(length == 0)
        if len(still):
            problem = Problem(f"`weight`, class column {still[0]}", "a vector that is not 0", "0")
            raise UsageError(f"method {self.spec}", [problem], "save the weights of the trained classifier")
        return Adjustment((Reclassify(weight / length**self.tau),), context.columns)
