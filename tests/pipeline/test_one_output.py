"""Heads with one output and one label of several, from the files to the tables."""

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from only_findings import only_findings
from scipy.special import expit
from tiny import CLASSES, Tiny, save, tiny_classifier, tiny_rows
from torch import nn

from synapse_audit.compare.joint import own_value
from synapse_audit.compare.per_example import Examples, NotPaired, contribution
from synapse_audit.config import make_config
from synapse_audit.errors import DataError, ModelError, UsageError
from synapse_audit.model import Classifier
from synapse_audit.pipeline.audit import audit
from synapse_audit.pipeline.stages import read_subject, subject
from synapse_audit.store import AuditResult
from synapse_audit.summary import walk

pytestmark = pytest.mark.unchecked

GRID = {
    "fractions": (0.5,),
    "layer_fractions": (),
    "draws": 2,
    "budgets": (0.1, 1.0),
    "columns": (0.5, 1.0),
    "logit_noise": (),
    "edits": ("universal", "balanced", "row_swap", "row_scale"),
    "constants": (2.0,),
    "rankings": ("probe",),
    "compared": ("activation_gradient",),
}


def narrowed(tiny: Tiny, path: str, row: torch.Tensor, bias: torch.Tensor, name: str) -> Tiny:
    """The classifier with a head of one row."""
    head = tiny.model.get_submodule(path)
    head.weight, head.bias = nn.Parameter(row[None].clone()), nn.Parameter(bias[None].clone())
    head.out_features = 1
    tiny.model.config.id2label = {0: name}
    tiny.model.config.label2id = {name: 0}
    return tiny


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RoBERTa-shaped guard: one output for "rage", and rows of two classes, unequal in size."""
    folder, tiny = tmp_path_factory.mktemp("guard"), tiny_classifier("roberta", 1)
    head = tiny.model.get_submodule("classifier.out_proj")
    at = CLASSES.index("rage")
    row = head.weight[at] - head.weight.mean(0)
    made = narrowed(tiny, "classifier.out_proj", row.detach(), head.bias[at].detach() - 4, "rage")
    save(made, folder / "model")
    rows = tiny_rows()
    rows["label"] = np.where(rows["label"] == "rage", "rage", "fine")
    rows.to_csv(folder / "rows.csv", index=False)
    return folder


def options(folder: Path, **more: Any) -> dict[str, Any]:
    held = {"model": str(folder / "model"), "data": str(folder / "rows.csv"), "preset": "quick"}
    return held | {"grid": GRID, "resamples": 100, "exact": True} | more


@pytest.fixture(scope="module")
def result(guard: Path) -> AuditResult:
    config = make_config(options(guard, threshold="0.7", benign="fine"))
    with only_findings("calibration", "certificates", "detection", "operating"):
        return audit(config, guard / "run")


def probability(guard: Path, texts: list[str]) -> np.ndarray:
    """σ(z) by the model alone."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(guard / "model")
    read = AutoTokenizer.from_pretrained(guard / "model")
    with torch.no_grad():
        z = model(**read(texts, padding=True, return_tensors="pt")).logits[:, 0]
    return expit(z.double().numpy())


def test_a_guard_decides_at_its_threshold(guard: Path, result: AuditResult) -> None:
    assert result.manifest["decision"] == {
        "rule": "'rage' where its probability is above 0.7, else 'fine'",
        "outputs": 1,
        "label": None,
        "thresholds": {"fine": 0.5, "rage": 0.7},
    }
    assert result.manifest["config"]["threshold"] == 0.7
    (warning,) = (w for w in result.manifest["warnings"] if "one output" in w)
    assert "taken for the logit of a sigmoid ('rage' where" in warning
    assert "does not say what 'fine' is called: --class-names" in warning
    assert result.summary["classes"] == ["fine", "rage"]
    subject = read_subject(make_config(options(guard, threshold="0.7")))
    share = probability(guard, list(subject.data.inputs))
    table = result.predictions
    assert (table["predicted"] == (share > 0.7)).all()
    assert ((share > 0.5) != (share > 0.7)).sum() > 0, "or the threshold is not tested"
    own = np.where(table["label"] == 1, share, 1 - share)
    assert table["probability"].to_numpy() == pytest.approx(own, abs=1e-5)
    assert expit(table["logit_1"]).to_numpy() == pytest.approx(share, abs=1e-5)
    assert (table["logit_0"] == 0).all()


def test_its_tables_hold_together(result: AuditResult) -> None:
    checks = result.findings["certificates"]["checks"]
    assert len(checks) > 10 and checks["changed"].sum() == 0
    budgets = result.effects[result.effects["site"] == "head_weight"]
    relative = budgets[budgets["operator"].isin(["push", "bias", "universal", "balanced"])]
    norm = relative["budget_l2"] / relative["strength"]
    assert norm.to_numpy() == pytest.approx(norm.iloc[0], rel=1e-4), "the one row's norm"
    assert set(relative["target"]) == {"fine", "rage"}
    scaled = budgets[budgets["operator"] == "row_scale"]
    assert {*scaled["source"].dropna(), *scaled["target"].dropna()} == {"rage"}
    swapped = result.effects[result.effects["operator"] == "row_swap"]["flip_rate"]
    assert swapped.min() > 0.5
    curve = result.findings["operating"]["curve"]
    at = curve[curve["current"]].iloc[0]
    evaluated = result.predictions[result.predictions["split"] == "evaluate"]
    assert at["predicted"] == (evaluated["predicted"] == 1).sum()
    missed = result.summary["detection"]["missed_alarm"]["value"]
    assert at["recall"] == pytest.approx(1 - missed)
    ranked = result.rankings[result.rankings["method"] == "activation_gradient"]
    spread = ranked.groupby(["ranked_for", "layer"])["score"].std()
    assert (spread.loc[["fine"]] > 0).all(), "class 0 has no gradient of its own"


def test_each_example_gives_what_the_summary_says(result: AuditResult) -> None:
    """Else two such models are compared as if they had other examples."""
    examples, found = Examples(result), {}
    weights = examples.table["weight"].to_numpy()
    for keys, figure in walk(result.summary):
        with suppress(NotPaired):
            found[keys] = own_value(contribution(examples, keys), weights), figure.value
    assert {keys[0] for keys in found} >= {"calibration", "certificates", "clean", "detection"}
    assert {k: mine for k, (mine, _) in found.items()} == pytest.approx(
        {k: said for k, (_, said) in found.items()}, abs=1e-4
    )


def test_a_temperature_moves_probabilities_across_the_threshold(result: AuditResult) -> None:
    table = result.predictions
    table = table[table["split"] == "evaluate"]
    rows = result.effects[result.effects["operator"] == "temperature"]
    for row in rows.to_dict("records"):
        said = expit(table["logit_1"] / row["strength"]) > 0.7
        assert row["flip_rate"] == pytest.approx((said != (table["predicted"] == 1)).mean())


def test_labels_name_the_other_class(guard: Path, tmp_path: Path) -> None:
    def classes(labels: list[str], **more: Any) -> tuple[str, ...]:
        rows = tiny_rows()
        rows["label"] = np.where(rows["label"] == "rage", labels[1], labels[0])
        rows.to_csv(tmp_path / "rows.csv", index=False)
        held = options(guard, data=str(tmp_path / "rows.csv"), **more)
        return read_subject(make_config(held)).classifier.classes

    assert classes(["calm", "Rage"]) == ("calm", "rage")
    assert classes(["0", "1"]) == ("not rage", "rage")
    assert classes(["no", "yes"], class_names="no,yes") == ("no", "yes")
    with pytest.raises(DataError, match=r"one output is called 'rage'.*--class-names"):
        classes(["no", "yes"])
    with pytest.raises(UsageError, match="benign class 'clam' given; did you mean 'calm'"):
        classes(["calm", "rage"], benign="clam")


def test_class_names_may_be_given_again_behind_a_guard(
    guard: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A guard keeps the names of its run, so that the same command works with --guard."""

    def named(classifier: Classifier, _: str) -> Classifier:
        decision = replace(classifier.decision, unnamed=())
        return replace(classifier, classes=("fine", "rage"), decision=decision)

    monkeypatch.setattr(subject, "guarded_classifier", named)
    held = options(guard, guard="folder", class_names="fine,rage")
    assert subject.read_classifier(make_config(held)).classes == ("fine", "rage")
    with pytest.raises(UsageError, match="has its own: fine, rage"):
        subject.read_classifier(make_config(held | {"class_names": "no,rage"}))


def test_class_names_are_for_one_output_alone(tiny_folder: Path, tiny_csv: Path) -> None:
    held = {"model": str(tiny_folder), "data": str(tiny_csv), "class_names": "a,b"}
    with pytest.raises(UsageError, match="has its own: calm"):
        read_subject(make_config(held))
    with pytest.raises(UsageError, match="class_names: 'a' given; expected two different names"):
        make_config(held | {"class_names": "a"})
    with pytest.raises(UsageError, match="class_names: 5 given; expected two different names"):
        make_config(held | {"class_names": 5})
    with pytest.raises(UsageError, match="threshold"):
        make_config(held | {"threshold": "rage=high"})


def test_wrapped_modules_say_that_their_output_is_one(guard: Path) -> None:
    loaded = Classifier.load(str(guard / "model"))
    assert loaded.classes == ("not rage", "rage")
    again = Classifier.wrap(
        loaded.model, classes=("fine", "rage"), encoder=loaded.encoder, collator=loaded.collator,
        one_output=True,
    )  # fmt: skip
    texts = tiny_rows()["text"].tolist()[:8]
    share = probability(guard, texts)
    assert again.predict_proba(texts)[:, 1] == pytest.approx(share, abs=1e-5)
    assert loaded.at_threshold(0.7).predict(texts) == [
        "rage" if one > 0.7 else "not rage" for one in share
    ]
    with pytest.raises(ModelError, match="returns"):
        Classifier.wrap(
            loaded.model, classes=("a", "b"), encoder=loaded.encoder, collator=loaded.collator
        )


# ---- one label of several ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny BERT as a multi-label model."""
    folder, tiny = tmp_path_factory.mktemp("tagger"), tiny_classifier("bert")
    tiny.model.config.problem_type = "multi_label_classification"
    save(tiny, folder / "model")
    return folder


def tagged(folder: Path, how: str) -> Path:
    """Rows with one to two labels, as ``a|b``, as lists or as one column of 0 and 1 per label."""
    rows = tiny_rows()
    also = np.arange(len(rows)) % 3 == 0
    sets = [[own, "woe"] if two and own != "woe" else [own]
            for own, two in zip(rows["label"], also, strict=True)]  # fmt: skip
    frame, file = rows[["text"]].copy(), folder / f"{how}.parquet"
    if how == "columns":
        for name in CLASSES:
            frame[name] = [int(name in one) for one in sets]
    else:
        frame["labels"] = sets if how == "lists" else ["|".join(one) for one in sets]
    frame.to_parquet(file)
    return file


@pytest.mark.parametrize("how", ["joined", "lists", "columns"])
def test_one_label_is_an_audit_of_one_output(tagger: Path, how: str) -> None:
    held = {"model": str(tagger / "model"), "data": str(tagged(tagger, how)), "label": "woe"}
    subject = read_subject(make_config(held | {"threshold": "0.4", "preset": "quick"}))
    found, data = subject.classifier, subject.data
    assert found.classes == data.classes == ("not woe", "woe")
    rows = tiny_rows()
    present = {t: c == "woe" or i % 3 == 0 for i, (t, c) in enumerate(rows.itertuples(index=False))}
    assert data.labels.tolist() == [int(present[text]) for text in data.inputs]
    whole = tiny_classifier("bert").model
    at = CLASSES.index("woe")
    weight = whole.classifier.weight[at].detach().numpy()
    assert found.head_weight.tolist() == [[0.0] * 32, weight.tolist()]
    batch = found.collate(subject.encoded, range(5))
    with torch.no_grad():
        expected = whole(**batch).logits[:, at]
    shift = np.log(0.6 / 0.4)
    assert found.logits(batch)[:, 1].numpy() == pytest.approx(expected.numpy() + shift, abs=1e-5)


def test_a_label_that_is_not_there(tagger: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'rage'"):
        Classifier.load(str(tagger / "model"), label="rge")


def test_a_label_of_a_model_with_one_per_input(
    tiny_folder: Path, guard: Path, tmp_path: Path
) -> None:
    stated = tmp_path / "model"
    Classifier.load(str(tiny_folder)).model.save_pretrained(stated)
    config = json.loads((stated / "config.json").read_text())
    config["problem_type"] = "single_label_classification"
    (stated / "config.json").write_text(json.dumps(config))
    for folder, kind in ((stated, "single_label"), (guard / "model", "a model with one output")):
        with pytest.raises(UsageError, match=kind):
            Classifier.load(str(folder), label="rage")


def test_rows_that_hold_no_labels_of_the_model(tagger: Path) -> None:
    frame = pd.DataFrame({"text": ["a", "b"], "labels": ["woe|joy", ""]})
    frame.to_csv(tagger / "odd.csv", index=False)
    held = {"model": str(tagger / "model"), "data": str(tagger / "odd.csv"), "label": "woe"}
    with pytest.raises(DataError, match=r"label 'joy' in row 1 .* is none of the model's"):
        read_subject(make_config(held))
