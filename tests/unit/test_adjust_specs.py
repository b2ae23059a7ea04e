"""Spec strings: one canonical form per method, and errors that suggest the nearest name."""

import pytest

from longtail_cli.errors import UsageError
from longtail_cli.methods.iif import InverseImageFrequency
from longtail_cli.methods.learned import DisAlign
from longtail_cli.methods.prior import LogitAdjustment, NorCal
from longtail_cli.methods.registry import METHODS, Chain, parse_method
from longtail_cli.methods.uniform import Temperature


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("none", "none"),
        ("iif", "iif"),
        ("iif:raw", "iif"),
        ("iif:variant=base10,count=instance", "iif:variant=base10,count=instance"),
        ("iif:count=instance,variant=base10", "iif:variant=base10,count=instance"),
        ("logit-adjust", "logit-adjust:tau=1.0"),
        ("logit-adjust:2", "logit-adjust:tau=2.0"),
        (" norcal : gamma = 0.6 ", "norcal:gamma=0.6"),
        ("norcal:0.6,zero_count=smooth", "norcal:gamma=0.6,zero_count=smooth"),
        ("temperature:1e+2", "temperature:t=100.0"),
        ("ldam:-.5", "ldam:c=-0.5"),
        ("temperature:t=1.9+logit-adjust:tau=1", "temperature:t=1.9+logit-adjust:tau=1.0"),
        ("lws:scale.npz", "lws:file=scale.npz"),
        ("lws:file=runs/a=1/scale.npz", "lws:file=runs/a=1/scale.npz"),
        ("vector: file = my scale.csv +iif", "vector:file=my scale.csv+iif"),
        ("target-prior:uniform,file=", "target-prior"),
        ("target-prior:file,file=t.csv", "target-prior:prior=file,file=t.csv"),
        ("fracal:1", "fracal:strength=1.0"),
        ("norcal:renormalize=yes", "norcal:gamma=0.6"),
        ("bags+norcal:renormalize=no", "bags+norcal:gamma=0.6,renormalize=no"),
        ("iif:strength=1,scale=none", "iif"),
        ("iif:scale=mean,strength=.5", "iif:strength=0.5,scale=mean"),
        ("iif:base10,strength=0", "iif:variant=base10,strength=0.0"),
        ("logit-adjust:reference=max", "logit-adjust:tau=1.0,reference=max"),
        ("norcal:.999,form=cb", "norcal:gamma=0.999,form=cb"),
        ("norcal:on=logits,renormalize=yes", "norcal:gamma=0.6,on=logits"),
        ("foreground:-1", "foreground:offset=-1.0"),
        ("logn", "logn"),
        ("logn:train.npz", "logn:file=train.npz"),
        ("prior2posterior:trained=ce", "prior2posterior"),
        ("prior2posterior:t.pt,trained=logit-adjust", "prior2posterior:file=t.pt,trained=logit-adjust"),
    ],
)
def test_a_spec_has_one_canonical_form_that_parses_back(written: str, canonical: str) -> None:
    method = parse_method(written)
    assert method.spec == canonical
    assert parse_method(canonical) == method


def test_a_spec_is_a_method_with_its_parameters() -> None:
    assert parse_method("iif:smooth,normalizer=images") == InverseImageFrequency("smooth", normalizer="images")
    assert parse_method("temperature:2+norcal") == Chain((Temperature(2.0), NorCal()))


def test_defaults_fill_parameters_that_the_spec_does_not_state() -> None:
    policy = {"zero_count": "smooth"}
    assert parse_method("logit-adjust", policy) == LogitAdjustment(zero_count="smooth")
    assert parse_method("logit-adjust:zero_count=max", policy) == LogitAdjustment()
    assert parse_method("temperature:2", policy) == Temperature(2.0)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("iff", "expected one of none, iif, .*found 'iff'\n.*did you mean iif\\?"),
        ("quantum", "found 'quantum'\nFix: `ltcal methods` lists them all"),
        ("", "found ''"),
        ("iif+", "found ''"),
        ("IIF", "found 'IIF'"),
        ("logit-adjust:taw=1", "expected one of tau, count, zero_count, reference, found 'taw'\n.*did you mean tau\\?"),
        ("none:1", r"expected none \(the method has no parameters\), found '1'"),
        ("norcal:gamma", "gamma: expected a number from 0 to 1e\\+06, found 'gamma'"),
        ("norcal:gamma=0.6,0.7", "found '0.7'"),
        ("norcal:gamma=-1", "gamma: expected a number from 0 to 1e\\+06, found -1.0"),
        ("norcal:nan", "found nan"),
        ("logit-adjust:inf", "found inf"),
        ("temperature", "t: expected a number from 1e-06 to 1e\\+06, found no value\n.*temperature:t=1.5"),
        ("temperature:0", "found 0.0"),
        ("iif:variant=bas10", "variant: expected one of raw, smooth, .*found 'bas10'"),
        ("iif:raw,variant=smooth", "each of them once, found variant twice"),
        ("lws", "file: expected a file name without comma or plus sign, found no value\n.*lws:file=learned.npz"),
        ("lws:file=", "file: expected a file name without comma or plus sign, found ''"),
        ("lws:a.csv,b.csv", "found 'b.csv'"),
        ("iif:strength=-1", "strength: expected a number from 0 to 4, found -1.0"),
        ("norcal:gamma=1,form=cb", "gamma: expected a number above 0 and below 1, for form=cb, found 1.0"),
        ("norcal:gamma=0,form=cb", "gamma: expected a number above 0 and below 1, for form=cb, found 0.0"),
        ("norcal:on=logits,renormalize=no", "renormalize: expected yes, for on=logits, .*, found no\n.*probabilities"),
        ("foreground", "offset: expected a number .*, found no value\n.*foreground:offset=1.5"),
        ("vector:run+1.csv", "file: expected a file name without comma or plus sign, found 'run\\+1.csv'"),
    ],
)
def test_a_wrong_spec_is_refused(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_method(spec)


def test_wrong_parameters_are_refused_in_python_too() -> None:
    with pytest.raises(UsageError, match="tau: expected a number from 0"):
        LogitAdjustment(tau=-1.0)


@pytest.mark.parametrize("name", ["a,b.csv", "a+b.csv", " a.csv", "a.csv ", ""])
def test_a_file_name_that_would_not_parse_back_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="file: expected a file name without comma or plus sign"):
        DisAlign(name)


@pytest.mark.parametrize("method", METHODS.values())
def test_every_method_states_its_formula_and_its_source(method: type[InverseImageFrequency]) -> None:
    assert " = " in method.formula()
    assert method.formula().endswith(".")
    assert method.source()
    assert all(parameter.kind.meaning for parameter in method.parameters())
