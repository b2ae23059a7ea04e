"""Optimal LRP of the digit scenes, as the authors' code computes it.

Source: kemaloksuz/LRP-Error at ec408f3, ``lvis-api``, `LVISEval.eval`: ``olrp``, ``olrp_loc``, ``olrp_fp``, ``olrp_fn``
and ``lrp_opt_thr`` over all areas (with `np.float`, which NumPy no longer has, replaced by `float`).
"""

from pathlib import Path

import pytest

import longtail_cli as ltcal

FOLDER = Path(__file__).parents[2] / "examples" / "digit_scenes"
GOLDEN = {
    3: (0.4665825291626579, 0.13392918668025544, 0.0, 0.2714285714285714, 0.922349),
    5: (0.9226349138508434, 0.21471624482498516, 0.8153846153846154, 0.6619718309859155, 0.017653),
    8: (0.33567512715298387, 0.1116254589509752, 0.04411764705882353, 0.1095890410958904, 0.803129),
    13: (0.6052498403169432, 0.13528517855369754, 0.09803921568627451, 0.425, 0.103029),
    17: (0.5433161602057717, 0.17132602439051745, 0.20481927710843373, 0.15384615384615385, 0.856341),
    20: (0.4946490118878108, 0.1294092753843946, 0.25, 0.11764705882352941, 0.267499),
    26: (0.42176143465484284, 0.12192093804355109, 0.09722222222222222, 0.16666666666666666, 0.304517),
    31: (0.6027032795420476, 0.18086001143541527, 0.25609756097560976, 0.2077922077922078, 0.692393),
    34: (0.7000529236210883, 0.1442488163878024, 0.4027777777777778, 0.410958904109589, 0.78594),
    40: (0.6069225501466361, 0.1654660001247967, 0.12962962962962962, 0.3561643835616438, 0.529512),
}
"""By category: LRP, localisation, share of false positives, share of missed objects, threshold."""
MEANS = (0.5699547770541625, 0.1508787134776391, 0.22980879458433864, 0.2881064818310168)


def components(point):
    return point.value, point.localisation, 1 - point.precision, 1 - point.recall


def test_optimal_lrp_is_that_of_its_authors():
    report = ltcal.evaluate(FOLDER / "predictions.json", FOLDER / "val.json", tide="off", thresholds=True)
    (by_type,) = report.thresholds.values()
    found = {row.id: row.lrp for row in by_type["bbox"].categories}
    assert found.keys() == GOLDEN.keys()
    for key, (*expected, threshold) in GOLDEN.items():
        assert components(found[key]) == pytest.approx(expected, abs=1e-12)
        assert found[key].threshold == threshold
    assert components(by_type["bbox"].mean_lrp) == pytest.approx(MEANS, abs=1e-12)
