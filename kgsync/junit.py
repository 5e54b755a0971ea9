"""JUnit's XML, as CI servers read it, of a validation: one test case per check, a failure where it found something."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from kgsync.checks import Severity
from kgsync.validate import CheckResult, Finding, ValidationReport

_FORBIDDEN = re.compile("[^\\t\\n\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def junit(report: ValidationReport, fail_on: Severity = "error") -> str:
    """Return the XML. A check fails if it is as severe as `fail_on`; what milder ones found is output."""
    failing = {check.name for check in report.failing(fail_on)}
    suite = ElementTree.Element(
        "testsuite",
        name="kgsync validate",
        tests=str(len(report.checks)),
        failures=str(len(failing)),
        errors="0",
        skipped="0",
        time=f"{sum(check.seconds for check in report.checks):.3f}",
    )
    for check in report.checks:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"kgsync.{check.severity}", name=check.name, time=f"{check.seconds:.3f}"
        )
        if check.name in failing:
            found = f"{check.left:,} findings: {check.why}"
            ElementTree.SubElement(case, "failure", type=check.severity, message=_clean(found)).text = _text(check)
        elif check.count:
            ElementTree.SubElement(case, "system-out").text = _text(check)
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def _text(check: CheckResult) -> str:
    lines = [_line(row) for row in check.rows]
    if check.count > len(lines):
        lines.append(f"… {check.count - len(lines):,} more")
    return _clean("\n".join([*lines, "", check.shown]))


def _line(row: Finding) -> str:
    edge = f"{row.focus} {row.path or '-'} {row.tail} " if row.path or row.focus.label else ""
    return f"{edge}[{row.id or '-'}]: {row.message or ''}"


def _clean(text: str) -> str:
    """Return text without the characters that XML 1.0 cannot hold."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
