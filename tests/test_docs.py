"""README and docs: links lead somewhere, commands parse, jobs fit, the index gets no dead link."""

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from synapse_audit import Classifier
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


COMMAND = re.compile(r"^\s*(?:\$ |- |- run: |entry: )?(synapse-audit .*)$", re.MULTILINE)
INLINE = re.compile(r"`(synapse-audit [^`]* --[^`]*)`")


def _commands(text: str) -> Iterator[list[str]]:
    """Words of every command of a page: all in its code blocks, and inline those with options."""
    blocks = "\n".join(code for _, code in FENCE.findall(text))
    for line in (*COMMAND.findall(blocks), *INLINE.findall(FENCE.sub("", text))):
        words = shlex.split(re.sub(r"\s\d?>.*$", "", line), comments=True)
        yield words[1:]


def _parse(words: list[str]) -> dict[str, Any]:
    """Arguments as the command line's own parser reads them; an error where it refuses them."""
    name, *rest = words
    command = typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]
    return command.make_context(name, rest).params


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_is_one_that_the_command_line_takes(page: Path) -> None:
    for words in _commands(page.read_text(encoding="utf-8")):
        if not {"--help", "--version"} & {*words}:
            _parse(words)


def test_the_reader_of_commands_finds_them_and_refuses_what_is_wrong() -> None:
    found = [words for page in PAGES for words in _commands(page.read_text(encoding="utf-8"))]
    assert len(found) > 30
    assert {"run", "check", "policy", "compare", "evidence", "guard"} <= {w[0] for w in found}
    for wrong in (["run", "--sed", "1"], ["check", "run"], ["compare", "--format"]):
        with pytest.raises(Exception, match=r"No such option|Missing|requires"):
            _parse(wrong)


# ---- jobs of docs/check.md -----------------------------------------------------------------------


def _yaml(key: str) -> Any:
    """The one YAML block of docs/check.md that has this key at its top."""
    text = (ROOT / "docs" / "check.md").read_text(encoding="utf-8")
    parsed = [yaml.safe_load(code) for language, code in FENCE.findall(text) if language == "yaml"]
    (found,) = [one for one in parsed if key in one]
    return found


def _tested() -> set[str]:
    """Versions of Python on which the suite ran."""
    table = (ROOT / "docs" / "versions.md").read_text(encoding="utf-8")
    return set(re.findall(r"\| (3\.\d+) \|", table))


def test_the_actions_job_installs_audits_and_checks() -> None:
    (job,) = _yaml("jobs")["jobs"].values()
    runs = [shlex.split(step["run"]) for step in job["steps"] if "run" in step]
    assert runs[0] == ["pip", "install", "synapse-audit"]
    audit, check = (_parse(words[1:]) for words in runs[1:])
    assert check["run"] == audit["out"], "what is checked is what was audited"
    with_ = {k: v for step in job["steps"] for k, v in step.get("with", {}).items()}
    assert with_["python-version"] in _tested()
    assert with_["sarif_file"] == str(check["sarif"])
    assert with_["path"].split() == [f"{audit['out']}/report.html", str(check["junit"])]
    # What a failing check leaves behind is uploaded all the same.
    uploads = [step for step in job["steps"] if "upload" in step.get("uses", "")]
    assert len(uploads) == 2 and all(step["if"] == "always()" for step in uploads)
    assert job["permissions"]["security-events"] == "write"


def test_the_gitlab_job_and_the_hook_do_the_same() -> None:
    job = _yaml("audit")["audit"]
    _, audit, check = (shlex.split(line) for line in job["script"])
    assert job["image"].partition(":")[2] in _tested()
    assert _parse(check[1:])["run"] == _parse(audit[1:])["out"]
    assert job["artifacts"]["reports"]["junit"] == str(_parse(check[1:])["junit"])
    (hook,) = _yaml("repos")["repos"][0]["hooks"]
    assert _parse(shlex.split(hook["entry"])[1:])["policy"] == Path("policy.toml")
    assert re.search(hook["files"], "run/summary.json") and re.search(hook["files"], "policy.toml")


@pytest.mark.parametrize("page", TASKS, ids=lambda page: page.name)
def test_python_in_the_tasks_is_python(page: Path) -> None:
    for language, code in FENCE.findall(page.read_text(encoding="utf-8")):
        if language == "python":
            ast.parse(code)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.ao announces its end
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_int8_and_pruned_models_of_the_docs_are_made(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
    int8, pruned = (code for language, code in FENCE.findall(text) if language == "python")
    (tmp_path / "model-fp32").symlink_to(tiny_folder)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(int8, names)
    made = names["classifier"]()
    kinds = {type(module).__module__ for module in made.model.base_model.encoder.modules()}
    assert any("quantized" in kind for kind in kinds)
    exec(pruned, {})
    weight = Classifier.load(tmp_path / "model-pruned").model.base_model.encoder
    shares = [float((w == 0).float().mean()) for w in weight.parameters() if w.ndim == 2]
    assert shares and all(share == pytest.approx(0.5, abs=0.02) for share in shares)


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
    assert claimed == _tested() == {"3.11"}
