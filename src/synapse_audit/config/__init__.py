"""What a run was asked to do: options, presets, TOML."""

from synapse_audit.config.configuration import (
    OF_GRID,
    AuditConfig,
    EngineName,
    make_config,
    read_toml,
)
from synapse_audit.config.data import DataFields, DataOptions
from synapse_audit.config.describing import field_docs
from synapse_audit.config.grid import PRESETS, Grid
from synapse_audit.config.loading import (
    AttentionName,
    DeviceMapName,
    DtypeName,
    Loading,
    LoadingOptions,
    QuantizationName,
)
from synapse_audit.config.writing import commented_toml

__all__ = [
    "OF_GRID",
    "PRESETS",
    "AttentionName",
    "AuditConfig",
    "DataFields",
    "DataOptions",
    "DeviceMapName",
    "DtypeName",
    "EngineName",
    "Grid",
    "Loading",
    "LoadingOptions",
    "QuantizationName",
    "commented_toml",
    "field_docs",
    "make_config",
    "read_toml",
]
