"""Oracle runs: named in every output, refused by gates."""

from dataclasses import replace

import pytest
from gates import detector, gate
from reports import BASELINE, report, run, verdict

from longtail_cli.errors import GateError, NotComparableError, UsageError
from longtail_cli.reports.ci import to_junit, workflow_commands
from longtail_cli.reports.csv import to_csv
from longtail_cli.reports.gates.comparing import differences
from longtail_cli.reports.gates.judging import judge, outcome_error
from longtail_cli.reports.json import from_json, to_json
from longtail_cli.reports.latex import to_latex
from longtail_cli.reports.markdown import to_markdown
from longtail_cli.reports.model import ORACLE
from longtail_cli.reports.page.html import to_html
from longtail_cli.reports.plots.plot import short
from longtail_cli.reports.text import to_text

NAME = f"norcal{ORACLE}"


def with_oracle(*others):
    both = report(*others, replace(detector(NAME, APr=0.2), oracle=True))
    return replace(both, signature=replace(both.signature, oracle=(NAME,)))


def judged(found, *, allow_oracle=False, runs=()):
    gates = [gate("bbox/APr=0.1")]
    verdicts = judge(found, gates, on="value", allow_undefined=False, allow_oracle=allow_oracle, runs=runs)
    return replace(found, gates=verdicts)


def test_gates_do_not_judge_an_oracle():
    one = judged(with_oracle(detector("before", APr=0.2)))
    assert [(verdict.run, verdict.outcome, verdict.allowed) for verdict in one.gates] == [
        ("before", "passed", True),
        (NAME, "oracle", False),
    ]
    assert not one.passed
    error = outcome_error(one)
    assert isinstance(error, NotComparableError)
    assert str(error) == (
        "gate: norcal [oracle]: expected a method that was tuned on other images, found one that was tuned on images "
        "of this report\n"
        "Fix: report on images that were not tuned on, or pass `allow_oracle=True` on purpose"
    )


def test_unless_it_is_allowed():
    assert judged(with_oracle(), allow_oracle=True).passed
    failed = judged(with_oracle(detector("before", APr=0.05)), allow_oracle=True)
    assert isinstance(outcome_error(failed), GateError)


def test_other_failures_are_listed_too():
    error = outcome_error(judged(with_oracle(detector("before", APr=0.05))))
    assert error.exit_code == 3
    assert [problem.where for problem in error.problems] == [NAME, "before, bbox/APr"]
    baseline = replace(BASELINE, differences=("protocol: lvis here, coco in the baseline",))
    both = outcome_error(replace(judged(with_oracle()), baseline=baseline))
    assert [problem.where for problem in both.problems] == ["main.json", NAME]
    assert "write a new baseline" in both.fix
    assert "allow_oracle" in both.fix


@pytest.mark.parametrize("name", ["norcal", NAME])
def test_runs_are_chosen_with_or_without_the_mark(name):
    assert [one.run for one in judged(with_oracle(detector("before", APr=0.2)), runs=(name,)).gates] == [NAME]


def test_only_oracles_are_chosen_without_a_mark():
    with pytest.raises(UsageError, match="choose runs of this report"):
        judged(report(detector(NAME, APr=0.2)), runs=("norcal",))
    assert outcome_error(judged(with_oracle(detector("before", APr=0.2)), runs=("before",))) is None


def test_an_oracle_is_comparable():
    marked = with_oracle().signature
    assert differences(marked, replace(marked, oracle=())) == ()


def test_every_output_shows_the_mark():
    one = judged(with_oracle(run("before", 0.0)), runs=("norcal",))
    assert f"\n{NAME} " in to_text(one)
    assert "oracle   fail-under bbox/APr  norcal [oracle]" in to_text(one)
    assert "norcal \\[oracle\\]" in to_markdown(one)
    assert "norcal {[}oracle]" in to_latex(one)
    assert "norcal [oracle] bbox/AP" in to_csv(one).splitlines()[0]
    page = to_html(one, "")
    assert page.count(NAME) > 3
    assert '<dt><button type="button" class="term" aria-describedby="term-oracle">oracle</button></dt>' in page
    junit = to_junit(one)
    assert '<property name="oracle" value="norcal [oracle]"' in junit
    assert 'classname="norcal [oracle]"' in junit
    assert 'errors="1"' in junit
    assert workflow_commands(one).startswith("::error title=norcal [oracle]")
    assert from_json(to_json(one), "here") == one


def test_a_report_without_oracles_does_not_mention_them():
    one = replace(report(run("before", 0.0)), gates=(verdict("passed"),))
    assert "oracle" not in to_text(one) + to_markdown(one) + to_html(one, "") + to_junit(one)


def test_plots_shorten_names_before_the_mark():
    name = f"temperature:t=1.0+logit-adjust:tau=1.0{ORACLE}"
    assert short(name) == "temperat\N{HORIZONTAL ELLIPSIS}st:tau=1.0 [oracle]"
    assert short("norcal:gamma=0.6 [oracle]") == "norcal:gamma=0.6 [oracle]"
