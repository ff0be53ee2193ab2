"""One output as two logits, and thresholds as shifts of logits: by arithmetic."""

import numpy as np
import pytest
import torch
from scipy.special import expit, logit, softmax

from synapse_audit.errors import UsageError
from synapse_audit.model.decision import Decision, one_output_classes
from synapse_audit.sweep.score import score

NAMES = ("ham", "spam")
Z = torch.tensor([[-3.0], [0.2], [1.3862944], [1.5], [40.0]])


def test_one_output_is_the_head_of_0_and_z() -> None:
    logits = Decision(one_output=True).logits(Z)
    assert logits.shape == (5, 2)
    assert (logits[:, 0] == 0).all()
    assert torch.equal(logits[:, 1:], Z)
    assert logits.double().softmax(1)[:, 1].numpy() == pytest.approx(
        expit(Z[:, 0].double().numpy())
    )
    assert Decision().logits(Z) is Z


def test_rows_and_biases_of_one_output() -> None:
    decision = Decision(one_output=True)
    assert decision.rows(np.array([[1.0, -2.0]])).tolist() == [[0, 0], [1, -2]]
    assert decision.rows(np.array([3.0])).tolist() == [0, 3]
    assert Decision().rows(np.array([3.0, 4.0])).tolist() == [3, 4]


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.79, 0.9])
def test_a_threshold_of_one_output_is_a_probability(threshold: float) -> None:
    decision = Decision(one_output=True).at(threshold, NAMES)
    said = decision.logits(Z).argmax(1).numpy()
    assert said.tolist() == (expit(Z[:, 0].numpy()) > threshold).astype(int).tolist()
    assert decision.model_logits(decision.logits(Z)).numpy() == pytest.approx(
        Decision(one_output=True).logits(Z).numpy(), abs=1e-6
    )


def test_of_two_classes_either_may_have_the_threshold() -> None:
    logits = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    share = softmax(logits.astype(np.float64), axis=1)
    for given, spam in (
        (0.7, share[:, 1] > 0.7),
        ({"spam": 0.7}, share[:, 1] > 0.7),
        ({"ham": 0.7}, ~(share[:, 0] > 0.7)),
    ):
        decided = Decision().at(given, NAMES).logits(torch.from_numpy(logits))
        assert (decided.argmax(1).numpy() == spam).all()


def test_of_more_classes_a_threshold_holds_against_each_rival() -> None:
    names = ("a", "b", "c")
    logits = 2 * np.random.default_rng(1).normal(size=(500, 3)).astype(np.float32)
    share = softmax(logits.astype(np.float64), axis=1)
    decision = Decision().at({"b": 0.8, "c": 0.3}, names)
    assert decision.thresholds == (0.5, 0.8, 0.3)
    said = decision.logits(torch.from_numpy(logits)).argmax(1).numpy()
    odds = np.array([1.0, 4.0, 3 / 7])
    assert (said == (share / odds).argmax(axis=1)).all()
    alone = Decision().at({"b": 0.8}, names).logits(torch.from_numpy(logits)).argmax(1).numpy()
    rivals = np.maximum(share[:, 0], share[:, 2])
    assert ((alone == 1) == (share[:, 1] / (share[:, 1] + rivals) > 0.8)).all()


@pytest.mark.parametrize(
    ("given", "names", "said"),
    [
        (0.8, ("a", "b", "c"), "given for 3 classes; expected CLASS=0.8"),
        ({"spma": 0.8}, NAMES, "did you mean 'spam'"),
        ({"spam": 1.0}, NAMES, "threshold 1 for 'spam' given"),
        (float("nan"), NAMES, "threshold nan for 'spam'"),
        ({"spam": 0.3, "ham": 0.6}, NAMES, "thresholds for both classes given"),
    ],
)
def test_impossible_thresholds(given: object, names: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("(", r"\(")):
        Decision().at(given, names)  # type: ignore[arg-type]


def test_the_rule_in_words() -> None:
    assert Decision().in_words(NAMES) == ""
    one = Decision(one_output=True)
    assert one.in_words(NAMES) == "'spam' where its probability is above 0.5, else 'ham'"
    assert (
        Decision().at({"ham": 0.9}, NAMES).in_words(NAMES)
    ) == "'ham' where its probability is above 0.9, else 'spam'"
    assert "'b' 0.8; 0.5 for the others" in Decision().at({"b": 0.8}, ("a", "b", "c")).in_words(
        ("a", "b", "c")
    )


def test_scores_decide_at_the_threshold_and_keep_the_models_probabilities() -> None:
    decision = Decision(one_output=True).at(0.8, NAMES)
    changed = decision.logits(Z + 1.0)[None]
    found = score(changed, decision.logits(Z), torch.tensor([0, 1, 1, 1, 0]), 0, decision)
    share, before = expit(Z[:, 0].double().numpy() + 1), expit(Z[:, 0].double().numpy())
    assert found["predicted"][0].tolist() == (share > 0.8).astype(int).tolist()
    own = np.where([True, False, False, False, True], 1 - share, share)
    assert found["probability"][0] == pytest.approx(own, abs=1e-6)
    sign = np.array([-1, 1, 1, 1, -1])
    away = sign * (Z[:, 0].numpy() + 1 - logit(0.8))
    assert found["margin"][0] == pytest.approx(away, abs=1e-5)
    assert found["benign"][0] == pytest.approx(1 - share, abs=1e-6)
    assert found["confidence"][0] == pytest.approx(np.where(share > 0.8, share, 1 - share))
    kl = before * np.log(before / share) + (1 - before) * (
        np.log1p(-before + 0.0, where=before < 1, out=np.full(5, -40.0))
        - np.log1p(-share + 0.0, where=share < 1, out=np.full(5, -41.0))
    )
    assert found["kl"][0][:4] == pytest.approx(kl[:4], rel=1e-4)


def test_names_of_one_output() -> None:
    assert one_output_classes("spam") == (("not spam", "spam"), (True, False))
    assert one_output_classes(None) == (("negative", "positive"), (True, True))
