"""A CycloneDX 1.7 bill of materials with the model's card."""

from __future__ import annotations

import json
import uuid
from importlib.metadata import version
from typing import Any

from synapse_audit.evidence.card import NO_CLAIM, shown
from synapse_audit.evidence.provenance import command, table_hashes
from synapse_audit.store import AuditResult
from synapse_audit.summary import Entry, Figure, Keys, dotted, walk

HEX = 64
"""Characters of a sha256."""


def cyclonedx(run: AuditResult) -> str:
    """Performance metrics with slices and confidence intervals, hashes and the repeating command.

    The serial number is made from the run's hashes, so that the same run gives the same file.
    """
    hashes = table_hashes(run)
    found: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(hashes))}",
        "version": 1,
        "metadata": _metadata(run),
        "components": [_model(run, hashes)],
    }
    return json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _metadata(run: AuditResult) -> dict[str, Any]:
    tool = {"type": "application", "name": "synapse-audit", "version": version("synapse-audit")}
    finished = run.manifest.get("finished")
    when = {"timestamp": str(finished)} if finished else {}
    return {**when, "tools": {"components": [tool]}}


def _model(run: AuditResult, hashes: dict[str, str]) -> dict[str, Any]:
    model = run.manifest.get("model", {})
    sha256 = str(model.get("sha256") or "")
    properties = {
        "synapse-audit:command": command(run),
        "synapse-audit:data:sha256": str(run.manifest.get("data", {}).get("sha256")),
        **{f"synapse-audit:table:{name}:sha256": digest for name, digest in hashes.items()},
        "synapse-audit:note": NO_CLAIM,
    }
    return {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": str(model.get("name") or run.summary.get("model")),
        **({"hashes": [{"alg": "SHA-256", "content": sha256}]} if len(sha256) == HEX else {}),
        "modelCard": _card(run),
        "properties": [{"name": name, "value": value} for name, value in properties.items()],
    }


def _card(run: AuditResult) -> dict[str, Any]:
    metrics = [_metric(*row) for row in shown(dict(walk(run.summary)))]
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": "classification",
            "architectureFamily": str(run.manifest.get("model", {}).get("family") or "transformer"),
        },
        "quantitativeAnalysis": {"performanceMetrics": metrics},
    }


def _metric(keys: Keys, figure: Figure, entry: Entry) -> dict[str, Any]:
    found: dict[str, Any] = {"type": f"{dotted(keys)}: {entry.meaning}", "value": str(figure.value)}
    slice_of = _slice(keys, entry)
    if slice_of:
        found["slice"] = slice_of
    if entry.interval == "sample" and figure.bounded:
        ends = {"lowerBound": str(figure.low), "upperBound": str(figure.high)}
        found["confidenceInterval"] = ends
    return found


def _slice(keys: Keys, entry: Entry) -> str:
    """Which part of the examples a figure is of: a class, the value of a column, or both."""
    named = dict(zip(entry.keys, keys, strict=True))
    column, value = named.get("<column>"), named.get("<value>")
    parts = [f"{column}={value}"] if value is not None else []
    parts += [f"worst of {column}"] if column is not None and value is None else []
    return ", ".join([*parts, *([named["<class>"]] if "<class>" in named else [])])
