"""The candidates of a tuning as curves."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tunings import IIF, NORCAL, candidate, classification_tuning, detection_tuning

from longtail_cli.reports.tuning.curves import curves_of, front, tradeoff_metrics


def test_a_curve_for_each_value_of_the_other_settings():
    norcal, iif = curves_of(detection_tuning())
    assert (norcal.space, norcal.setting, norcal.numeric) == (NORCAL, "gamma", True)
    assert [curve.label for curve in norcal.curves] == [""]
    assert (iif.space, iif.setting, [curve.label for curve in iif.curves]) == (
        IIF,
        "strength",
        ["variant=raw", "variant=base10"],
    )


def test_candidates_are_in_the_order_of_the_setting():
    whole = detection_tuning()
    backwards = replace(whole, candidates=whole.candidates[::-1])
    assert [one.settings["gamma"] for one in curves_of(backwards)[0].curves[0].candidates] == [0.0, 0.5, 1.0]


def test_with_two_numbers_the_first_is_the_strength():
    (space,) = curves_of(classification_tuning())
    assert (space.setting, [curve.label for curve in space.curves]) == ("t", ["tau=0", "tau=0.5", "tau=1"])


def test_spaces_without_numbers_and_without_settings():
    words = [candidate(f"bags:mode={word}", "bags:mode=*", {"mode": word}, 0.1, 0.4) for word in "ba"]
    fixed = candidate("iif", "iif", {}, 0.1, 0.4)
    one = replace(detection_tuning(), candidates=(*detection_tuning().candidates, *words, fixed))
    *_, bags, iif = curves_of(one)
    assert (bags.setting, bags.numeric, [curve.candidates[0].spec for curve in bags.curves]) == (
        "mode",
        False,
        ["bags:mode=b"],
    )
    assert (iif.setting, iif.numeric, len(iif.curves)) == (None, False, 1)


def test_the_metrics_of_the_groups_are_those_of_the_objective():
    assert tradeoff_metrics(detection_tuning()) == ("bbox/APf", "bbox/APr")
    assert tradeoff_metrics(replace(detection_tuning(), objective="tide/bbox/FalsePos")) == ("bbox/APf", "bbox/APr")
    assert tradeoff_metrics(replace(detection_tuning(), objective="segm/AP")) == ("bbox/APf", "bbox/APr")
    assert tradeoff_metrics(classification_tuning()) == ("classification/many", "classification/few")
    bare = [replace(one, metrics={}) for one in detection_tuning().candidates]
    assert tradeoff_metrics(replace(detection_tuning(), candidates=tuple(bare))) is None


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1))
def test_the_front_is_what_no_point_beats(points):
    def beaten(one):
        return any(other != one and other[0] >= one[0] and other[1] >= one[1] for other in points)

    assert front([(float(x), float(y)) for x, y in points]) == sorted({one for one in points if not beaten(one)})
