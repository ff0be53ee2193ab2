"""One Python file of the user's own, run as an import would run it.

In: its path. Out: :class:`Ran`. Only :mod:`synapse_audit.model.user_code.python_classifier` calls
this, for a file that the user named; nothing that belongs to a folder or hub id comes here.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import invalidate_caches
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import NamedTuple

PREFIX = "_synapse_audit_own_"
"""How the names begin under which such files are in ``sys.modules``."""

BROUGHT = "__synapse_audit_brought__"
"""Attribute of such a module: names of the modules beside its file that it imported."""


class Ran(NamedTuple):
    """A file that was run."""

    module: ModuleType
    sha256: str
    """Of exactly the source that was run."""


def own_modules() -> list[ModuleType]:
    """The modules of the file that was run last, for whoever must send them elsewhere by value."""
    own = [name for name in sys.modules if name.startswith(PREFIX)]
    names = [*own, *(other for name in own for other in brought(sys.modules[name]))]
    return [sys.modules[name] for name in names if name in sys.modules]


def brought(module: ModuleType) -> tuple[str, ...]:
    """Names of the modules beside the file that it imported."""
    found: tuple[str, ...] = getattr(module, BROUGHT, ())
    return found


def imported(module: ModuleType, folder: Path) -> dict[str, str]:
    """File below ``folder`` that the module imported → sha256."""
    files = {}
    for name in sorted(brought(module)):
        path = Path(str(sys.modules[name].__file__))
        files[str(path.relative_to(folder.resolve()))] = _sha256(path.read_bytes())
    return files


@contextmanager
def beside(folder: Path) -> Iterator[Callable[[ModuleType], None]]:
    """Makes the files of a folder importable; yields what notes down which of them were imported.

    What an earlier file brought is forgotten first, so that its changes, and files of the same name
    in other folders, are seen. What a file that fails has brought is forgotten at once.
    """
    for module in own_modules():
        sys.modules.pop(module.__name__, None)
    root, before = folder.resolve(), {*sys.modules}

    def fresh() -> tuple[str, ...]:
        modules = [*sys.modules.items()]
        return tuple(n for n, one in modules if n not in before and _lies_in(root, n, one))

    sys.path.insert(0, str(root))
    invalidate_caches()
    try:
        yield lambda module: setattr(module, BROUGHT, fresh())
    except BaseException:
        for name in fresh():
            del sys.modules[name]
        raise
    finally:
        with suppress(ValueError):  # the file may have changed the path itself
            sys.path.remove(str(root))


def run_file(path: Path) -> Ran:
    """Runs a file under a name of its own, which stays in ``sys.modules`` unless it fails.

    Raises whatever the file raises.
    """
    path = path.resolve()
    source, name = path.read_bytes(), PREFIX + _sha256(str(path).encode())[:16]
    spec = spec_from_file_location(name, path, loader=_Exactly(name, str(path), source))
    if spec is None or spec.loader is None:
        raise ImportError(f"'{path}' is no module")
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look themselves up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return Ran(module, _sha256(source))


class _Exactly(SourceFileLoader):
    """Runs the bytes whose hash is recorded: no compiled file, which may be older, is read."""

    def __init__(self, name: str, path: str, source: bytes) -> None:
        super().__init__(name, path)
        self.source = source

    def get_code(self, fullname: str) -> CodeType:
        """The compiled source."""
        code: CodeType = self.source_to_code(self.source, self.path)
        return code


def _lies_in(folder: Path, name: str, module: ModuleType) -> bool:
    """Whether a module was imported from that folder as an entry of the path."""
    place = folder.joinpath(*name.split("."))
    files = (f"{place}.py", str(place / "__init__.py"))
    return getattr(module, "__file__", None) in files


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
