"""The neurons that a configuration names, held against the model that is to have them."""

from __future__ import annotations

import numpy as np

from synapse_audit.config import AuditConfig
from synapse_audit.model import BLOCK_OUTPUT, HEAD_INPUT
from synapse_audit.model.activations import TOKEN_MEAN, Extraction, observe, places
from synapse_audit.neurons.addresses import check_addresses, parse_addresses
from synapse_audit.pipeline.stages.run import Run, Subject
from synapse_audit.plan import NamedNeurons


def kept_sites(run: Run, subject: Subject) -> tuple[str, ...]:
    """Sites besides the block output that the clean pass keeps: the grid's, and the named ones.

    Last the means over tokens, where the grid asks for them and the head reads one token.
    """
    named = [site for site in parse_addresses(run.config.neurons) if site != BLOCK_OUTPUT]
    wanted = dict.fromkeys((*run.config.grid.sites, *named))
    found = tuple(site for site in wanted if site in subject.classifier.sites)
    means = run.config.grid.token_means and subject.classifier.reads_one
    return (*found, TOKEN_MEAN) if means else found


def check_named_neurons(config: AuditConfig, subject: Subject) -> None:
    """Refuses named neurons that the model does not have, before anything is computed.

    One short example is run, since only that shows how many neurons a site has.

    Raises:
        UsageError: an unknown site, layer or index; the message says which there are.
    """
    chosen = parse_addresses(config.neurons)
    classifier, encoded = subject.classifier, subject.encoded
    if not chosen or not len(encoded):
        return
    row = np.array([int(np.argmin(encoded.lengths))])
    where = places(classifier, classifier.sites[1:])
    seen = observe(
        classifier,
        classifier.collate(encoded, row),
        row,
        where=where,
        in_fit=np.zeros(1, dtype=bool),
    )
    widths = {site: [0] * (classifier.n_layers + 1) for site in classifier.sites}
    for place, states in seen.pooled.items():
        widths[place.site][place.layer] = states.shape[-1]
    widths[HEAD_INPUT][-1] = seen.head_input.shape[-1]
    check_addresses(chosen, widths)


def named_neuron_inputs(run: Run, found: Extraction) -> dict[str, NamedNeurons]:
    """The named neurons of each site, with how many the site has in each layer."""
    held = {BLOCK_OUTPUT: found.activations} | {
        name: site.activations for name, site in found.sites.items()
    }
    return {
        site: NamedNeurons(neurons, tuple(layer.shape[1] for layer in held[site].layers))
        for site, neurons in parse_addresses(run.config.neurons).items()
    }
