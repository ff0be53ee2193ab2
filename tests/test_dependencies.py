"""What is imported is declared: no package is there only because another one needs it."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OTHERWISE = {"mlflow": "mlflow-skinny"}
"""Package of an extra → the distribution that has it, where that has another name."""


def _imported() -> set[str]:
    """Top-level packages that any module imports, also under TYPE_CHECKING and in functions."""
    found: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"synapse_audit", "__future__"}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_imported_package_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    declared = [*project["dependencies"], *(one for group in extras.values() for one in group)]
    names = {_normal(re.split(r"[<>=\[ ;]", one)[0]) for one in declared}
    imported = _imported()
    assert {"numpy", "torch", "markupsafe", "huggingface_hub"} <= imported
    distributions = packages_distributions()
    # What is not installed here is an extra.
    missing = [
        name
        for name in sorted(imported)
        if not {_normal(found) for found in distributions.get(name, [OTHERWISE.get(name, name)])}
        & names
    ]
    assert missing == []
