"""README and docs: links lead somewhere, options exist, and the package index gets no dead link."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
import typer

from synapse_audit.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
TASKS = [
    ROOT / "docs" / f"{name}.md"
    for name in ("texts", "images-and-sounds", "tables", "own-module", "ci", "python")
]

LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ELSEWHERE = {"--help"}
"""Options that typer adds."""


def _prose(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def _anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", _prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target, anchor in LINK.findall(_prose(page)):
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), target
        if anchor and path.suffix == ".md":
            assert anchor in _anchors(path), f"{target}#{anchor}"


def test_the_tasks_are_linked_from_the_readme() -> None:
    linked = {target for target, _ in LINK.findall(_prose(ROOT / "README.md"))}
    assert {page.relative_to(ROOT).as_posix() for page in TASKS} <= linked


@pytest.mark.parametrize("page", [ROOT / "README.md", *TASKS], ids=lambda page: page.name)
def test_every_option_that_is_named_exists(page: Path) -> None:
    command = typer.main.get_command(app)
    known = {
        name
        for one in command.commands.values()  # type: ignore[attr-defined]
        for option in one.params
        for name in option.opts
    }
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page.read_text(encoding="utf-8")))
    assert named - known - ELSEWHERE == set()


@pytest.mark.parametrize("page", TASKS, ids=lambda page: page.name)
def test_python_in_the_tasks_is_python(page: Path) -> None:
    for language, code in FENCE.findall(page.read_text(encoding="utf-8")):
        if language == "python":
            ast.parse(code)


def test_the_readme_of_the_package_index_has_no_relative_link_and_keeps_the_words() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    hook = project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert hook["fragments"] == [{"path": "README.md"}]
    for one in hook["substitutions"]:
        text = re.sub(one["pattern"], one["replacement"], text)
    assert LINK.findall(text) == []
    assert "](https://arxiv.org/abs/2603.08424)" in text
    assert "| my table | docs/tables.md |" in text
    assert "[CLS]" in text


def test_only_versions_of_python_that_are_tested_are_claimed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    claimed = {c.rpartition(" ")[2] for c in project["classifiers"] if "Python :: 3." in c}
    table = (ROOT / "docs" / "versions.md").read_text(encoding="utf-8")
    tested = set(re.findall(r"\| (3\.\d+) \|", table))
    assert claimed == tested == {"3.11"}
