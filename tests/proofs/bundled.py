"""The bundled classifier as an audit has it just before the sweep, and its cells' outcomes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synapse_audit import demo
from synapse_audit.artifacts import Cell, LabelledData, Outcomes, Plan, Predictions, Splits
from synapse_audit.config import PRESETS, Grid
from synapse_audit.data import load_data, split
from synapse_audit.model import Classifier, Encoded
from synapse_audit.model.activations import Extraction, extract
from synapse_audit.plan import PlanInputs, build_cells
from synapse_audit.probes import fit_probes, layer_statistics
from synapse_audit.rankings import RankingContext
from synapse_audit.sweep import Engine, Site, sweep, tapped

ROWS = 1500
"""Rows before splitting: 600 to evaluate on."""


CORE = PRESETS["standard"].model_copy(
    update=dict.fromkeys(
        ("sites", "edits", "bit_formats", "attacks", "other_operators", "compared"), ()
    )
)
"""The standard preset at block outputs and the head: all that the proofs are about."""


@dataclass(frozen=True)
class Ready:
    """Everything that an audit knows before it intervenes."""

    classifier: Classifier
    encoded: Encoded
    data: LabelledData
    splits: Splits
    found: Extraction
    site: Site
    sources: PlanInputs

    @property
    def rows(self) -> np.ndarray:
        return self.splits.evaluate

    @property
    def labels(self) -> np.ndarray:
        return self.data.labels[self.rows]

    @property
    def predictions(self) -> Predictions:
        return Predictions(self.data.labels, self.found.logits).take(self.rows)

    def cells(self) -> tuple[Cell, ...]:
        return build_cells(self.sources)

    def run(self, cells: Sequence[Cell], route: str) -> Outcomes:
        """The outcomes of some cells on one route, all evaluated rows."""
        plan = Plan(tuple(cells), {cell.action: route for cell in cells})
        with tapped(self.classifier) as tap, self.classifier.unharmed():
            engine = Engine(self.classifier, self.site, 0, tap)
            return sweep(engine, self.encoded, plan, self.data.labels, rows=self.rows)


def make_ready(grid: Grid = CORE, rows: int = ROWS) -> Ready:
    classifier = Classifier.load(demo.bundled_model())
    data = load_data(
        str(demo.bundled_data()),
        classes=classifier.classes,
        fit_data=str(demo.bundled_fit_data()),
        max_examples=rows,
    )
    splits, encoded = split(data, seed=0), classifier.encode(data.inputs)
    found = extract(classifier, encoded, fit=splits.fit)
    statistics = layer_statistics(found.activations, splits)
    probes = fit_probes(found.activations, data, splits, seed=0)
    context = RankingContext.of(found.activations, data, splits, probes)
    sources = PlanInputs.of(classifier, found, context, grid=grid, statistics=statistics)
    site = Site(statistics, found.others)
    return Ready(classifier, encoded, data, splits, found, site, sources)
