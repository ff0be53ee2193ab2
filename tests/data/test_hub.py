"""Data sets of the hub, through a stand-in for the package datasets."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from synapse_audit.data import load_data

from .files import CLASSES, error_of


class FakeClassLabel:
    names = ("norm", "sqli")


class FakeSplit:
    features = {"text": "string", "label": FakeClassLabel()}  # noqa: RUF012

    def to_pandas(self) -> pd.DataFrame:
        return pd.DataFrame({"text": ["a", "b", "c"], "label": [0, 1, 1]})


def fake_hub(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[Any]:
    asked: list[Any] = []

    def load_dataset(path: str, *, name: str | None, split: str | None) -> Any:
        asked.append((path, name, split))
        if isinstance(answer, Exception):
            raise answer
        return answer

    module = SimpleNamespace(
        load_dataset=load_dataset,
        ClassLabel=FakeClassLabel,
        exceptions=SimpleNamespace(DatasetsError=LookupError),
    )
    monkeypatch.setitem(sys.modules, "datasets", module)
    return asked


def test_hub_ids_are_read_by_the_names_the_dataset_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = fake_hub(monkeypatch, FakeSplit())
    data = load_data("org/set-1.0:main/test", classes=("sqli", "norm"))
    assert asked == [("org/set-1.0", "main", "test")]
    assert data.labels.tolist() == [1, 0, 0]
    # Where the model knows other names, the ids are the model's own.
    assert load_data("org/x:a/b", classes=("LABEL_0", "LABEL_1")).labels.tolist() == [0, 1, 1]


def test_hub_splits_are_chosen_or_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for names in (["train", "test"], ["train"]):
        fake_hub(monkeypatch, dict.fromkeys(names, FakeSplit()))
        assert len(load_data("org/set", classes=CLASSES)) == 3
    fake_hub(monkeypatch, dict.fromkeys(["train", "dev"], FakeSplit()))
    assert "splits: train, dev" in error_of(load_data, "org/set", classes=CLASSES)


def test_hub_failures_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hub(monkeypatch, ConnectionError("offline\nlong story"))
    message = error_of(load_data, "org/set", classes=CLASSES)
    assert message.endswith("cannot be loaded: offline")
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert "pip install 'synapse-audit[hub]'" in error_of(load_data, "org/set", classes=CLASSES)
