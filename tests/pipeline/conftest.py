"""Audits of planted classifiers, each made once for all processes of a test run."""

from collections.abc import Callable
from pathlib import Path

import jaxtyping
import pytest
from once import once
from only_findings import only_findings
from planted import PLANTS
from transformers.utils.logging import disable_progress_bar

from synapse_audit import AuditResult, audit
from synapse_audit.findings import FINDINGS

from .planted_runs import OWN, Audited, config_of


@pytest.fixture(autouse=True)
def quiet() -> None:
    disable_progress_bar()


def _make(name: str, folder: Path) -> None:
    PLANTS[name]().save(folder)
    # Shapes are checked, and all findings made, in one of the audits.
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", name != "single")
    read = (*FINDINGS,) if name == "single" else ("redundancy",)
    try:
        with only_findings(*read):
            audit(config_of(folder, OWN[name]), folder / "run")
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)


@pytest.fixture(scope="session")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Audited]:
    """Gives the audit of a planted classifier by name, run once; leave it as you found it."""
    known: dict[str, Audited] = {}

    def get(name: str) -> Audited:
        if name not in known:
            folder = once(f"planted-{name}", tmp_path_factory, lambda folder: _make(name, folder))
            known[name] = Audited(PLANTS[name](), folder, AuditResult.load(folder / "run"))
        return known[name]

    return get


@pytest.fixture
def single(audited: Callable[[str], Audited]) -> Audited:
    return audited("single")


@pytest.fixture(params=sorted(OWN))
def each(request: pytest.FixtureRequest, audited: Callable[[str], Audited]) -> Audited:
    return audited(request.param)
