"""Neuron addresses: ``LAYER:SITE:INDEX``, the same in tables, on the command line and in Python.

In: text such as ``11:mlp_activation:5,77``. Out: one :class:`NeuronSet` per site, and back. Layers
are counted as transformers' ``hidden_states`` does (0 = embeddings, l = output of block l); indices
count from 0. The site may be left out and is then the block output; ``0-15`` is a range that holds
both ends; several addresses stand side by side with ``;`` between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Protocol, runtime_checkable

from synapse_audit.errors import UsageError, choices
from synapse_audit.neurons.sets import NeuronSet

DEFAULT_SITE = "block_output"
"""The site of an address that names none."""

LARGEST = 10_000_000
"""Beyond it no layer has a neuron: a range is refused before its numbers fill the memory."""

FORM = (
    "LAYER:SITE:INDEX[,INDEX...], such as 4:mlp_activation:5,77 or 4:0-15 "
    f"(site {DEFAULT_SITE} if left out)"
)

_ADDRESS = re.compile(r"(?P<layer>\d{1,9}):(?:(?P<site>[a-z_]+):)?(?P<indices>[\d,\s-]+)", re.ASCII)
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)


class Address(NamedTuple):
    """One neuron.

    >>> str(Address(4, "mlp_activation", 77))
    '4:mlp_activation:77'
    """

    layer: int
    site: str
    neuron: int
    """Index among the neurons that the site has in this layer."""

    def __str__(self) -> str:
        return f"{self.layer}:{self.site}:{self.neuron}"


@runtime_checkable
class Rows(Protocol):
    """A table: name of a column → its values, such as a data frame or a mapping of lists."""

    def __getitem__(self, column: str, /) -> Any:
        """The values, row by row."""


def parse_addresses(texts: str | Iterable[str]) -> dict[str, NeuronSet]:
    """Site → the neurons named there, in order of first appearance; repeats count once.

    Only the form is checked; see :func:`check_addresses` for whether a model has these neurons.

    Raises:
        UsageError: a text is no address, or a range runs backwards.

    >>> parse_addresses(["4:5,77; 4:6", "3:mlp_activation:0-2"])
    {'block_output': NeuronSet({4: [5, 6, 77]}), 'mlp_activation': NeuronSet({3: [0, 1, 2]})}
    """
    found: dict[str, NeuronSet] = {}
    for text in [texts] if isinstance(texts, str) else texts:
        for part in text.split(";"):
            if not part.strip() and ";" in text:
                continue  # one at the end
            site, neurons = _parse(part.strip())
            found[site] = found.get(site, NeuronSet.of({})) | neurons
    return found


def format_addresses(neurons: NeuronSet, site: str = DEFAULT_SITE) -> str:
    """The shortest text that :func:`parse_addresses` reads as this set; runs become ranges.

    >>> format_addresses(NeuronSet.of({4: [77, 5, 6, 7], 3: [1]}), "mlp_activation")
    '3:mlp_activation:1;4:mlp_activation:5-7,77'
    """
    return ";".join(f"{layer}:{site}:{_ranges(ids)}" for layer, ids in neurons.members)


def addresses_of(chosen: Mapping[str, NeuronSet]) -> tuple[Address, ...]:
    """Every single neuron of the sets, by site, layer and index."""
    return tuple(
        Address(layer, site, index)
        for site, neurons in chosen.items()
        for layer, ids in neurons.members
        for index in ids
    )


def neurons_of(table: Rows) -> dict[str, NeuronSet]:
    """Site → the neurons that the rows of a table name; repeats count once.

    Args:
        table: rows of ``rankings``, or of any other table with the columns ``layer``, ``site`` and
            ``neuron``.

    >>> neurons_of({"layer": [4, 4], "site": ["mlp_activation"] * 2, "neuron": [77, 5]})
    {'mlp_activation': NeuronSet({4: [5, 77]})}
    """
    found: dict[str, dict[int, list[int]]] = {}
    for layer, site, neuron in zip(table["layer"], table["site"], table["neuron"], strict=True):
        found.setdefault(str(site), {}).setdefault(int(layer), []).append(int(neuron))
    return {site: NeuronSet.of(by_layer) for site, by_layer in found.items()}


def check_addresses(
    chosen: Mapping[str, NeuronSet], widths: Mapping[str, Sequence[int | None]]
) -> None:
    """Refuses neurons that a model does not have.

    Args:
        widths: site → neurons per layer, layer 0 first; 0 where a layer has no such site, None
            where the number is not known (any index is then let pass).

    Raises:
        UsageError: an unknown site, a layer without it, an index beyond its neurons.
    """
    for site, neurons in chosen.items():
        if site not in widths:
            raise UsageError(f"neuron site '{site}' given; {choices(site, widths)}")
        having = [layer for layer, width in enumerate(widths[site]) if width != 0]
        for layer, ids in neurons.members:
            if layer not in having:
                raise UsageError(
                    f"neuron layer {layer} given; expected a layer that has {site}: {_span(having)}"
                )
            width = widths[site][layer]
            if width is not None and ids[-1] >= width:
                raise UsageError(
                    f"neuron {Address(layer, site, ids[-1])} given; layer {layer} has {width} "
                    f"neurons at {site}: expected an index from 0 to {width - 1}"
                )


def _parse(text: str) -> tuple[str, NeuronSet]:
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise UsageError(f"neurons '{text}' given; expected {FORM}")
    indices = [i for part in match["indices"].split(",") for i in _indices(part.strip(), text)]
    return match["site"] or DEFAULT_SITE, NeuronSet.of({int(match["layer"]): indices})


def _indices(part: str, text: str) -> range:
    match = _RANGE.fullmatch(part)
    if match is None:
        raise UsageError(f"neurons '{text}' given with the index '{part}'; expected {FORM}")
    first, last = int(match[1]), int(match[2] or match[1])
    if not first <= last <= LARGEST:
        raise UsageError(
            f"neurons '{text}' given with the range {part}; expected FIRST-LAST, both from 0 to "
            f"{LARGEST:,} and the smaller one first"
        )
    return range(first, last + 1)


def _ranges(ids: Sequence[int]) -> str:
    return ",".join(
        str(first) if first == last else f"{first}-{last}" for first, last in _runs(ids)
    )


def _runs(ids: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of each run of consecutive numbers; ``ids`` ascend."""
    if not ids:
        return
    start = ids[0]
    for one, following in pairwise(ids):
        if following != one + 1:
            yield start, one
            start = following
    yield start, ids[-1]


def _span(layers: Sequence[int]) -> str:
    return _ranges(layers) or "none"
