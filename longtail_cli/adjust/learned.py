"""Methods whose parameters were learned elsewhere and saved, one or two numbers for each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from longtail_cli.adjust.base import Correction, FileName, NamedMethod, Setting
from longtail_cli.adjust.steps import ColumnAffine
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

    def correction(self, setting: Setting) -> Correction:
        setting.check_one_scale()
        found = setting.evidence.learned(self.file, setting.columns)
        strange = sorted(set(found) - set(self.parameters_used))
        if "alpha" not in found or strange:
            problem = Problem("parameters", " and ".join(self.parameters_used), ", ".join(found) or "none")
            raise UsageError(
                f"method {self.spec}", [problem], "choose the method that learned them: lws, disalign, vector"
            )
        scale = _on_columns(setting, found["alpha"], 1.0)
        shift = _on_columns(setting, found["beta"], 0.0) if "beta" in found else np.zeros_like(scale)
        return Correction((ColumnAffine(scale, shift),), setting.columns)


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


def _on_columns(setting: Setting, values: Floats, neutral: float) -> Floats:
    """Values of the C classes or of all K columns, on the K columns; `neutral` for a background without a value."""
    if len(values) == setting.width():
        return values
    full = np.full(setting.width(), neutral)
    full[setting.columns.classes] = values
    return full
