"""What the bundled classifier is made from: the choices of its recipe, and which rows go where.

Enters: a folder with `train.csv` and `test.csv` (columns `text,label`; source and conversion in
src/synapse_audit/demo/data/README.md). Leaves: `Rows`, four tables of which none but `evaluate`
and `test` overlap.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

CLASSES = ("cmdi", "norm", "path-traversal", "sqli", "xss")


def per_class(*counts: int) -> dict[str, int]:
    """One count for each of `CLASSES`, in their order."""
    return dict(zip(CLASSES, counts, strict=True))


@dataclass(frozen=True)
class Recipe:
    """Every choice that shapes the checkpoint; chosen on the held-out `fit` rows, not on test."""

    seed: int = 0
    vocabulary: int = 2048
    """Byte-level BPE pieces, special tokens included."""
    max_tokens: int = 128
    layers: int = 4
    hidden: int = 128
    heads: int = 4
    dropout: float = 0.1
    epochs: int = 8
    batch_size: int = 32
    learning_rate: float = 5e-4
    warmup: float = 0.1
    """Share of all steps over which the learning rate rises; then it falls linearly to 0."""
    weight_decay: float = 0.01
    epoch_rows: dict[str, int] = field(default_factory=lambda: per_class(400, 1500, 500, 1000, 600))
    """Rows of each class in one epoch: rare ones repeated, the two large ones drawn anew."""
    fit_rows: dict[str, int] = field(default_factory=lambda: per_class(20, 666, 50, 374, 90))
    """Rows of each class held out of training for probes."""
    evaluate_rows: dict[str, int] = field(default_factory=lambda: per_class(30, 830, 97, 466, 177))
    """Rows of each class drawn from test: all of the three rare ones, two thirds norm to sqli."""


@dataclass(frozen=True)
class Rows:
    """The four tables, each with string columns `text` and `label` and no text in two of them.

    `evaluate` alone overlaps another table: it is a part of `test`.
    """

    train: pd.DataFrame
    fit: pd.DataFrame
    evaluate: pd.DataFrame
    test: pd.DataFrame


def read_rows(path: Path) -> pd.DataFrame:
    """Distinct texts with their labels; a payload spelled `null` or `nan` stays text.

    Raises ValueError when a label is none of `CLASSES`.
    """
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)[["text", "label"]]
    unknown = sorted(set(rows["label"]) - set(CLASSES))
    if unknown:
        raise ValueError(f"{path.name}: labels {unknown} are none of {list(CLASSES)}")
    return rows.drop_duplicates("text", ignore_index=True)


def draw(rows: pd.DataFrame, counts: dict[str, int], rng: np.random.Generator) -> pd.DataFrame:
    """`counts[label]` rows of each class without replacement, shuffled, index kept.

    Raises ValueError when a class has fewer rows than asked for.
    """
    parts = [
        rows[rows["label"] == label].sample(n, random_state=rng) for label, n in counts.items()
    ]
    return pd.concat(parts).sample(frac=1, random_state=rng)


def sample_rows(folder: Path, recipe: Recipe) -> Rows:
    """Hold `fit` out of train, draw `evaluate` from test, drop from train what test repeats."""
    rng = np.random.default_rng(recipe.seed)
    test = read_rows(folder / "test.csv")
    pool = read_rows(folder / "train.csv")
    pool = pool[~pool["text"].isin(test["text"])]
    fit = draw(pool, recipe.fit_rows, rng)
    evaluate = draw(test, recipe.evaluate_rows, rng)
    return Rows(train=pool.drop(index=fit.index), fit=fit, evaluate=evaluate, test=test)
