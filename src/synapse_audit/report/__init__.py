"""One self-contained HTML page from a saved run.

In: anything with the attributes of :class:`~synapse_audit.report.kit.contents.Result` (a loaded run
folder). Out: HTML. A new section is one function and one line of ``SECTIONS``.
"""

from __future__ import annotations

from collections.abc import Callable

from synapse_audit.report.kit.contents import Result, Section
from synapse_audit.report.kit.page import assemble
from synapse_audit.report.sections.agreement import agreement
from synapse_audit.report.sections.calibration import calibration
from synapse_audit.report.sections.certificates import certificates
from synapse_audit.report.sections.classes import classes
from synapse_audit.report.sections.clean import clean
from synapse_audit.report.sections.constants import constants
from synapse_audit.report.sections.detection import detection
from synapse_audit.report.sections.faults import faults
from synapse_audit.report.sections.inputs import inputs
from synapse_audit.report.sections.layers import layers
from synapse_audit.report.sections.margins import margins
from synapse_audit.report.sections.matrix import matrix
from synapse_audit.report.sections.method import method
from synapse_audit.report.sections.named_neurons import given
from synapse_audit.report.sections.paper import paper
from synapse_audit.report.sections.pathways import pathways
from synapse_audit.report.sections.probes import probes
from synapse_audit.report.sections.profile import profile
from synapse_audit.report.sections.pushes import pushes
from synapse_audit.report.sections.redirect import redirect
from synapse_audit.report.sections.removal import removal
from synapse_audit.report.sections.seeds import seeds
from synapse_audit.report.sections.sites import sites
from synapse_audit.report.sections.steering import steering
from synapse_audit.report.sections.sufficiency import sufficiency
from synapse_audit.report.sections.summary import model_name, summary

__all__ = ["SECTIONS", "render"]

SECTIONS: dict[str, Callable[[Result], Section]] = {
    "summary": summary,
    "removal": removal,
    "probes": probes,
    "layers": layers,
    "sites": sites,
    "agreement": agreement,
    "pathways": pathways,
    "constants": constants,
    "given": given,
    "sufficiency": sufficiency,
    "classes": classes,
    "matrix": matrix,
    "steering": steering,
    "redirect": redirect,
    "pushes": pushes,
    "faults": faults,
    "margins": margins,
    "inputs": inputs,
    "paper": paper,
    "profile": profile,
    "certificates": certificates,
    "calibration": calibration,
    "detection": detection,
    "seeds": seeds,
    "clean": clean,
    "method": method,
}
"""Anchor → section, in reading order."""


def render(result: Result) -> str:
    """The whole report as one HTML file that needs no network.

    A partial result renders too: what is missing is said in its section.
    """
    sections = {name: build(result) for name, build in SECTIONS.items()}
    return assemble(model_name(result), sections)
