"""Which columns the source of a report section asks for, read off with ``ast``."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from synapse_audit.tables import Table

PLACES = {"Column": slice(1, 2), "Columns": slice(0, None)}
"""Constructor → its arguments that name columns."""

LISTS = {"dropna", "sort_values", "groupby", "drop_duplicates"}
MAKERS = {"assign", "rename", "_asdict"}


def asked(path: Path) -> set[str]:
    """Names of columns that a module asks of its tables, as literals."""
    return {name for call in _calls(path) for name in _asked(call) if name}


def known(module: ModuleType) -> set[str]:
    """Columns of the declared tables that a module reads, itself or by what is quoted."""
    names = {name for table in _tables(module) for name in table.names}
    names |= {text for call in _calls(_file(module)) for text in _made(call)}
    names |= set(_set(_file(module)))
    return names | {f"{name[:-4]}_interval" for name in names if name.endswith("_low")}


def _tables(module: ModuleType) -> Iterator[Table]:
    for value in vars(module).values():
        if isinstance(value, Table):
            yield value
        home = getattr(value, "__module__", None) or ""
        if home.startswith("synapse_audit.report.quoted"):
            quoted = importlib.import_module(home)
            yield from (v for v in vars(quoted).values() if isinstance(v, Table))


def _asked(call: ast.Call) -> Iterator[str]:
    name = _name(call)
    if name in PLACES:
        yield from (text for node in call.args[PLACES[name]] for text in _texts(node))
    elif name in LISTS:
        subsets = (word.value for word in call.keywords if word.arg in {"by", "subset"})
        for node in [*call.args, *subsets]:
            yield from _texts(node)
    elif name == "with_intervals":
        yield from (f"{text}_low" for node in call.args[1:] for text in _texts(node))
    elif name == "rows" and ast.unparse(call.func) == "saved.rows":
        yield from (word.arg for word in call.keywords if word.arg)


def _made(call: ast.Call) -> Iterator[str]:
    """Names that a module gives to columns of its own."""
    if _name(call) in MAKERS:
        for word in call.keywords:
            if word.arg == "columns" and isinstance(word.value, ast.Dict):
                yield from (text for node in word.value.values for text in _texts(node))
            elif word.arg:
                yield word.arg


def _set(path: Path) -> Iterator[str]:
    """Columns that functions set by name: ``table["x"] = …``, or in a dictionary of columns."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    for node in (inner for function in functions for inner in ast.walk(function)):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            yield from _texts(node.slice)
        elif isinstance(node, ast.Dict):
            yield from (text for key in node.keys for text in _texts(key))


def _texts(node: ast.AST | None) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.List | ast.Tuple):
        yield from (text for part in node.elts for text in _texts(part))


def _calls(path: Path) -> Iterator[ast.Call]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _name(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def _file(module: ModuleType) -> Path:
    return Path(str(module.__file__))
