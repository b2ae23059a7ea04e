"""Gates as test cases: the XML that JUnit's Ant task writes and CI services read."""

from __future__ import annotations

import dataclasses
from collections import Counter
from datetime import datetime
from xml.etree import ElementTree

from longtail_cli.reports.format import fit
from longtail_cli.reports.model import Report, Verdict
from longtail_cli.reports.text_tables import gate, outcome

KINDS = {"failed": "failure", "undefined": "failure", "not comparable": "error", "undefined, allowed": "skipped"}
"""The element that an outcome gives its test case; a gate that passed has none."""


def to_junit(report: Report, time: datetime | None = None) -> str:
    """A suite of the report, with a test case a verdict: its class is the run, its name the gate with its limit.

    A figure beyond its limit or undefined is a failure, runs that cannot be compared are an error, and undefined
    figures that were allowed are skipped. The signature stands in the properties. Without gates there are no tests.
    time: when it was made, written to the second and without zone. Jenkins' schema does without, Windy Road's does not.
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
    for stream in ("system-out", "system-err"):
        ElementTree.SubElement(suite, stream)
    ElementTree.indent(root)
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content.decode() + "\n"


def _add_signature(suite: ElementTree.Element, report: Report) -> None:
    properties = ElementTree.SubElement(suite, "properties")
    for one in dataclasses.fields(report.signature):
        value = getattr(report.signature, one.name)
        if value is not None:
            text = ",".join(value) if isinstance(value, tuple) else str(value)
            ElementTree.SubElement(properties, "property", {"name": one.name, "value": fit(text)})


def _add_case(suite: ElementTree.Element, verdict: Verdict) -> None:
    name = fit(f"{gate(verdict)}={verdict.limit}")
    case = ElementTree.SubElement(suite, "testcase", {"name": name, "classname": fit(verdict.run), "time": "0"})
    kind, message = KINDS.get(outcome(verdict)), fit(verdict.message)
    if kind == "skipped":
        ElementTree.SubElement(case, kind, {"message": message})
    elif kind:
        attributes = {"message": message, "type": fit(verdict.kind)}
        ElementTree.SubElement(case, kind, attributes).text = message  # some services read one, some the other
