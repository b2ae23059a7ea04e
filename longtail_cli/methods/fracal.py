"""FRACAL: an adjustment by how often a class occurs and how evenly it is spread over the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from longtail_cli.errors import InputError, Problem
from longtail_cli.methods.base import Adjustment, ClassAffine, CountMethod, MethodContext, Number, binary_columns
from longtail_cli.methods.counts import ZeroCount, shares
from longtail_cli.methods.steps import SigmoidProduct
from longtail_cli.tables import Floats, FrequencyTable


@dataclass(frozen=True, slots=True)
class FractalCalibration(CountMethod):
    """s'_c = softmax(z + w)_c / Φ_c^lambda, renormalised, with w_c = -log10(image rate) - log10 C, that is
    z'_c = z_c + w_c - lambda ln Φ_c; the background stays as it is. For a sigmoid head
    s'_c = sigmoid(z_c) sigmoid(z_c + w_c + f_c) with f_c = -log10(Φ_c^lambda / Σ_j Φ_j^lambda) - log10 C. Φ_c is the
    fractal dimension of the positions of the class's boxes.

    Source: Alexandridis et al., "Fractal Calibration for Long-tailed Object Detection", CVPR 2025, section 3
    """

    name: ClassVar[str] = "fracal"
    strength: Annotated[float, Number("lambda, the weight of the fractal dimension", low=0.0)] = 2.0
    zero_count: ZeroCount = "max"

    def coefficients(self, table: FrequencyTable) -> ClassAffine:
        weight = self._frequency_shift(table)
        shift = weight.shift - self.strength * np.log(_dimension(table))
        return ClassAffine(weight.scale, shift, weight.notes)

    def adjustment(self, context: MethodContext) -> Adjustment:
        if context.columns.head != "sigmoid":
            return super(FractalCalibration, self).adjustment(context)
        table = context.counts(self.spec)
        weight = self._frequency_shift(table)
        power = _dimension(table) ** self.strength
        spread = -np.log10(power / power.sum()) - np.log10(len(table))
        affine = context.on_columns(ClassAffine(weight.scale, weight.shift + spread))
        shift = affine.shift[context.columns.classes]
        return Adjustment((SigmoidProduct(shift),), binary_columns(context.columns), weight.notes)

    def _frequency_shift(self, table: FrequencyTable) -> ClassAffine:
        """The map z' = z + w."""
        if table.num_images is None:
            problem = Problem("number of images", "one, for the image rates", "none")
            raise InputError("frequency table", [problem], "count again with `ltcal compute-freq`")
        given = shares(table.image_count, float(table.num_images), self.zero_count, table.category_id)
        weight = -np.log10(given.count / given.total) - np.log10(len(table))
        return ClassAffine(np.ones(len(table)), weight, given.notes)


def _dimension(table: FrequencyTable) -> Floats:
    """Φ, float64 [C]. Raises InputError if the table has none."""
    if table.fractal_dimension is None:
        problem = Problem("columns", "`fractal_dimension`", "no such column")
        fix = "count again with `ltcal compute-freq` and `fractal_dimension=True`"
        raise InputError("frequency table", [problem], fix)
    return table.fractal_dimension
