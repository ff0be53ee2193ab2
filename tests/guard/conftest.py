"""A guard of the tiny BERT, made once from its own clean states."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from tiny import CLASSES, tiny_rows

from synapse_audit import Classifier, extract, load_data, split
from synapse_audit.guard import Guard, GuardSettings
from synapse_audit.guard.building import make_guard
from synapse_audit.guard.clean import CleanStates
from synapse_audit.guard.folder import write_guard
from synapse_audit.model import Encoded


class Guarded(NamedTuple):
    """A classifier, its guard in memory and on disk, and what the guard was made from."""

    classifier: Classifier
    guard: Guard
    folder: Path
    clean: CleanStates
    encoded: Encoded


@pytest.fixture(scope="session")
def made(tiny_folder: Path, tiny_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Guarded:
    """Read only; a test that changes the model must put it back."""
    classifier = Classifier.load(tiny_folder)
    data = load_data(str(tiny_csv), classes=classifier.classes)
    encoded, splits = classifier.encode(data.inputs), split(data)
    found = extract(classifier, encoded, fit=splits.fit)
    states = (*found.activations.layers, found.activations.head_input)
    clean = CleanStates(
        states, found.logits, splits.fit, splits.select, splits.evaluate, data.labels
    )
    guard = make_guard(clean, classifier, GuardSettings(false_alarm_rate=0.05))
    folder = tmp_path_factory.mktemp("guard")
    write_guard(folder, guard, {})
    return Guarded(classifier, guard, folder, clean, encoded)


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return tiny_rows()["text"].tolist()[:8]


@pytest.fixture(scope="session")
def labels() -> np.ndarray:
    return np.array([CLASSES.index(name) for name in tiny_rows()["label"]])


def clusters(n: int = 240, width: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """States around three centres, far from the origin; class of each."""
    generator = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    centres = 4 * np.eye(3, width) + 5
    return (centres[labels] + generator.normal(size=(n, width))).astype(np.float32), labels
