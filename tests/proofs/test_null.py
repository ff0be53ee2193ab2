"""Where nothing is to be found, the share of significant curves stays at or below nominal.

Many small audits of the tiny classifier, each with its own random draws: rankings that are random,
and rankings made from labels shuffled over all inputs (with the outcomes judged by the shuffled
labels, so that every stage sees the null). Takes about four minutes on one core.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synapse_audit.artifacts import LabelledData, Predictions, Ranking, Splits
from synapse_audit.config import PRESETS
from synapse_audit.data import load_data, split
from synapse_audit.effects import curve_tests, measure
from synapse_audit.interventions.edits import HeadView
from synapse_audit.model import Classifier, Encoded
from synapse_audit.model.activations import Extraction, extract
from synapse_audit.plan import STREAM, SUFFIX, PlanInputs, make_plan
from synapse_audit.plan.cells import removal_cells
from synapse_audit.probes import fit_probes, layer_statistics
from synapse_audit.rankings import RankingContext, rank
from synapse_audit.statistics import resampled_weights
from synapse_audit.sweep import Engine, Site, sweep, tapped

pytestmark = pytest.mark.proof

SEEDS = 100
FRACTIONS = (0.1, 0.2, 0.3, 0.5, 0.65, 0.8)
NOMINAL = 0.05


class Small:
    """The tiny classifier, its rows and its clean states; audits of it differ in their seed."""

    def __init__(self, folder: Path, rows: Path) -> None:
        self.classifier = Classifier.load(folder)
        self.data: LabelledData = load_data(str(rows), classes=self.classifier.classes)
        self.splits: Splits = split(self.data, seed=0)
        self.encoded: Encoded = self.classifier.encode(self.data.inputs)
        self.found: Extraction = extract(self.classifier, self.encoded, fit=self.splits.fit)
        self.statistics = layer_statistics(self.found.activations, self.splits)

    def curves(self, rankings: dict[str, Ranking], labels: np.ndarray, seed: int) -> pd.DataFrame:
        """The tests that an audit with these rankings and labels would report."""
        grid = PRESETS["standard"].model_copy(
            update={
                "fractions": FRACTIONS,
                "operators": ("mean",),
                "rankings": tuple(rankings),
            }
        )
        sources = PlanInputs(
            grid=grid,
            rankings=rankings,
            statistics=self.statistics,
            head=HeadView.of(
                self.classifier,
                self.found.activations.head_input,
                self.found.logits.argmax(axis=1),
            ),
            column_scores={},
            classes=self.classifier.classes,
            seed=seed,
        )
        cells = [c for c in removal_cells(sources) if c.selection in ("top", "random")]
        plan = make_plan(cells, self.classifier.n_layers, frozenset({STREAM, SUFFIX}))
        rows = self.splits.evaluate
        with tapped(self.classifier) as tap:
            engine = Engine(self.classifier, Site(self.statistics, self.found.others), seed, tap)
            outcomes = sweep(
                engine,
                self.encoded,
                plan,
                labels,
                rows=rows,
                batch_size=len(rows),
            )
        tables = measure(
            plan,
            outcomes,
            predictions=Predictions(labels, self.found.logits).take(rows),
            weights=np.ones(len(rows)),
            resampled=resampled_weights(labels[rows], np.ones(len(rows)), resamples=100, seed=seed),
            classes=self.classifier.classes,
        )
        return curve_tests(tables.effects).assign(seed=seed)


@pytest.fixture(scope="module")
def small(tiny_folder: Path, tiny_csv: Path) -> Small:
    return Small(tiny_folder, tiny_csv)


def judge(tests: pd.DataFrame, title: str, tell: Callable[[str], None]) -> None:
    """Curve by curve at p, audit by audit at adjusted p: at most nominal, up to chance.

    Chance: three standard errors of a share whose true value is the nominal one.
    """
    tests = tests.dropna(subset=["p_value"])
    audits = tests.groupby("seed")["p_adjusted"].min()
    curves = float((tests["p_value"] < NOMINAL).mean())
    families = float((audits < NOMINAL).mean())
    tell(
        f"{title}: {len(tests)} curves, {curves:.1%} with p < .05, "
        f"{(tests['p_adjusted'] < NOMINAL).mean():.1%} with adjusted p < .05; "
        f"{families:.1%} of {len(audits)} audits with any"
    )
    # Curves of one audit share their random draws, so audits are what is independent.
    allowed = NOMINAL + 3 * np.sqrt(NOMINAL * (1 - NOMINAL) / len(audits))
    assert curves <= allowed
    assert families <= allowed


def test_random_rankings_are_significant_no_more_often_than_by_chance(
    small: Small, tell: Callable[[str], None]
) -> None:
    found = []
    for seed in range(SEEDS):
        context = _context(small, small.data.labels, seed=seed)
        second = replace(context, seed=seed + 10 * SEEDS)
        rankings = {"random": rank("random", context)}
        rankings["random again"] = replace(rank("random", second), method="random again")
        found.append(small.curves(rankings, small.data.labels, seed))
    judge(pd.concat(found), "random rankings", tell)


def test_shuffled_labels_are_significant_no_more_often_than_by_chance(
    small: Small, tell: Callable[[str], None]
) -> None:
    found = []
    for seed in range(SEEDS):
        labels = np.random.default_rng([seed, 5]).permutation(small.data.labels)
        context = _context(small, labels, seed=seed, probes=seed < SEEDS // 3)
        names = ["probeless", *(["probe"] if context.probes else [])]
        found.append(small.curves({name: rank(name, context) for name in names}, labels, seed))
    judge(pd.concat(found), "shuffled labels", tell)


def _context(
    small: Small, labels: np.ndarray, *, seed: int, probes: bool = False
) -> RankingContext:
    data = replace(small.data, labels=labels)
    activations = small.found.activations
    return RankingContext(
        activations,
        labels,
        data.classes,
        small.splits,
        fit_probes(activations, data, small.splits, seed=seed) if probes else (),
        seed=seed,
        weights=data.weights,
    )
