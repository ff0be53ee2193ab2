"""The examples in docstrings are true."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import synapse_audit

PACKAGE = Path(synapse_audit.__file__).parent
MODULES = sorted(
    ".".join(("synapse_audit", *file.relative_to(PACKAGE).with_suffix("").parts))
    for file in PACKAGE.rglob("*.py")
    if ">>> " in file.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("module", MODULES)
def test_examples_give_what_they_say(module: str) -> None:
    examples = doctest.testmod(import_module(module.removesuffix(".__init__")))
    assert examples.attempted > 0
    assert examples.failed == 0


def test_there_are_examples() -> None:
    assert len(MODULES) > 30
