"""What a run was asked to do: options, presets, TOML."""

from synapse_audit.config.configuration import (
    PRESETS,
    AuditConfig,
    EngineName,
    Grid,
    make_config,
)
from synapse_audit.config.data import DataFields, DataOptions
from synapse_audit.config.loading import (
    AttentionName,
    DeviceMapName,
    DtypeName,
    Loading,
    LoadingOptions,
    QuantizationName,
)

__all__ = [
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
    "make_config",
]
