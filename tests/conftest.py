"""Shared fixtures: tiny classifiers, their rows, planted classifiers. Nothing uses a network."""

import os

# Tiny models gain nothing from threads, and lose much where other processes want the cores; the
# variable is for subprocesses.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from planted import PLANTS, Planted
from tiny import FAMILIES, Tiny, save, tiny_classifier, tiny_rows
from transformers import PreTrainedModel, PreTrainedTokenizerFast

torch.set_num_threads(1)

SHARED_MODELS = Path(__file__).resolve().parents[2] / "shared" / "models"


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    """A tiny BERT classifier and its tokenizer; leave it as you found it."""
    return tiny_classifier("bert")


@pytest.fixture(scope="session")
def tiny_bert(tiny: Tiny) -> PreTrainedModel:
    """The tiny BERT alone: 3 blocks, 32 neurons, 4 classes."""
    return tiny.model


@pytest.fixture(scope="session")
def tiny_tokenizer(tiny: Tiny) -> PreTrainedTokenizerFast:
    """Its tokenizer."""
    return tiny.tokenizer


@pytest.fixture(scope="session")
def tiny_folder(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny BERT and its tokenizer as a saved folder; read only."""
    return save(tiny, tmp_path_factory.mktemp("tiny-bert"))


@pytest.fixture(scope="session", params=sorted(FAMILIES))
def family_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved tiny classifier of each family in turn; read only."""
    return save(tiny_classifier(request.param), tmp_path_factory.mktemp(f"tiny-{request.param}"))


@pytest.fixture(scope="session")
def rows() -> pd.DataFrame:
    """The tiny rows: ``text``, ``label``; 60 of each of four classes."""
    return tiny_rows()


@pytest.fixture(scope="session")
def tiny_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny rows as a CSV file; read only."""
    path = tmp_path_factory.mktemp("tiny-rows") / "rows.csv"
    # Not the fixture `rows`: a folder that overrides it would change this file for everybody.
    tiny_rows().to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def plant() -> Callable[[str], Planted]:
    """Gives a planted classifier by name, built once; leave it as you found it."""
    built: dict[str, Planted] = {}

    def get(name: str) -> Planted:
        if name not in built:
            built[name] = PLANTS[name]()
        return built[name]

    return get


@pytest.fixture(params=sorted(PLANTS))
def planted(request: pytest.FixtureRequest, plant: Callable[[str], Planted]) -> Planted:
    """Every planted classifier in turn."""
    return plant(request.param)


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """Folder of full-sized classifiers beside the checkout; skips where there is none."""
    if not SHARED_MODELS.is_dir():
        pytest.skip("no ../shared/models beside the checkout")
    return SHARED_MODELS
