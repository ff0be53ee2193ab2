"""Annotations of the package are checked while these tests run, inner functions included."""

from collections.abc import Callable

import numpy as np
import pytest
from checking import check
from jaxtyping import Float, TypeCheckError, jaxtyped

from synapse_audit.statistics import wilson


def test_the_package_is_checked() -> None:
    with pytest.raises(TypeCheckError, match="wilson"):
        wilson("all", 10.0)  # type: ignore[arg-type]


def _scaling(kind: type, factor: object) -> Callable[..., object]:
    """Functions of one name: other annotations and defaults must stay apart, equal ones may not."""

    @jaxtyped(typechecker=check)
    def scale(values: Float[kind, " n"], by: object = factor) -> Float[kind, " n"]:
        return values * by if by is not None else values[:1]

    return scale


@pytest.mark.parametrize("again", range(2))
def test_inner_functions_are_checked_every_time(again: int) -> None:
    double, triple = _scaling(np.ndarray, 2.0), _scaling(np.ndarray, 3.0)
    assert double(np.ones(3)).tolist() == [2.0, 2.0, 2.0]  # type: ignore[attr-defined]
    assert triple(np.ones(2)).tolist() == [3.0, 3.0]  # type: ignore[attr-defined]
    with pytest.raises(TypeCheckError, match="parameters"):
        double(np.ones((2, 2)))
    with pytest.raises(TypeCheckError, match="parameters"):
        double(np.ones(2, dtype=int))
    with pytest.raises(TypeCheckError, match="return value"):
        double(np.ones(3), None)
    with pytest.raises(TypeCheckError, match="parameters"):
        _scaling(np.matrix, 2.0)(np.ones(3))
