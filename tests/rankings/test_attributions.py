"""Attributions against Captum, against arithmetic, and against a model left as it was."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from synapse_audit.model import Batch, Classifier, Encoded, Family
from synapse_audit.model.hooks import forward_hooks
from synapse_audit.rankings.attributions import (
    Path as Line,
)
from synapse_audit.rankings.attributions import (
    attribute,
    mean_token,
    path_points,
    stratified,
)

ROWS = np.arange(0, 16, 2)
STEPS = 6


@pytest.fixture
def loaded(family_folder: Path, rows: pd.DataFrame) -> tuple[Classifier, Encoded, np.ndarray]:
    """A tiny classifier of each family, encoded rows, and a label each."""
    classifier = Classifier.load(family_folder)
    labels = np.array([classifier.classes.index(name) for name in rows["label"]])
    return classifier, classifier.encode(rows["text"].tolist()), labels


class FromEmbeddings(nn.Module):
    """The host model as a function of its embeddings' output, as Captum wants it."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier, self.model = classifier, classifier.model
        self.first = nn.Identity()

    def forward(self, embedded: Tensor, *inputs: Tensor) -> Tensor:
        states = self.first(embedded)
        batch = dict(zip(("input_ids", "attention_mask"), inputs, strict=True))
        with forward_hooks([(self.classifier.embeddings, lambda _: states)]):
            return self.model(**batch).logits


@torch.no_grad()
def _embedded(classifier: Classifier, batch: Batch) -> Tensor:
    seen: list[Tensor] = []
    with forward_hooks([(classifier.embeddings, seen.append)]):
        classifier.model(**batch)
    return seen[0]


def _captum(
    classifier: Classifier, batch: Batch, target: Tensor, baseline: Tensor | None
) -> Mapping[str, list[np.ndarray]]:
    reason = "Captum (and matplotlib, which it imports) is not installed: no oracle"
    attr = pytest.importorskip("captum.attr", reason=reason)
    host = FromEmbeddings(classifier)
    inputs = _embedded(classifier, batch)
    extra = (batch["input_ids"], batch["attention_mask"])
    # Captum runs its hooks on whatever the layer returns: a tensor or a tuple that starts with one.
    layers = [host.first, *classifier.blocks]
    options = {"target": target, "additional_forward_args": extra}
    start = None if baseline is None else baseline.expand_as(inputs)
    found: dict[str, list[np.ndarray]] = {"conductances": [], "gradients": []}
    for layer in layers:
        conductance = attr.LayerConductance(host, layer).attribute(
            inputs, baselines=start, n_steps=STEPS, **options
        )
        gradient = attr.LayerGradientXActivation(host, layer).attribute(inputs, **options)
        for name, value in (("conductances", conductance), ("gradients", gradient)):
            states = value[0] if isinstance(value, tuple) else value
            found[name].append(states[:, 0].detach().numpy())
    return found


@pytest.mark.parametrize("start", ["zero", "mean token"])
def test_both_attributions_are_those_of_captum(
    start: str, loaded: tuple[Classifier, Encoded, np.ndarray]
) -> None:
    classifier, encoded, labels = loaded
    baseline = None if start == "zero" else mean_token(classifier, encoded, ROWS)
    found = attribute(classifier, encoded, labels, ROWS, baseline=baseline, steps=STEPS)
    batch = classifier.collate(encoded, ROWS)
    wanted = _captum(classifier, batch, torch.as_tensor(labels[ROWS]), baseline)
    for name, layers in wanted.items():
        for ours, theirs in zip(getattr(found, name), layers, strict=True):
            # Ours ran in batches of other widths: rounding, magnified by the fitted heads.
            np.testing.assert_allclose(ours, theirs, atol=2e-4 * np.abs(theirs).max())


def test_the_final_layer_holds_the_whole_difference(
    loaded: tuple[Classifier, Encoded, np.ndarray],
) -> None:
    classifier, encoded, labels = loaded
    start = mean_token(classifier, encoded, ROWS)
    rough, fine = (
        attribute(classifier, encoded, labels, ROWS[:6], baseline=start, steps=steps)
        for steps in (10, 60)
    )
    assert np.abs(fine.gap).mean() < 0.6 * np.abs(rough.gap).mean()
    assert np.abs(fine.gap).mean() < 0.06 * np.abs(fine.span).mean()
    np.testing.assert_allclose(fine.conductances[-1].sum(axis=1) + fine.gap, fine.span, atol=1e-4)
    np.testing.assert_allclose(rough.span, fine.span, atol=1e-4)


def test_gradients_are_those_of_finite_differences(
    loaded: tuple[Classifier, Encoded, np.ndarray],
) -> None:
    classifier, encoded, labels = loaded
    found = attribute(classifier, encoded, labels, ROWS[:3], steps=1)
    batch = classifier.collate(encoded, ROWS[:3])
    target, layer, step = torch.as_tensor(labels[ROWS[:3]]), 2, 1e-2

    def logit(neuron: int, factor: float) -> Tensor:
        def hook(states: Tensor) -> Tensor:
            states = states.clone()
            states[:, 0, neuron] *= factor
            return states

        with forward_hooks([(classifier.layer_module(layer), hook)]):
            return classifier.logits(batch).double().gather(1, target[:, None])[:, 0]

    for neuron in range(0, 32, 5):
        slope = (logit(neuron, 1 + step) - logit(neuron, 1 - step)) / (2 * step)
        np.testing.assert_allclose(
            found.gradients[layer][:, neuron], slope.numpy(), rtol=0.02, atol=5e-3
        )


@pytest.mark.parametrize("grad", [True, False])
def test_the_model_is_as_it_was(grad: bool, loaded: tuple[Classifier, Encoded, np.ndarray]) -> None:
    classifier, encoded, labels = loaded
    batch = classifier.collate(encoded, ROWS)
    wants = [p.requires_grad for p in classifier.model.parameters()]
    before = classifier.logits(batch)
    with classifier.unharmed(), torch.set_grad_enabled(grad):
        attribute(classifier, encoded, labels, ROWS, steps=2)
    assert torch.equal(before, classifier.logits(batch))
    assert [p.requires_grad for p in classifier.model.parameters()] == wants
    assert all(p.grad is None for p in classifier.model.parameters())


def test_no_hook_is_left_after_a_crash(loaded: tuple[Classifier, Encoded, np.ndarray]) -> None:
    classifier, encoded, labels = loaded
    with classifier.unharmed(), pytest.raises(RuntimeError):
        attribute(classifier, encoded, labels + 100, ROWS)


def test_neither_order_nor_batches_matter(
    loaded: tuple[Classifier, Encoded, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, encoded, labels = loaded
    one = attribute(classifier, encoded, labels, ROWS, steps=3)
    done: list[int] = []
    monkeypatch.setattr("synapse_audit.rankings.attributions.TOKENS_PER_BATCH", 30)
    two = attribute(classifier, encoded, labels, ROWS[::-1], steps=3, progress=done.append)
    assert one.rows.tolist() == two.rows.tolist() == ROWS.tolist()
    assert sum(done) == len(ROWS)
    assert len(done) > 4
    for name in ("gradients", "conductances"):
        for a, b in zip(getattr(one, name), getattr(two, name), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-4 * np.abs(a).max())


# ---- a model whose answer is arithmetic ----------------------------------------------------------


class Product(nn.Module):
    """Embeds x as (x, 1); one block squares, the head multiplies: logit 0 = w · h²."""

    class Square(nn.Module):
        def forward(self, states: Tensor) -> Tensor:
            return states**2

    class Embed(nn.Module):
        def forward(self, values: Tensor) -> Tensor:
            return values[:, None].float()

    def __init__(self) -> None:
        super().__init__()
        self.embed = self.Embed()
        self.blocks = nn.ModuleList([self.Square()])
        self.out = nn.Linear(2, 2, bias=False)
        self.out.weight.data = torch.tensor([[3.0, -1.0], [0.0, 2.0]])
        self.requires_grad_(False)

    def forward(self, values: Tensor) -> Tensor:
        return self.out(self.blocks[0](self.embed(values))[:, 0])


def _product() -> tuple[Classifier, Encoded]:
    family = Family(
        name="product",
        model_types=(),
        embeddings="embed",
        blocks="blocks",
        output_layer="out",
        head=lambda model, pooled: model.out(pooled),
    )
    values = ((2.0, 1.0), (1.0, 3.0))

    def encode(inputs: object) -> Encoded:
        return Encoded(tuple({"values": v} for v in values), np.array([1, 1]), 0)

    def collate(features: object) -> Batch:
        return {"values": torch.tensor([f["values"] for f in features])}  # type: ignore[attr-defined]

    classifier = Classifier.wrap(
        Product(), classes=("a", "b"), encoder=encode, collator=collate, family=family
    )
    return classifier, classifier.encode(("x", "y"))


def test_by_hand() -> None:
    # F_0 = 3 x² − y²: gradient times activation is (6 x², −2 y²) at layer 0, (3 x², −y²) at 1;
    # along α · (x, y) the conductance of both layers is (3 x², −y²) in the limit.
    classifier, encoded = _product()
    found = attribute(classifier, encoded, np.array([0, 1]), np.array([0, 1]), steps=150)
    np.testing.assert_allclose(found.gradients[0], [[24, -2], [0, 36]], rtol=1e-5)
    np.testing.assert_allclose(found.gradients[1], [[12, -1], [0, 18]], rtol=1e-5)
    for layer in (0, 1):
        np.testing.assert_allclose(found.conductances[layer], [[12, -1], [0, 18]], rtol=0.02)
    np.testing.assert_allclose(found.span, [11, 18], rtol=1e-6)


def test_a_left_sum_by_hand() -> None:
    # The formula itself: gradient where the step begins, times how far the state moves.
    classifier, encoded = _product()
    found = attribute(classifier, encoded, np.array([0, 1]), np.array([0]), steps=3)
    a = path_points(3)
    left = (6 * 2 * a[:-1] * 2 * np.diff(a)).sum()
    assert found.conductances[0][0, 0] == pytest.approx(left, rel=1e-5)
    assert found.conductances[1][0, 0] == pytest.approx(3 * 4 * (a[-1] ** 2 - a[0] ** 2), rel=1e-5)


def test_the_path_runs_from_the_baseline_to_the_model_itself() -> None:
    classifier, encoded = _product()
    line = Line(
        classifier, classifier.collate(encoded, [0, 1]), np.array([0, 1]), torch.tensor([1.0, 2.0])
    )
    np.testing.assert_allclose(line.at(1.0).target, [11, 18])
    np.testing.assert_allclose(line.at(0.0).target, [-1, 8])
    np.testing.assert_allclose(line.at(0.5).states[0], [[1.5, 1.5], [1.0, 2.5]])


def test_the_mean_token_leaves_padding_out(
    loaded: tuple[Classifier, Encoded, np.ndarray],
) -> None:
    classifier, encoded, _ = loaded
    tokens = []
    for row in ROWS:
        batch = classifier.collate(encoded, [int(row)])
        tokens.append(_embedded(classifier, batch)[0])
    wanted = torch.cat(tokens).mean(0)
    np.testing.assert_allclose(mean_token(classifier, encoded, ROWS), wanted, atol=1e-5)


# ---- which examples ------------------------------------------------------------------------------


def test_classes_share_the_examples_equally_where_they_can() -> None:
    labels = np.repeat([0, 1, 2], [500, 20, 300])
    rows = np.arange(0, 820, 2)
    chosen = stratified(labels, rows, seed=0, most=100)
    assert np.bincount(labels[chosen]).tolist() == [45, 10, 45]
    assert set(chosen) <= set(rows)
    assert chosen.tolist() == sorted(set(chosen))
    assert chosen.tolist() == stratified(labels, rows, seed=0, most=100).tolist()
    assert chosen.tolist() != stratified(labels, rows, seed=1, most=100).tolist()


def test_few_rows_are_all_taken() -> None:
    labels, rows = np.array([0, 1, 1, 0, 2]), np.array([0, 1, 2, 4])
    assert stratified(labels, rows, seed=0).tolist() == [0, 1, 2, 4]
