"""Gates as annotations of a GitHub job."""

import re

import pytest
from reports import HOSTILE, gated_report, report, run, verdict

from longtail_cli.reports.ci import GITHUB_SUMMARY_LIMIT, workflow_commands

COMMAND = re.compile(r"::(error|warning) title=([^:,\r\n]*)::([^\r\n]*)")


def commands(text: str) -> list[tuple[str, str, str]]:
    """Level, title and message of each line, unescaped as the runner does it: ``%25`` last."""

    def plain(part: str) -> str:
        for code, letter in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
            part = part.replace(code, letter)
        return part

    assert text == "" or text.endswith("\n")
    found = [COMMAND.fullmatch(line) for line in text.split("\n")[:-1]]
    return [(one[1], plain(one[2]), plain(one[3])) for one in found]


def test_one_line_per_gate_that_did_not_pass_errors_first():
    assert commands(workflow_commands(gated_report(run("after", 0.0)))) == [
        ("error", "after: max-drop bbox/APr=1%", "after: bbox/APr failed"),
        ("error", "after: fail-under bbox/APs=0.18", "after: bbox/APr undefined"),
        ("error", "after: max-rise tide/bbox/FalsePos=0.18", "after: bbox/APr not comparable"),
        ("warning", "after: fail-under bbox/APm=0.18", "after: bbox/APr undefined"),
    ]


def test_nothing_if_all_gates_passed_or_there_are_none():
    assert workflow_commands(gated_report(run("after", 0.0), gates=(verdict("passed"),))) == ""
    assert workflow_commands(report(run("after", 0.0))) == ""


def test_escapes_are_those_of_the_runner():
    hostile = verdict("failed", run="a:b,c%", message="50%\r\n::set-output name=x::y, z: 1")
    assert workflow_commands(gated_report(run("after", 0.0), gates=(hostile,))) == (
        "::error title=a%3Ab%2Cc%25%3A fail-under bbox/APr=0.18::50%25%0D%0A::set-output name=x::y, z: 1\n"
    )


@pytest.mark.parametrize("name", [*HOSTILE, "%0A::error::x", "%250A"])
def test_no_name_ends_its_line_or_begins_another_command(name):
    hostile = verdict("failed", run=name, metric=name, message=name)
    text = workflow_commands(gated_report(run(name, 0.0), gates=(hostile,)))
    expected = "".join("\N{REPLACEMENT CHARACTER}" if letter in "\x00\x1b\ud800" else letter for letter in name)
    assert commands(text) == [("error", f"{expected}: fail-under {expected}=0.18", expected)]
    text.encode()


def test_the_limit_of_a_summary_is_a_mebibyte():
    assert GITHUB_SUMMARY_LIMIT == 1_048_576
