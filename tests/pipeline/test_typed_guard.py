"""Typed edits behind a guard, counted again text by text through the served model."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from planted import CLASSES, Planted
from tiny import Tiny, save

from synapse_audit import load_data, make_config
from synapse_audit.guard import GuardedModel, GuardSettings
from synapse_audit.guard.building import CleanStates, make_guard
from synapse_audit.guard.scoring import Calibrated
from synapse_audit.interventions.typed import CONTROLS, TYPED, Material
from synapse_audit.model import Classifier
from synapse_audit.model.activations import extract
from synapse_audit.pipeline import typed_guard
from synapse_audit.pipeline.stages import subject_of
from synapse_audit.pipeline.stages.typed_search import Search, prepare_search
from synapse_audit.progress import Silent
from synapse_audit.statistics import wilson
from synapse_audit.sweep import Engine, Site
from synapse_audit.tables.guard import TYPED_EDITS

pytestmark = pytest.mark.unchecked

KINDS = ("append", "truncate", "delete")
EXAMPLES = 2
"""Attacked of each class."""


class Case(NamedTuple):
    planted: Planted
    guarded: GuardedModel
    search: Search
    table: pd.DataFrame


class _Arbitrary(Calibrated):
    """Alarms on some edited texts and not on others: the guard's own sees all of these."""

    def __init__(self, known: np.ndarray) -> None:
        direction = np.random.default_rng(0).normal(size=known.shape[1]).astype(np.float32)
        super().__init__(np.sort(known @ direction))
        self.direction = torch.from_numpy(direction)

    def forward(self, states: Sequence[torch.Tensor]) -> torch.Tensor:
        return states[-1] @ self.direction


@pytest.fixture(scope="module")
def case(plant: Callable[[str], Planted], tmp_path_factory: pytest.TempPathFactory) -> Case:
    planted, folder = plant("single"), tmp_path_factory.mktemp("typed")
    classifier = Classifier.load(save(Tiny(planted.model, planted.tokenizer), folder / "model"))
    data = str(folder / "rows.csv")
    names = [CLASSES[label] for label in planted.labels]
    pd.DataFrame({"text": planted.texts, "label": names}).to_csv(data, index=False)
    subject = subject_of(classifier, load_data(data, classes=classifier.classes), benign="plain")
    found, splits = extract(classifier, subject.encoded, fit=subject.splits.fit), subject.splits
    states = (*found.activations.layers, found.activations.head_input)
    parts = (splits.fit, splits.select, splits.evaluate, subject.data.labels)
    settings = GuardSettings(false_alarm_rate=0.3)
    guard = make_guard(CleanStates(states, found.logits, *parts), classifier, settings)
    guarded = GuardedModel(classifier, guard)
    guarded.use_scores(_Arbitrary(states[-1][splits.select]))
    config = make_config(
        {"model": "m", "data": data, "benign": "plain", "grid": {"typed_examples": EXAMPLES}}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typed_guard, "TYPED", {name: TYPED[name] for name in KINDS})
        table = typed_guard.typed_behind_guard(guarded, subject, found.logits, config, Silent())
    engine = Engine(classifier, Site((), ()), config.seed, benign=subject.benign)
    search = prepare_search(subject, engine, found.logits, EXAMPLES)
    assert search is not None
    return Case(planted, guarded, search, table)


class Counted(NamedTuple):
    """One example under one kind of edit."""

    evaded: bool
    guarded: bool
    detected: bool
    random: bool


@torch.no_grad()
def _said(case: Case, text: str) -> tuple[int, int, bool]:
    """Class without and behind the guard, and alarm, of one text alone."""
    batch = dict(case.planted.tokenizer(text, return_tensors="pt"))
    behind = case.guarded(**batch)
    host = case.planted.model(**batch).logits
    return int(host.argmax()), int(behind.logits.argmax()), bool(behind.alarm)


def _wins(case: Case, i: int, answer: int) -> bool:
    wanted, label = int(case.search.wanted[i]), int(case.search.labels[i])
    return answer == wanted if wanted >= 0 else answer != label


def _cut(kind: str, material: Material, size: int) -> str:
    most = TYPED[kind].most(material)
    return TYPED[kind].apply(material, min(size, most)) if most else material.text


def _count(case: Case, kind: str, i: int) -> Counted:
    """Sizes in ascending order, first with the chosen words, then with another random draw."""
    own = case.search.chosen.materials[i]
    materials = [own] if kind in CONTROLS else [own, case.search.chosen.otherwise[i]]
    last, size, evaded = own.text, 16, False
    for material in materials:
        for words in (1, 2, 4, 8, 16):
            text = _cut(kind, material, words)
            if _wins(case, i, _said(case, text)[0]):
                last, size, evaded = text, words, True
                break
        if evaded:
            break
        last = text if material is own else last
    _, behind, alarm = _said(case, last)
    random = _cut(CONTROLS.get(kind, kind), case.search.random.materials[i], size)
    return Counted(evaded, _wins(case, i, behind), alarm, _said(case, random)[2])


def test_every_figure_is_what_one_text_after_the_other_gives(case: Case) -> None:
    labels, table = case.search.labels, case.table
    assert (np.bincount(labels) == EXAMPLES).all()
    each = {kind: [_count(case, kind, i) for i in range(len(labels))] for kind in KINDS}
    clean = [_said(case, str(text))[2] for text in case.search.texts]
    for kind, counted in each.items():
        rows = table[table["attack"] == kind].set_index("class")
        for c, name in enumerate(CLASSES):
            mine, row = [counted[i] for i in np.flatnonzero(labels == c)], rows.loc[name]
            for column in Counted._fields:
                assert row[column] == np.mean([getattr(one, column) for one in mine]), (kind, name)
            assert row["silent"] == np.mean([one.guarded and not one.detected for one in mine])
            assert row["excess"] == pytest.approx(row["detected"] - row["random"])
            assert row["untouched"] == np.mean(np.array(clean)[labels == c])
    # Classes have as many examples each, so that a figure of all is the mean over classes.
    by_class, whole = table[table["class"].notna()], table[table["class"].isna()]
    for column in (*Counted._fields[:2], "silent", "untouched"):
        wanted = by_class.groupby("attack")[column].mean()
        assert whole.set_index("attack")[column].to_dict() == pytest.approx(wanted.to_dict())
    some = np.any([[one.evaded for one in counted] for counted in each.values()], axis=0)
    quiet = np.any([[o.guarded and not o.detected for o in c] for c in each.values()], axis=0)
    of_any = whole[whole["attack"] == "any"].iloc[0]
    assert (of_any["evaded"], of_any["silent"]) == pytest.approx((some.mean(), quiet.mean()))
    assert np.isnan([of_any["detected"], of_any["random"], of_any["excess"]]).all()
    seen = [one for counted in each.values() for one in counted]
    assert 0 < np.mean([one.detected for one in seen if one.evaded]) < 1, "or little is tested"


def test_a_share_of_none_or_all_has_wilsons_interval(case: Case) -> None:
    rows = case.table[case.table["class"].notna()]
    certain = rows[rows["evaded"].isin([0.0, 1.0])]
    assert len(certain)
    ends = wilson(certain["evaded"].to_numpy() * EXAMPLES, np.full(len(certain), EXAMPLES))
    assert certain["evaded_low"].to_numpy() == pytest.approx(ends.low)
    assert certain["evaded_high"].to_numpy() == pytest.approx(ends.high)


def test_the_table_is_the_declared_one_and_holds_no_text(case: Case) -> None:
    assert TYPED_EDITS.problem(case.table) == ""
    kept = {str(value) for column in ("attack", "class") for value in case.table[column].dropna()}
    assert kept == {*KINDS, "any", *CLASSES}
