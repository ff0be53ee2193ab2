"""The house rules of CONTRIBUTING.md, read off the source with ``ast``.

Imports under ``TYPE_CHECKING`` do not count; imports inside functions do, except for circles.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = "synapse_audit"
SOURCE = Path(__file__).resolve().parents[1] / "src" / PACKAGE

ORDER: tuple[tuple[str, ...], ...] = (
    ("errors", "machine", "memory", "progress"),
    ("summary",),
    ("statistics",),
    ("neurons",),
    ("config",),
    ("artifacts",),
    ("tables",),
    ("data",),
    ("model",),
    ("probes",),
    ("rankings",),
    ("interventions",),
    ("extending",),
    ("effects",),
    ("plan",),
    ("sweep",),
    ("findings",),
    ("advice",),
    ("report",),
    ("store",),
    ("guard",),
    ("pipeline",),
    ("compare",),
    ("check",),
    ("evidence",),
    ("demo",),
    ("cli",),
)
"""Rooms from the ground up; a room imports only rooms of lower storeys.

``statistics`` stands alone at the bottom, not in ``effects``: probes, rankings and the sweep draw
their resamples from it too.
"""

RANK = {room: storey for storey, rooms in enumerate(ORDER) for room in rooms}

TORCH_ROOMS = {"model", "probes", "interventions", "sweep", "guard"}
TORCH_MODULES = {
    "rankings.activation_gradient",
    "rankings.attributions",
    "rankings.conductance",
}
HEAVY = {"torch", "transformers"}

SIBLINGS: dict[str, set[str]] = {
    "rankings": {"context", "attributed", "attributions"},
    "findings": set(),
    "report.sections": set(),
    "plan": {"plan_inputs", "neurons", "tiers"},
    "cli": {"against", "closing", "display", "interrupts", "options", "printing"},
}
"""Folder of interchangeable parts, each a module or a folder → the modules that they may share."""

ASSEMBLERS = {"plan.cells", "cli.main"}
"""Modules that put the parts of their folder together, besides its ``__init__``."""

MAX_LINES = 400
TALKATIVE = ("cli",)
"""Where print and exit are at home."""

UNSAFE = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
VAGUE = {"utils", "util", "helpers", "common", "misc"}


class Import(NamedTuple):
    """One imported module, dotted."""

    module: str
    line: int
    lazy: bool
    """Inside a function."""


@dataclass(frozen=True)
class Module:
    """One source file; ``name`` is dotted below the package, without ``__init__``."""

    name: str
    path: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def lines(self) -> int:
        return self.text.count("\n")

    @property
    def room(self) -> str:
        return self.name.partition(".")[0]


def _read(path: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    parts = path.relative_to(SOURCE).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Module(name, path, text)


MODULES = {module.name: module for module in map(_read, sorted(SOURCE.rglob("*.py")))}


def _is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def _nodes(tree: ast.AST, *, lazy: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Every node outside ``if TYPE_CHECKING``, and whether it lies inside a function."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and _is_type_checking(child.test):
            rest = ast.Module(body=child.orelse, type_ignores=[])
            yield from _nodes(rest, lazy=lazy)
            continue
        inside = lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield child, lazy
        yield from _nodes(child, lazy=inside)


def _imports(tree: ast.Module, package: str) -> Iterator[Import]:
    """All imports, as absolute names; ``from a import b`` gives ``a.b``."""
    for node, lazy in _nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, lazy) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: 1 - node.level or None] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield from (Import(f"{source}.{a.name}", node.lineno, lazy) for a in node.names)


def _imports_of(module: Module) -> list[Import]:
    is_package = module.path.name == "__init__.py"
    below = module.name if is_package else module.name.rpartition(".")[0]
    return list(_imports(module.tree, f"{PACKAGE}.{below}".rstrip(".")))


def _own(found: Import) -> str | None:
    """The module of ours that an import reaches, without the package's name; None for others'."""
    if found.module.partition(".")[0] != PACKAGE:
        return None
    name = found.module.removeprefix(PACKAGE).lstrip(".")
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name


def _where(module: Module, line: int) -> str:
    return f"src/{PACKAGE}/{module.path.relative_to(SOURCE)}:{line}"


def _calls(module: Module) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_every_room_has_a_storey() -> None:
    rooms = {module.room for module in MODULES.values() if module.name}
    assert rooms - set(RANK) - {"__main__"} == set(), "add the room to ORDER"


def test_every_folder_of_tests_is_named_for_the_room_it_tests() -> None:
    tests = Path(__file__).resolve().parent
    folders = {path.parent.relative_to(tests).parts[0] for path in tests.glob("*/**/test_*.py")}
    assert {"plan", "findings", "sweep"} <= folders
    assert folders - {module.room for module in MODULES.values()} <= {"proofs", "fuzz"}


def test_imports_go_downward() -> None:
    wrong = [
        f"{_where(module, found.line)}: {module.room} imports {own}"
        for module in MODULES.values()
        if module.room in RANK
        for found in _imports_of(module)
        if (own := _own(found)) is not None
        and (own == "" or (own.partition(".")[0] != module.room and _is_above(own, module)))
    ]
    assert wrong == []


def _is_above(own: str, module: Module) -> bool:
    return RANK[own.partition(".")[0]] >= RANK[module.room]


def test_no_circles() -> None:
    graph = {
        module.name: {
            own
            for found in _imports_of(module)
            if not found.lazy and (own := _own(found)) is not None and own != module.name
        }
        for module in MODULES.values()
    }
    assert _circle(graph) is None


def _circle(graph: dict[str, set[str]]) -> list[str] | None:
    """A path that returns to its start, or None."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str] | None:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return None
        found = (visit(other, [*path, name]) for other in sorted(graph.get(name, ())))
        circle = next((c for c in found if c is not None), None)
        done.add(name)
        return circle

    return next((c for name in graph if (c := visit(name, [])) is not None), None)


def _part(name: str, folder: str) -> str | None:
    """The part of a folder that a module belongs to; None where it is not below the folder."""
    return name[len(folder) + 1 :].partition(".")[0] if name.startswith(f"{folder}.") else None


def _between_siblings(graph: dict[str, set[str]], folder: str, shared: set[str]) -> list[str]:
    """Imports from one part of the folder to another, those of shared modules aside."""
    return sorted(
        f"{name} imports {own}"
        for name, imported in graph.items()
        if (part := _part(name, folder)) is not None and name not in ASSEMBLERS
        for own in imported
        if (other := _part(own, folder)) is not None and other != part and other not in shared
    )


@pytest.mark.parametrize("folder", SIBLINGS)
def test_interchangeable_parts_do_not_import_each_other(folder: str) -> None:
    graph = {
        module.name: {own for found in _imports_of(module) if (own := _own(found)) is not None}
        for module in MODULES.values()
    }
    parts = {part for name in MODULES if (part := _part(name, folder)) is not None}
    assert SIBLINGS[folder] <= parts, "a shared module is gone"
    assert len(parts - SIBLINGS[folder]) >= 4, "there is nothing to check"
    assert _between_siblings(graph, folder, SIBLINGS[folder]) == []


def test_torch_only_where_it_belongs() -> None:
    wrong = [
        f"{_where(module, found.line)}: {found.module}"
        for module in MODULES.values()
        if module.room not in TORCH_ROOMS and module.name not in TORCH_MODULES
        for found in _imports_of(module)
        if found.module.partition(".")[0] in HEAVY
    ]
    assert wrong == []


def test_files_are_small_and_named_for_what_they_hold() -> None:
    long = {m.name: m.lines for m in MODULES.values() if m.lines > MAX_LINES}
    vague = [m.name for m in MODULES.values() if m.name.rpartition(".")[2] in VAGUE]
    assert (long, vague) == ({}, [])
    tests = Path(__file__).resolve().parent.rglob("*.py")
    lines = {file.name: len(file.read_text("utf-8").splitlines()) for file in tests}
    assert {name: n for name, n in lines.items() if n > MAX_LINES} == {}


NAMED = re.compile(r"(?<![\w./-])((?:[a-z_]+/)*[a-z_]+\.py)\b(?!:)")
MADE_UP = {"file.py", "my_model.py"}
"""Files of a user's that examples speak of."""


def test_files_that_the_source_names_are_there() -> None:
    named = {
        (module.name, name)
        for module in MODULES.values()
        for name in NAMED.findall(module.path.read_text(encoding="utf-8"))
        if name not in MADE_UP
    }
    assert len(named) >= 5, "there is nothing to check"
    gone = [
        f"{module} names {name}"
        for module, name in sorted(named)
        if not any((home / name).is_file() for home in _homes(MODULES[module].path))
    ]
    assert gone == []


def _homes(path: Path) -> tuple[Path, ...]:
    """Where a file that a module names may be: beside it, in the package or the checkout."""
    return path.parent, SOURCE, SOURCE.parents[1]


def test_the_library_neither_prints_nor_asserts_nor_exits() -> None:
    quiet = [m for m in MODULES.values() if not m.name.startswith(TALKATIVE)]
    exits = {"print", "exit", "quit", "sys.exit", "os._exit", "SystemExit"}
    wrong = [
        _where(module, call.lineno) + f": {name}"
        for module in quiet
        for name, call in _calls(module)
        if name in exits
    ]
    wrong += [
        _where(module, node.lineno) + ": assert"
        for module in MODULES.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Assert) and not module.name.startswith(TALKATIVE)
    ]
    assert wrong == []


def test_nothing_that_runs_what_it_reads() -> None:
    wrong = [
        f"{_where(module, found.line)}: {found.module}"
        for module in MODULES.values()
        for found in _imports_of(module)
        if found.module.partition(".")[0] in UNSAFE
    ]
    wrong += [
        f"{_where(module, call.lineno)}: {name}"
        for module in MODULES.values()
        for name, call in _calls(module)
        if name in {"eval", "exec", "torch.load"} or _allows_code(call)
    ]
    assert wrong == []


def _allows_code(call: ast.Call) -> bool:
    """``allow_pickle=True`` or ``trust_remote_code=True``."""
    return any(
        word.arg in {"allow_pickle", "trust_remote_code"} and ast.unparse(word.value) == "True"
        for word in call.keywords
    )


@pytest.mark.parametrize("module", ["", ".errors", ".neurons", ".artifacts", ".config", ".cli"])
def test_importing_is_light(module: str) -> None:
    program = f"import sys, {PACKAGE}{module}; print(*({HEAVY!r} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == []


# The rules above are only as good as the reading of imports: a few sources with known answers.


def _found(text: str) -> list[tuple[str, bool]]:
    imports = _imports(ast.parse(text), f"{PACKAGE}.rankings")
    return [(found.module, found.lazy) for found in imports]


def test_the_reader_sees_every_form_of_import() -> None:
    assert _found("import torch.nn as nn") == [("torch.nn", False)]
    assert _found("from a import b, c") == [("a.b", False), ("a.c", False)]
    assert _found("from . import probe") == [(f"{PACKAGE}.rankings.probe", False)]
    assert _found("from ..errors import E") == [(f"{PACKAGE}.errors.E", False)]
    assert _found("def f():\n    import torch") == [("torch", True)]
    assert _found("try:\n    import torch\nexcept E:\n    pass") == [("torch", False)]


def test_the_reader_passes_over_type_checking_only() -> None:
    assert _found("if TYPE_CHECKING:\n    import torch") == []
    assert _found("if typing.TYPE_CHECKING:\n    import a\nelse:\n    import b") == [("b", False)]
    assert _found("if OTHER:\n    import torch") == [("torch", False)]


def test_the_sibling_check_sees_what_is_forbidden() -> None:
    graph = {"f": {"f.a"}, "f.a": {"f.b.inner", "f.s"}, "f.b.inner": {"f.b.more"}, "g": {"f.a"}}
    assert _between_siblings(graph, "f", {"s"}) == ["f.a imports f.b.inner"]
    assert _between_siblings(graph, "f", set()) == ["f.a imports f.b.inner", "f.a imports f.s"]


def test_the_circle_finder_finds_circles() -> None:
    assert _circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert _circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None
