"""Audit Transformer classifiers: where knowledge sits, what breaks it, what redirects it.

::

    model + data → Activations → Probe → Ranking → Plan → Outcomes → effects → findings → report

``audit(make_config({...}), "runs/mine")`` goes all the way and returns an :class:`AuditResult`;
``examples/audit_in_python.py`` goes stage by stage. Everything in ``__all__`` is public; each name
is imported when it is first asked for, so that ``import synapse_audit`` stays free of torch.

Three verbs of the API, ``plan``, ``sweep`` and ``audit``, are also names of modules of this
package. As attributes of the package they are always the verbs, whatever was imported before; the
modules are reached by ``from synapse_audit.sweep import ...``.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from synapse_audit.activations import Extraction, extract
    from synapse_audit.addresses import Address, format_addresses, neurons_of, parse_addresses
    from synapse_audit.artifacts import (
        Activations,
        Cell,
        Evidence,
        Finding,
        HeadEdit,
        LabelledData,
        LayerStatistics,
        Outcomes,
        Plan,
        Predictions,
        Probe,
        Ranking,
        Splits,
    )
    from synapse_audit.attributions import Attributions, attribute
    from synapse_audit.audit import Declined, audit
    from synapse_audit.classifier import (
        FAMILIES,
        Classifier,
        Encoded,
        Family,
        Inputs,
        table_inputs,
    )
    from synapse_audit.config import PRESETS, AuditConfig, Grid, make_config
    from synapse_audit.data import check_label_map, load_data, split
    from synapse_audit.demo import bundled_data, bundled_fit_data, bundled_model
    from synapse_audit.edits import EDITS, HeadView
    from synapse_audit.errors import (
        AuditError,
        DataError,
        ModelError,
        RunFolderError,
        UsageError,
    )
    from synapse_audit.findings import FINDINGS
    from synapse_audit.metrics import METRICS, measure
    from synapse_audit.neurons import NeuronSet
    from synapse_audit.operators import OPERATORS
    from synapse_audit.plan import GivenNeurons, SiteSource, Sources, build_cells, make_plan
    from synapse_audit.plan import make_plan as plan
    from synapse_audit.probes import (
        fit_probe,
        fit_probes,
        layer_statistics,
        probe_table,
    )
    from synapse_audit.rankings import RANKINGS, RankingContext, rank, ranking_table
    from synapse_audit.report import SECTIONS, render
    from synapse_audit.seeds import audit_seeds
    from synapse_audit.statistics import resampled_weights
    from synapse_audit.store import AuditResult
    from synapse_audit.sweep import Engine, Site, intervene, supports_tap, sweep, tapped

__all__ = [
    "EDITS",
    "FAMILIES",
    "FINDINGS",
    "METRICS",
    "OPERATORS",
    "PRESETS",
    "RANKINGS",
    "SECTIONS",
    "Activations",
    "Address",
    "Attributions",
    "AuditConfig",
    "AuditError",
    "AuditResult",
    "Cell",
    "Classifier",
    "DataError",
    "Declined",
    "Encoded",
    "Engine",
    "Evidence",
    "Extraction",
    "Family",
    "Finding",
    "GivenNeurons",
    "Grid",
    "HeadEdit",
    "HeadView",
    "Inputs",
    "LabelledData",
    "LayerStatistics",
    "ModelError",
    "NeuronSet",
    "Outcomes",
    "Plan",
    "Predictions",
    "Probe",
    "Ranking",
    "RankingContext",
    "RunFolderError",
    "Site",
    "SiteSource",
    "Sources",
    "Splits",
    "UsageError",
    "attribute",
    "audit",
    "audit_seeds",
    "build_cells",
    "bundled_data",
    "bundled_fit_data",
    "bundled_model",
    "check_label_map",
    "extract",
    "fit_probe",
    "fit_probes",
    "format_addresses",
    "intervene",
    "layer_statistics",
    "load_data",
    "make_config",
    "make_plan",
    "measure",
    "neurons_of",
    "parse_addresses",
    "plan",
    "probe_table",
    "rank",
    "ranking_table",
    "render",
    "resampled_weights",
    "split",
    "supports_tap",
    "sweep",
    "table_inputs",
    "tapped",
]

_HOME: dict[str, tuple[str, ...]] = {
    "activations": (
        "Extraction",
        "extract",
    ),
    "addresses": (
        "Address",
        "format_addresses",
        "neurons_of",
        "parse_addresses",
    ),
    "artifacts": (
        "Activations",
        "Cell",
        "Evidence",
        "Finding",
        "HeadEdit",
        "LabelledData",
        "LayerStatistics",
        "Outcomes",
        "Plan",
        "Predictions",
        "Probe",
        "Ranking",
        "Splits",
    ),
    "attributions": (
        "Attributions",
        "attribute",
    ),
    "audit": (
        "Declined",
        "audit",
    ),
    "classifier": (
        "Classifier",
        "Encoded",
        "FAMILIES",
        "Family",
        "Inputs",
        "table_inputs",
    ),
    "config": (
        "AuditConfig",
        "Grid",
        "PRESETS",
        "make_config",
    ),
    "data": (
        "check_label_map",
        "load_data",
        "split",
    ),
    "demo": (
        "bundled_data",
        "bundled_fit_data",
        "bundled_model",
    ),
    "edits": (
        "EDITS",
        "HeadView",
    ),
    "errors": (
        "AuditError",
        "DataError",
        "ModelError",
        "RunFolderError",
        "UsageError",
    ),
    "findings": ("FINDINGS",),
    "metrics": (
        "METRICS",
        "measure",
    ),
    "neurons": ("NeuronSet",),
    "operators": ("OPERATORS",),
    "plan": (
        "GivenNeurons",
        "SiteSource",
        "Sources",
        "build_cells",
        "make_plan",
    ),
    "probes": (
        "fit_probe",
        "fit_probes",
        "layer_statistics",
        "probe_table",
    ),
    "rankings": (
        "RANKINGS",
        "RankingContext",
        "rank",
        "ranking_table",
    ),
    "report": (
        "SECTIONS",
        "render",
    ),
    "seeds": ("audit_seeds",),
    "statistics": ("resampled_weights",),
    "store": ("AuditResult",),
    "sweep": (
        "Engine",
        "Site",
        "intervene",
        "supports_tap",
        "sweep",
        "tapped",
    ),
}
"""Module → the public names that live there, as in the imports for type checkers above."""

_VERBS = {"plan": "make_plan", "sweep": "sweep", "audit": "audit"}
"""Public functions that share their name with the module they live in."""

_MODULE = {name: module for module, names in _HOME.items() for name in names} | {"plan": "plan"}


def __getattr__(name: str) -> Any:
    """Imports a public name's module when the name is first asked for."""
    if name not in _MODULE:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    value = getattr(import_module(f"{__name__}.{_MODULE[name]}"), _VERBS.get(name, name))
    setattr(sys.modules[__name__], name, value)
    return value


def __dir__() -> list[str]:
    return __all__


class _Package(ModuleType):
    """A package whose verbs are not replaced by the modules of the same name.

    The import system binds every imported submodule as an attribute of its package, which would
    make ``synapse_audit.sweep`` a function or a module depending on what was imported first.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if name in _VERBS and isinstance(value, ModuleType):
            value = getattr(value, _VERBS[name])
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
