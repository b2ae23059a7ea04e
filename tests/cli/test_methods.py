"""`ltcal methods`, as a user calls it."""

import json

from click.testing import CliRunner

from longtail_cli.cli import main
from longtail_cli.fitting.methods import FIT_METHODS, parse_fit_method
from longtail_cli.methods.registry import METHODS, parse_method


def ltcal(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["methods", *arguments])
    assert result.exit_code == 0
    assert result.stderr == ""
    return result.stdout


def test_a_method_is_listed_with_formula_parameters_and_source() -> None:
    assert """
logit-adjust
  z'_c = z_c - tau ln p_c with p_c = n_c / Σ n; the background stays as it is. The counts may be
  divided by another reference than Σ n: their geometric mean (mean), the largest of them (max), or
  1 (one). Another reference adds the same to every class, which matters only against a background
  and for a sigmoid head. With reference=one it is norcal with gamma = tau, and with tau=1 too
  balanced-softmax.
  tau=1.0          strength; 0 changes nothing (a number from 0 to 1e+06)
  count=image      n_c counts images with the class, or its objects (one of image, instance)
  zero_count=max   what n_c = 0 becomes: the smallest n above 0 (max), n = 1 of K + 1 (smooth), or
                   an error (one of max, smooth, error)
  reference=total  what divides n_c: Σ n, the geometric mean of n, the largest n, or 1 (one of
                   total, mean, max, one)
  Source: Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, section 4.1
""" in ltcal()


def test_all_methods_are_listed() -> None:
    blocks = ltcal().rstrip("\n").split("\n\n")
    assert [block.splitlines()[0] for block in blocks] == list(METHODS)


def test_a_parameter_without_default_must_be_given() -> None:
    assert "  t=  above 1 softens the scores, below 1 sharpens them (a number from 1e-06 to 1e+06; must" in ltcal()


def test_json_lists_the_same() -> None:
    listed = json.loads(ltcal("--json"))
    assert [method["name"] for method in listed] == list(METHODS)
    assert listed[3] == {
        "name": "norcal",
        "formula": METHODS["norcal"].formula(),
        "source": METHODS["norcal"].source(),
        "parameters": [
            {
                "name": "gamma",
                "default": 0.6,
                "range": "a number from 0 to 1e+06",
                "meaning": "strength; 0 changes nothing",
            },
            {
                "name": "count",
                "default": "image",
                "range": "one of image, instance",
                "meaning": "n_c counts images with the class, or its objects",
            },
            {
                "name": "zero_count",
                "default": "max",
                "range": "one of max, smooth, error",
                "meaning": "what n_c = 0 becomes: the smallest n above 0 (max), n = 1 of K + 1 (smooth), or an error",
            },
            {
                "name": "renormalize",
                "default": "yes",
                "range": "one of yes, no",
                "meaning": "whether to renormalise the scores",
            },
            {
                "name": "form",
                "default": "gamma",
                "range": "one of gamma, cb",
                "meaning": "the factor of a class: 1 / n_c^gamma, or the class-balanced one",
            },
            {
                "name": "on",
                "default": "exponentials",
                "range": "one of exponentials, probabilities, logits",
                "meaning": "what is multiplied by the factor",
            },
        ],
    }


def test_the_listed_defaults_make_a_spec() -> None:
    for method in json.loads(ltcal("--json")):
        given = ",".join(f"{p['name']}={1.0 if p['default'] is None else p['default']}" for p in method["parameters"])
        assert parse_method(f"{method['name']}:{given}" if given else method["name"])


# What `ltcal fit` learns


def test_what_can_be_fitted_is_listed() -> None:
    blocks = ltcal("--fit").rstrip("\n").split("\n\n")
    assert [block.splitlines()[0] for block in blocks] == list(FIT_METHODS)
    assert blocks[0] == (
        """\
temperature
  z'_k = z_k / T, one T > 0 for all columns.
  Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2"""
    )
    assert (
        "  l2=auto  strength of the L2 penalty; auto chooses from 1e-4 to 1 on the held-out rows (a number" in blocks[1]
    )


def test_one_of_them_is_shown() -> None:
    assert ltcal("--fit", "ncm").startswith("ncm\n")
    result = CliRunner().invoke(main, ["methods", "ncm"])
    assert result.exit_code == 2
    assert "Error: method: name: expected one of none, iif" in result.stderr


def test_a_name_that_cannot_be_fitted() -> None:
    result = CliRunner().invoke(main, ["methods", "--fit", "foo"])
    assert result.stderr.endswith("found 'foo'\nFix: `ltcal methods` with --fit lists them all\n")


def test_the_listed_defaults_make_a_spec_that_can_be_fitted() -> None:
    for method in json.loads(ltcal("--fit", "--json")):
        given = ",".join(f"{p['name']}={p['default']}" for p in method["parameters"])
        plain = parse_fit_method(method["name"])
        assert parse_fit_method(f"{method['name']}:{given}" if given else method["name"]) == plain
        assert parse_fit_method(plain.spec) == plain
