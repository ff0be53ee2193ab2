"""Linear probes: what each layer's pooled representation lets a linear model read.

| module | content |
|---|---|
| design | standardised features, read block by block |
| solver | L2-regularised multinomial logistic regression, solved in the row span of the data |
| fit | features standardised on ``fit``, strength chosen on ``select``, control task |
| sufficiency | how few neurons carry the probe, and how many disjoint sets of them exist |
| paper | the SYNAPSE paper's own probe, and the same objective solved to the end |
| geometry | statistics per neuron, participation ratio per layer |

In: activations, labels, splits. Out: :class:`~synapse_audit.artifacts.Probe` and tables.
"""

from synapse_audit.probes.design import Design, Scaler
from synapse_audit.probes.fit import fit_probe, fit_probes, probe_table
from synapse_audit.probes.geometry import layer_statistics, participation_ratio
from synapse_audit.probes.paper import fit_paper_probes
from synapse_audit.probes.sufficiency import sufficiency

__all__ = [
    "Design",
    "Scaler",
    "fit_paper_probes",
    "fit_probe",
    "fit_probes",
    "layer_statistics",
    "participation_ratio",
    "probe_table",
    "sufficiency",
]
