"""The membership audit's rows, and what its attackers say of a tiny classifier."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score

from synapse_audit import load_data, make_config
from synapse_audit.errors import DataError, UsageError
from synapse_audit.model import Classifier
from synapse_audit.model.activations import Extraction, extract
from synapse_audit.pipeline.stages import Run, Subject, audit_membership, subject_of
from synapse_audit.pipeline.stages import membership as stage
from synapse_audit.pipeline.stages.membership import check_membership
from synapse_audit.probes import layer_statistics
from synapse_audit.progress import Silent
from synapse_audit.store import RunFolder
from synapse_audit.sweep import Engine, Site, tapped

DRAWS = 2


class Audited(NamedTuple):
    folder: Path
    subject: Subject
    engine: Engine
    found: Extraction

    def run(self, train: pd.DataFrame, name: str) -> tuple[Run, pd.DataFrame]:
        train.to_csv(self.folder / f"{name}.csv", index=False)
        config = make_config({
            "model": "m", "data": "d", "membership": str(self.folder / f"{name}.csv"),
        })  # fmt: skip
        run = Run(RunFolder.claim(self.folder / name), config, Silent())
        table = audit_membership(run, self.subject, self.engine, self.found)
        assert table is not None
        return run, table


@pytest.fixture(scope="module")
def audited(
    tiny_folder: Path, rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory
) -> Audited:
    classifier = Classifier.load(tiny_folder)
    subject = subject_of(classifier, load_data(rows, classes=classifier.classes))
    found = extract(classifier, subject.encoded, fit=subject.splits.fit)
    site = Site(layer_statistics(found.activations, subject.splits), found.others)
    engine = Engine(classifier, site, 0)
    return Audited(tmp_path_factory.mktemp("membership"), subject, engine, found)


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "DRAWS", DRAWS)
        patch.setattr(stage, "FRACTIONS", (0.5,))
        yield


@pytest.fixture(scope="module")
def table(audited: Audited, rows: pd.DataFrame) -> pd.DataFrame:
    """Training rows that differ from the others in the order of their words alone."""
    before = audited.engine.classifier.fingerprint()
    with tapped(audited.engine.classifier), audited.engine.classifier.unharmed():
        _, found = audited.run(_train(rows), "even")
    assert audited.engine.classifier.fingerprint() == before
    return found


def _train(rows: pd.DataFrame, extra: str = "") -> pd.DataFrame:
    """Other rows of the same kind: words in reverse order, with a word more."""
    texts = [
        " ".join([*reversed(text.split()), *([extra] if extra else [])]) for text in rows["text"]
    ]
    return rows.assign(text=texts)


def test_training_rows_with_a_word_of_their_own_are_told_apart(
    audited: Audited, rows: pd.DataFrame
) -> None:
    _, table = audited.run(_train(rows, "word149 word149 word149 word149"), "told")
    auc = {
        scope: roc_auc_score(part["member"], part["score"])
        for scope, part in table.query("selection == 'clean'").groupby("scope")
    }
    assert auc["inputs"] > 0.9  # the words alone say it
    assert max(auc[str(layer)] for layer in range(1, 4)) > 0.8
    assert auc["0"] == pytest.approx(0.5, abs=0.2)  # the first token's embedding is always the same


def test_both_sides_have_as_many_rows_of_every_class(audited: Audited, table: pd.DataFrame) -> None:
    for _, part in table.groupby(["scope", "selection", "attacker", "draw"]):
        counts = part.groupby(["label", "member"]).size().unstack()
        assert (counts[True] == counts[False]).all()
    clean = table.query("selection == 'clean' and scope == '1'")
    assert clean["row"].is_unique
    assert len(clean) == 2 * len(audited.subject.splits.evaluate)
    sets = table.query("selection == 'random'").groupby("attacker")["draw"].nunique()
    assert sets.to_dict() == {"refitted": DRAWS, "stale": DRAWS}


def test_the_loss_is_that_of_the_model(audited: Audited, table: pd.DataFrame) -> None:
    loss = table.query("scope == 'loss' and not member")
    rights = loss["right"].to_numpy(dtype=bool)
    data, found = audited.subject.data, audited.found
    logits = torch.from_numpy(found.logits.astype(np.float64))
    every = -torch.nn.functional.cross_entropy(
        logits, torch.from_numpy(data.labels), reduction="none"
    ).numpy()
    evaluate = audited.subject.splits.evaluate
    assert sorted(loss["score"]) == pytest.approx(sorted(every[evaluate]))
    assert rights.mean() == (found.logits.argmax(1) == data.labels)[evaluate].mean()


def test_silenced_states_come_from_the_silenced_model(table: pd.DataFrame) -> None:
    clean = table.query("scope == '3' and selection == 'clean'")
    top = table.query("selection == 'top' and attacker == 'refitted'")
    assert (clean["row"].to_numpy() == top["row"].to_numpy()).all()
    assert clean["right"].mean() > top["right"].mean()  # half of all neurons say nothing more


def test_rows_of_both_files_are_left_out_and_counted(audited: Audited, rows: pd.DataFrame) -> None:
    train = pd.concat([_train(rows), rows.iloc[:100]], ignore_index=True)
    run, table = audited.run(train, "overlap")
    (said,) = run.folder.manifest["warnings"]
    assert said.startswith("100 inputs of ") and "left out" in said
    evaluate = audited.subject.splits.evaluate
    known = {audited.subject.data.inputs[i] for i in evaluate} - set(rows["text"].iloc[:100])
    clean = table.query("scope == '1' and selection == 'clean'")
    assert (~clean["member"].to_numpy(dtype=bool)).sum() == len(known)


def test_a_file_that_is_the_audited_one_is_refused(audited: Audited, rows: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="not among the audited ones"):
        audited.run(rows, "same")


def test_windows_are_refused(audited: Audited) -> None:
    config = make_config({"model": "m", "data": "d", "membership": "x.csv", "window": 8})
    with pytest.raises(UsageError, match="--window"):
        check_membership(config, audited.subject)
