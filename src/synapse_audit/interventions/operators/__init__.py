"""What can be done to neurons; adding an operator = one function and one line in ``OPERATORS``."""

from synapse_audit.interventions.operators.formulas import (
    AIMED,
    DEFAULT_STRENGTH,
    OPERATORS,
    SINGLE,
    Rewrite,
    operator,
)
from synapse_audit.interventions.operators.keyed import keyed_integer, keyed_normal
from synapse_audit.interventions.operators.rewriting import (
    AnyRewrite,
    LayerRewrite,
    compile_rewrites,
)

__all__ = [
    "AIMED",
    "DEFAULT_STRENGTH",
    "OPERATORS",
    "SINGLE",
    "AnyRewrite",
    "LayerRewrite",
    "Rewrite",
    "compile_rewrites",
    "keyed_integer",
    "keyed_normal",
    "operator",
]
