"""Methods that go by the weights of the classifier itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from longtail_cli.adjust.base import Correction, NamedMethod, Number, Setting
from longtail_cli.adjust.steps import Reclassify
from longtail_cli.errors import Problem, UsageError


@dataclass(frozen=True, slots=True)
class TauNormalized(NamedMethod):
    """z'_c = f · w_c / |w_c|^tau with the features f of the row and the weights w_c of the last layer, both from the
    file; a bias is left out, and the background keeps its logit.

    Source: Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR 2020, section 4
    """

    name: ClassVar[str] = "tau-norm"
    uses_counts: ClassVar[bool] = False
    tau: Annotated[float, Number("strength; 0 leaves the weights as they are", low=0.0)] = 1.0

    def correction(self, setting: Setting) -> Correction:
        if setting.classifier is None:
            problem = Problem("tensors", "`weight` [K, D] of the classifier and `features` [N, D]", "neither")
            raise UsageError(f"method {self.spec}", [problem], "save both with the logits (docs/logits.md)")
        if setting.steps or setting.columns.head == "bags":
            problem = Problem("place", "the first method, on a softmax or sigmoid head", "another")
            raise UsageError(f"method {self.spec}", [problem], "it computes the logits anew: begin with it")
        weight = setting.classifier.astype(np.float64)[setting.columns.classes]
        length = np.linalg.norm(weight, axis=1, keepdims=True)
        still = np.flatnonzero(length == 0)
        if len(still):
            problem = Problem(f"`weight`, class column {still[0]}", "a vector that is not 0", "0")
            raise UsageError(f"method {self.spec}", [problem], "save the weights of the trained classifier")
        return Correction((Reclassify(weight / length**self.tau),), setting.columns)
