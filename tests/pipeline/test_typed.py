"""Typed edits against a planted classifier, of which arithmetic knows what each of them does."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from planted import Planted
from tiny import Tiny, save

from synapse_audit import load_data, make_config
from synapse_audit.errors import UsageError
from synapse_audit.interventions.typed import TYPED, Material
from synapse_audit.model import Classifier
from synapse_audit.model.activations import Extraction, extract
from synapse_audit.pipeline.stages import Run, Subject, attack_texts, subject_of
from synapse_audit.pipeline.stages.typed import check_attacks
from synapse_audit.pipeline.stages.typed_search import Asked, _tried_again
from synapse_audit.probes import layer_statistics
from synapse_audit.progress import Silent
from synapse_audit.store import RunFolder
from synapse_audit.sweep import Engine, Site
from synapse_audit.sweep.evasion import SIZES, Tried, Victims
from synapse_audit.sweep.saliency import substitutes, vocabulary

EXAMPLES = 5
BY_ONE_WORD = ("case", "homoglyphs", "spacing", "typos", "zero_width", "delete", "substitute")
"""Any of them makes the one word that says the class another one."""


class Attacked(NamedTuple):
    run: Run
    subject: Subject
    engine: Engine
    found: Extraction
    table: pd.DataFrame


@pytest.fixture(scope="module")
def attacked(plant: Callable[[str], Planted], tmp_path_factory: pytest.TempPathFactory) -> Attacked:
    planted = plant("single")
    folder = tmp_path_factory.mktemp("typed")
    classifier = Classifier.load(save(Tiny(planted.model, planted.tokenizer), folder / "model"))
    names = [classifier.classes[label] for label in planted.labels]
    data = folder / "rows.csv"
    pd.DataFrame({"text": planted.texts, "label": names}).to_csv(data, index=False)
    grid = {"typed_examples": EXAMPLES}
    config = make_config({
        "model": "m", "data": str(data), "attack": ("text",), "grid": grid, "benign": "plain"
    })  # fmt: skip
    rows = load_data(str(data), classes=classifier.classes)
    subject = subject_of(classifier, rows, benign="plain")
    found = extract(classifier, subject.encoded, fit=subject.splits.fit)
    site = Site(layer_statistics(found.activations, subject.splits), found.others)
    engine = Engine(classifier, site, 0, benign=subject.benign)
    run = Run(RunFolder.claim(folder / "run"), config, Silent())
    table = attack_texts(run, subject, engine, found)
    assert table is not None
    return Attacked(run, subject, engine, found, table)


def test_some_right_examples_of_every_class_are_attacked_in_every_way(attacked: Attacked) -> None:
    table = attacked.table
    assert (table.groupby(["attack", "selection", "label"]).size() == EXAMPLES).all()
    assert table.groupby(["attack", "selection"]).ngroups == 20
    evaluated = set(attacked.subject.splits.evaluate.tolist())
    assert set(table["example"]) <= evaluated
    assert (table["label"].to_numpy() == attacked.subject.data.labels[table["example"]]).all()


@pytest.mark.parametrize("attack", BY_ONE_WORD)
def test_one_chosen_word_makes_an_attack_benign(attacked: Attacked, attack: str) -> None:
    rows = attacked.table.query("attack == @attack and selection == 'chosen' and label > 0")
    assert rows["evaded"].all()
    assert (rows["size"] == 1).all()
    words = [len(str(attacked.subject.data.inputs[i]).split()) for i in rows["example"]]
    assert rows["queries"].tolist() == [1 + n for n in words]  # each word left out once
    assert (rows["answer"] == 0).all() and (rows["wanted"] == 0).all()


@pytest.mark.parametrize("attack", ["case", "delete"])
def test_a_random_word_does_so_when_its_turn_comes(attacked: Attacked, attack: str) -> None:
    rows = attacked.table.query("attack == @attack and selection == 'random' and label > 0")
    for row in rows.to_dict("records"):
        words = str(attacked.subject.data.inputs[int(row["example"])]).split()
        (marker,) = [i for i, word in enumerate(words) if "-" in word]
        seed = [0, 7, int(row["example"])]
        turn = list(np.random.default_rng(seed).permutation(len(words))).index(marker) + 1
        most = len(words) - (attack == "delete")
        reached = [size for size in SIZES if min(size, most) >= turn]
        assert row["evaded"] == bool(reached)
        assert not reached or row["size"] == reached[0]


def test_a_benign_text_is_given_the_word_of_another_class(attacked: Attacked) -> None:
    benign = attacked.table.query("selection == 'chosen' and label == 0").set_index("attack")
    for attack in ("append", "prepend", "substitute"):
        assert benign.loc[attack, "evaded"].all()
        assert (benign.loc[attack, "size"] == 1).all()
    for attack in ("case", "delete", "truncate", "zero_width"):  # no word, no other class
        assert not benign.loc[attack, "evaded"].any()


def test_the_answer_is_what_is_decided_at_the_threshold(attacked: Attacked) -> None:
    plain = attacked.subject.classifier
    texts = [str(text) for text in attacked.subject.data.inputs[:24]]
    of = np.arange(len(texts))
    for classifier, same in ((plain, True), (plain.at_threshold({"alpha": 0.6}), False)):
        answers = Asked(classifier, texts)(texts, of).argmax(axis=1)
        assert [classifier.classes[i] for i in answers] == classifier.predict(texts)
        assert (classifier.predict(texts) == plain.predict(texts)) == same


def test_no_text_is_kept(attacked: Attacked) -> None:
    kept = attacked.run.folder.read_table("typed")
    assert [str(kind) for kind in kept.dtypes if not pd.api.types.is_numeric_dtype(kind)] != []
    words = {word for text in attacked.subject.data.inputs for word in str(text).split()}
    texts = kept.select_dtypes(exclude=["number", "bool"])
    assert set(texts.columns) == {"attack", "selection"}
    assert not words & {value for column in texts for value in texts[column]}


def test_a_second_call_reads_what_the_first_wrote(attacked: Attacked) -> None:
    again = attack_texts(attacked.run, attacked.subject, attacked.engine, attacked.found)
    assert again is not None
    pd.testing.assert_frame_equal(again, attacked.table)


def test_a_gradient_names_the_best_substitute(attacked: Attacked) -> None:
    known = vocabulary(attacked.engine, ["up5", "beta-0", "gamma-0", "not a word", "never-seen"])
    assert set(known.words) >= {"up5", "beta-0", "gamma-0"} and "not a word" not in known.words
    texts = ["alpha-0 up5 down6", "up5 beta-0"]
    first, second = substitutes(attacked.engine, texts, ["beta", "gamma"], known)
    assert first == ("beta-0",) * 3
    assert second == ("gamma-0",) * 2


def test_no_word_is_its_own_substitute(attacked: Attacked) -> None:
    known = vocabulary(attacked.engine, ["beta-0", "up5"])
    assert substitutes(attacked.engine, ["beta-0 up5"], ["beta"], known) == [("up5", "beta-0")]


def test_only_texts_are_typed(attacked: Attacked) -> None:
    config, classifier = attacked.run.config, attacked.subject.classifier
    check_attacks(config, classifier)
    for changes, said in (
        ({"attack": ("txt",)}, "did you mean 'text'|expected one of"),
        ({"tokens": "ids"}, "token ids"),
        ({"window": 32}, "windows of texts"),
    ):
        with pytest.raises(UsageError, match=said):
            check_attacks(config.model_copy(update=changes), classifier)


def test_nobody_asked(attacked: Attacked, tmp_path: Path) -> None:
    config = attacked.run.config.model_copy(update={"attack": ()})
    run = Run(RunFolder.claim(tmp_path / "run"), config, Silent())
    assert attack_texts(run, attacked.subject, attacked.engine, attacked.found) is None


def test_where_no_chosen_edit_does_a_random_one_is_tried() -> None:
    """Every second text falls to random edits alone; questions of both are counted."""
    material = [Material("a b c", (), (), ()) for _ in range(3)]
    first = [Tried(True, 1.0, 2.0, 4, 1), *[Tried(False, np.nan, np.nan, 5, 0)] * 2]
    asked: list[list[int]] = []

    def ask(texts: Sequence[str], of: np.ndarray) -> np.ndarray:
        asked.append(of.tolist())
        return np.eye(2)[[int(i == 2) for i in of]]

    words = [Material("a b c", (2, 0, 1), (), ()) for _ in material]
    victims = Victims(words, np.zeros(3, np.int64), np.full(3, -1))
    found = _tried_again(first, victims, TYPED["case"], ask)
    assert found[0] == first[0]
    assert not found[1].evaded and found[1].queries == 5 + 3  # 1, 2 and all 3 words
    assert found[2].evaded and (found[2].size, found[2].queries) == (1.0, 6)
    assert asked == [[1, 2], [1], [1]]
