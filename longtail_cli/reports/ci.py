"""Gates for CI services: test cases in JUnit's XML, and annotations of a GitHub job.

GitHub's runner reads its annotations, workflow commands, from the log.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from datetime import datetime
from xml.etree import ElementTree

from longtail_cli.escapes import xml_text
from longtail_cli.reports.gates.words import verdict_line
from longtail_cli.reports.model import Report, Verdict
from longtail_cli.reports.text_tables import gate, in_order, outcome

KINDS = {"failed": "failure", "undefined": "failure", "not comparable": "error", "oracle": "error",
         "undefined, allowed": "skipped", "withheld": "skipped"}  # fmt: skip
"""The element of a test case by outcome; a gate that passed has none."""


def to_junit(report: Report, time: datetime | None = None) -> str:
    """One suite with one test case per verdict: its class is the run, its name the gate with its limit.

    A metric that is undefined or beyond its limit is a failure, a run that cannot be compared and an oracle run are
    errors; an undefined metric that was allowed, and one on too few images to be judged, is skipped. Each case holds
    the message of its verdict: one that passed as its system-out, the others in their element. The suite's system-out
    is the total, ``1 of 3 gates failed``, and its properties hold the signature. Without gates there are no tests.
    time: when the report was made, written to the second without time zone. Optional in Jenkins' schema, but required
    in Windy Road's.
    """
    found = Counter(KINDS.get(outcome(verdict), "passed") for verdict in report.gates)
    attributes = {"name": "ltcal report", "package": "ltcal", "id": "0", "hostname": "localhost"}
    attributes |= {} if time is None else {"timestamp": time.replace(tzinfo=None).isoformat(timespec="seconds")}
    counts = {"tests": len(report.gates), "failures": found["failure"], "errors": found["error"]}
    counts |= {"skipped": found["skipped"], "time": 0}
    root = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(root, "testsuite", attributes | {name: str(one) for name, one in counts.items()})
    _add_signature(suite, report)
    for verdict in report.gates:
        _add_case(suite, verdict)
    ElementTree.SubElement(suite, "system-out").text = verdict_line(report)
    ElementTree.SubElement(suite, "system-err")
    ElementTree.indent(root)
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content.decode() + "\n"


def _add_signature(suite: ElementTree.Element, report: Report) -> None:
    properties = ElementTree.SubElement(suite, "properties")
    for one in dataclasses.fields(report.signature):
        value = getattr(report.signature, one.name)
        if value not in (None, (), {}):
            parts = [f"{name}={one}" for name, one in value.items()] if isinstance(value, dict) else value
            text = ",".join(parts) if isinstance(parts, tuple | list) else str(parts)
            ElementTree.SubElement(properties, "property", {"name": one.name, "value": xml_text(text)})


def _add_case(suite: ElementTree.Element, verdict: Verdict) -> None:
    name = xml_text(f"{gate(verdict)}={verdict.limit}")
    case = ElementTree.SubElement(suite, "testcase", {"name": name, "classname": xml_text(verdict.run), "time": "0"})
    kind, message = KINDS.get(outcome(verdict)), xml_text(verdict.message)
    if kind == "skipped":
        ElementTree.SubElement(case, kind, {"message": message})
    elif kind:
        attributes = {"message": message, "type": xml_text(verdict.kind)}
        ElementTree.SubElement(case, kind, attributes).text = message  # services read one or the other
    else:
        ElementTree.SubElement(case, "system-out").text = message


GITHUB_SUMMARY_LIMIT = 1024 * 1024
"""Maximal size of the summary of one step in bytes; GitHub rejects a larger summary as a whole."""


def workflow_commands(report: Report) -> str:
    """One line per verdict that did not pass: ``::error``, or ``::warning`` if it lets the build pass all the same.

    Errors come first, since GitHub shows ten per step. Empty if all gates passed or there are none. No name or message
    can end the line or begin another command.
    """
    return "".join(_command(verdict) for verdict in in_order(report) if verdict.outcome != "passed")


def _command(verdict: Verdict) -> str:
    level = "warning" if verdict.allowed else "error"
    title = f"{verdict.run}: {gate(verdict)}={verdict.limit}"
    return f"::{level} title={_property(title)}::{_data(verdict.message)}\n"


def _data(text: str) -> str:
    return xml_text(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
