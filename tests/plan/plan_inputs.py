"""What cells are built from, on a small scale and without any model."""

import numpy as np

from synapse_audit.artifacts import GLOBAL, LayerStatistics, Ranking
from synapse_audit.config import PRESETS, Grid
from synapse_audit.interventions.edits import HeadView
from synapse_audit.plan import PlanInputs

CLASSES = ("a", "b", "c")
WIDTH, LAYERS, FEATURES = 40, 2, 20
GRID = Grid(
    max_examples=60,
    fractions=(0.1, 0.25, 0.5),
    operators=("mean", "zero", "noise"),
    layer_fractions=(0.2, 0.5),
    position_fractions=(0.3,),
    class_layer_fractions=(0.1,),
    draws=3,
    budgets=(0.1, 1.0),
    columns=(0.25, 1.0),
    constants=(1.0, 4.0),
)


def statistics(seed: int = 0) -> LayerStatistics:
    """Ordinary neurons: no mean is large beside its spread."""
    generator = np.random.default_rng(seed)
    mean = generator.normal(0, 0.1, WIDTH).astype(np.float32)
    spread = generator.gamma(4, 0.2, WIDTH).astype(np.float32)
    bank = generator.normal(mean, spread, size=(9, WIDTH)).astype(np.float32)
    return LayerStatistics(
        mean,
        spread,
        np.sqrt(mean**2 + spread**2),
        low=mean - 2 * spread,
        high=mean + 2 * spread,
        class_means=dict(zip(CLASSES, bank, strict=False)),
        bank=bank,
    )


def sources(grid: Grid = GRID, *, seed: int = 0) -> PlanInputs:
    """Random rankings over ``LAYERS`` blocks and the embeddings."""
    generator = np.random.default_rng(1)
    names = (GLOBAL, *CLASSES)

    def scores() -> list[np.ndarray]:
        return [generator.normal(size=WIDTH) for _ in range(LAYERS + 1)]

    inputs = generator.normal(0.2, 1, size=(30, FEATURES)).astype(np.float32)
    ranked = ("probe", "probeless", *grid.compared)
    return PlanInputs(
        grid=grid,
        rankings={m: Ranking(m, {name: scores() for name in names}) for m in ranked},
        statistics=tuple(statistics(m) for m in range(LAYERS + 1)),
        head=HeadView(
            generator.normal(size=(len(CLASSES), FEATURES)).astype(np.float32),
            inputs,
            np.arange(30) % len(CLASSES),
            np.zeros(len(CLASSES), dtype=np.float32),
        ),
        column_scores={name: [generator.normal(size=FEATURES)] for name in CLASSES},
        classes=CLASSES,
        seed=seed,
    )


QUICK, STANDARD = PRESETS["quick"], PRESETS["standard"]
