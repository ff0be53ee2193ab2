"""One rig per family on padded batches, and one per planted classifier."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from planted import Planted
from tiny import CLASSES

from synapse_audit.model import Classifier

from .rigs import Rig, make_rig

N = 30


def _labels(rows: pd.DataFrame) -> list[int]:
    return [CLASSES.index(name) for name in rows["label"][:N]]


@pytest.fixture(scope="session")
def family_rig(family_folder: Path, rows: pd.DataFrame) -> Rig:
    """A tiny classifier of each family in turn; leave it as you found it."""
    classifier = Classifier.load(family_folder)
    return make_rig(classifier, classifier.encode(rows["text"].tolist()[:N]), _labels(rows))


@pytest.fixture(scope="session")
def rig(tiny_folder: Path, rows: pd.DataFrame) -> Rig:
    """The tiny BERT; leave it as you found it."""
    classifier = Classifier.load(tiny_folder)
    return make_rig(classifier, classifier.encode(rows["text"].tolist()[:N]), _labels(rows))


@pytest.fixture(scope="session")
def planted_rig(
    plant: Callable[[str], Planted], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Rig]:
    """Gives the rig of a planted classifier by name, built once."""
    built: dict[str, Rig] = {}

    def get(name: str) -> Rig:
        if name not in built:
            planted = plant(name)
            folder = planted.save(tmp_path_factory.mktemp(name)) / "model"
            classifier = Classifier.load(folder)
            encoded = classifier.encode(planted.texts)
            built[name] = make_rig(classifier, encoded, planted.labels.tolist())
        return built[name]

    return get
