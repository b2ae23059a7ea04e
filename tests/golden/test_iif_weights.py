"""IIF weights of three classes with n = 1, 9, 90 of K = 100, to the last digit.

Source: the formulas of Alexandridis et al., "Inverse Image Frequency for Long-tailed Image Recognition" (IEEE TIP
2023), Table III, evaluated by hand with 30 digits: raw ln(K/n), smooth ln((K+1)/(n+1)) + 1, relative ln((K-n)/n),
base2 log2(K/n), base10 log10(K/n), normit -Φ⁻¹(n/K), gombit -ln(-ln(1 - n/K)).
"""

import numpy as np
import pytest

from longtail_cli.choices import VARIANTS, VariantName
from longtail_cli.methods.iif import iif_weights

COUNTS = np.array([1, 9, 90])
GOLDEN: dict[VariantName, list[float]] = {
    "raw": [4.6051701859880914, 2.407945608651872, 0.1053605156578263],
    "smooth": [4.9219733362813141, 3.3125354238472138, 1.1042610103244094],
    "relative": [4.5951198501345899, 2.3136349291806307, -2.1972245773362194],
    "base2": [6.6438561897747247, 3.4739311883324123, 0.15200309344504998],
    "base10": [2.0, 1.0457574905606751, 0.045757490560675125],
    "normit": [2.3263478740408411, 1.3407550336902164, -1.2815515655446005],
    "gombit": [4.60014922677658, 2.3611608457948765, -0.8340324452479558],
}
TENFOLD_SMOOTH = [5.51085950651685, 3.3978952727983705, 1.1052495217068827]
"""ln(1001/11) + 1, ln(1001/91) + 1, ln(1001/901) + 1."""


def test_every_variant_has_golden_values() -> None:
    assert set(GOLDEN) == set(VARIANTS)


@pytest.mark.parametrize("variant", VARIANTS)
def test_weights_are_those_of_the_formula(variant: VariantName) -> None:
    assert iif_weights(COUNTS, 100.0, variant).value == pytest.approx(GOLDEN[variant], rel=1e-14, abs=1e-15)


@pytest.mark.parametrize("variant", VARIANTS)
def test_weights_depend_only_on_the_share_except_in_smooth(variant: VariantName) -> None:
    tenfold = iif_weights(10 * COUNTS, 1000.0, variant).value
    if variant == "smooth":
        assert tenfold == pytest.approx(TENFOLD_SMOOTH, rel=1e-14)
    else:
        assert tenfold == pytest.approx(GOLDEN[variant], rel=1e-14, abs=1e-15)
