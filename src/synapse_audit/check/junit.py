"""JUnit XML: one test case per rule.

Where a rule stands is said in the text of its failure: Jenkins takes no file or line of a case.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from synapse_audit.check.checking import Answer, Report


def junit(report: Report) -> str:
    """Contradicted is a failure, not shown a failure or skipped, as the policy says."""
    answers = report.answers
    suites = ET.Element("testsuites")
    suite = ET.SubElement(
        suites,
        "testsuite",
        name=_plain(f"synapse-audit {report.policy.path.name}"),
        tests=str(len(answers)),
        failures=str(sum(answer.fails for answer in answers)),
        errors="0",
        file=_plain(str(report.policy.path)),
        skipped=str(sum(answer.verdict == "not shown" and not answer.fails for answer in answers)),
        time="0",
    )
    for answer in answers:
        _case(suite, answer, str(report.policy.path))
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: ET.Element, answer: Answer, file: str) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        name=_plain(answer.rule.title),
        classname="synapse-audit.policy",
        time="0",
    )
    message = _plain(f"{answer.verdict}: {answer.why}")
    if answer.fails:
        failure = ET.SubElement(case, "failure", message=message, type=answer.verdict)
        failure.text = _plain(f"{file}:{answer.line}: {answer.rule.title}: {message}")
    elif answer.verdict == "not shown":
        ET.SubElement(case, "skipped", message=message)


def _plain(text: str) -> str:
    """Without the characters that XML cannot hold."""
    return "".join(c if _fits(c) else "\ufffd" for c in text)


def _fits(c: str) -> bool:
    return c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff" and not "\ud800" <= c <= "\udfff")
