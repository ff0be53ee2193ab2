"""Neurons: sets of them and how scores become sets, their addresses, and where rankings part."""

from synapse_audit.neurons.addresses import (
    DEFAULT_SITE,
    Address,
    Rows,
    addresses_of,
    check_addresses,
    format_addresses,
    neurons_of,
    parse_addresses,
)
from synapse_audit.neurons.sets import (
    NeuronSet,
    Scores,
    Selector,
    bottom,
    bottom_across,
    count,
    exclusive,
    mass_across,
    matched_draw,
    random_draw,
    top,
    top_across,
)

__all__ = [
    "DEFAULT_SITE",
    "Address",
    "NeuronSet",
    "Rows",
    "Scores",
    "Selector",
    "addresses_of",
    "bottom",
    "bottom_across",
    "check_addresses",
    "count",
    "exclusive",
    "format_addresses",
    "mass_across",
    "matched_draw",
    "neurons_of",
    "parse_addresses",
    "random_draw",
    "top",
    "top_across",
]
