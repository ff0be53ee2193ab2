"""The type checker of the tests: beartype, which is asked once for functions that are alike.

jaxtyping has it check no function of the package but empty stubs with the same signature. A
function inside a function is decorated whenever the outer one is called, thousands of times in an
audit; beartype writes and compiles code for each. A stub like an earlier one gets that one's code,
and none is compiled before it is called: most of a process's stubs never are.
"""

from collections.abc import Callable
from typing import Any

from beartype import beartype

Stub = Callable[..., Any]

_checked: dict[object, Stub] = {}


def check(stub: Stub) -> Stub:
    """The stub, made to refuse arguments and results that its annotations exclude."""
    known: Stub | None = None

    def refusing(*args: Any, **kwargs: Any) -> Any:
        nonlocal known
        if known is None:
            known = _compiled(stub)
        return known(*args, **kwargs)

    return refusing


def _compiled(stub: Stub) -> Stub:
    key = _signature(stub)
    try:
        known = _checked.get(key)
    except TypeError:  # an annotation that cannot be hashed
        return beartype(stub)
    if known is None:
        known = _checked[key] = beartype(stub)
    return known


def _signature(stub: Any) -> object:
    """All that tells two stubs apart; defaults, which may be anything, by identity."""
    code = stub.__code__
    defaults = [*(stub.__defaults__ or ()), *(stub.__kwdefaults__ or {}).values()]
    return (
        *(stub.__module__, stub.__qualname__, code.co_code, code.co_varnames, code.co_flags),
        *(code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount),
        tuple(stub.__annotations__.items()),
        tuple(map(id, defaults)),
    )
