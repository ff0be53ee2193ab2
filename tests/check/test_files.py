"""Files that other tools read, held against those tools' own schemas."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import xmlschema
from cli.calling import CommandLine
from junitparser import JUnitXml

from .policies import policy_of, rule

SCHEMAS = Path(__file__).parent / "schemas"


@pytest.fixture(scope="module")
def sarif_schema() -> jsonschema.Draft4Validator:
    """The official schema of SARIF 2.1.0."""
    schema = json.loads((SCHEMAS / "sarif-schema-2.1.0.json").read_text(encoding="utf-8"))
    return jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker())


@pytest.fixture
def sarif(cli: CommandLine, run: Path, tmp_path: Path) -> Any:
    file = tmp_path / "found.sarif"
    cli("check", run, "--policy", policy_of(tmp_path), "--sarif", file)
    return json.loads(file.read_text(encoding="utf-8"))


def test_sarif_is_valid_by_the_official_schema(
    sarif: Any, sarif_schema: jsonschema.Draft4Validator
) -> None:
    assert sarif["$schema"] == sarif_schema.schema["id"]
    assert [error.message for error in sarif_schema.iter_errors(sarif)] == []
    sarif["runs"][0]["results"][0]["level"] = "fatal"
    assert not sarif_schema.is_valid(sarif), "the schema notices what is wrong"


def test_sarif_points_at_the_rules_that_are_not_supported(sarif: Any, tmp_path: Path) -> None:
    (run,) = sarif["runs"]
    results, rules = run["results"], run["tool"]["driver"]["rules"]
    assert [r["level"] for r in results] == ["error", "warning", "error", "warning"]
    places = [r["locations"][0]["physicalLocation"] for r in results]
    assert [place["region"]["startLine"] for place in places] == [5, 8, 11, 16]
    assert {p["artifactLocation"]["uri"] for p in places} == {(tmp_path / "policy.toml").as_uri()}
    assert [rules[r["ruleIndex"]]["id"] for r in results] == [r["ruleId"] for r in results]
    # GitHub shows every result as an alert, so what is supported is none.
    assert len(rules) == 5 and run["properties"]["supported"] == ["redundancy.plateau/at_least"]


def test_sarif_of_a_policy_that_is_kept_has_no_result(
    cli: CommandLine, run: Path, tmp_path: Path, sarif_schema: jsonschema.Draft4Validator
) -> None:
    file = tmp_path / "found.sarif"
    policy = policy_of(tmp_path, rule("clean.accuracy", at_least=0.5))
    assert cli("check", run, "--policy", policy, "--sarif", file).code == 0
    found = json.loads(file.read_text(encoding="utf-8"))
    assert sarif_schema.is_valid(found) and found["runs"][0]["results"] == []


def test_junit_is_valid_and_read_by_others(cli: CommandLine, run: Path, tmp_path: Path) -> None:
    file = tmp_path / "junit.xml"
    cli("check", run, "--policy", policy_of(tmp_path), "--junit", file)
    schema = xmlschema.XMLSchema10(SCHEMAS / "junit-10.xsd")
    assert [error.reason for error in schema.iter_errors(file)] == []
    suite = next(iter(JUnitXml.fromfile(str(file))))
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (5, 2, 0, 2)
    kinds = [[type(result).__name__ for result in case.result] for case in suite]
    assert kinds == [[], ["Failure"], ["Skipped"], ["Failure"], ["Skipped"]]
    failed = [case.result[0].text for case in suite if kinds and case.result][::2]
    assert [text.partition(": ")[0] for text in failed] == [
        f"{tmp_path / 'policy.toml'}:{line}" for line in (5, 11)
    ]
    text = file.read_text(encoding="utf-8").replace("<skipped", "<passed")
    assert not schema.is_valid(text), "the schema notices what is wrong"


def _test_of_the_docs() -> None:
    """Does what the pytest example of docs/check.md does, its fixture called as a function."""
    text = (Path(__file__).parents[2] / "docs" / "check.md").read_text(encoding="utf-8")
    code = text.partition("```python\n")[2].partition("```")[0]
    fixture = '@pytest.fixture(scope="session")\n'
    assert fixture in code
    names: dict[str, Any] = {}
    exec(code.replace(fixture, ""), names)
    names["test_release"](names["audit"]())


def test_the_pytest_example_of_the_docs_passes_and_fails_as_the_policy_does(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run == tmp_path / "run"
    monkeypatch.chdir(tmp_path)
    policy_of(tmp_path, rule("clean.accuracy", at_least=0.5))
    _test_of_the_docs()
    policy_of(tmp_path, rule("clean.accuracy", at_least=0.99))
    with pytest.raises(AssertionError, match=r"at least 0\.99: contradicted: 0\.900 \(0\.850 to"):
        _test_of_the_docs()
