"""Attacks on the input: closed forms on a linear model, and what every attack owes its host."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from synapse_audit import demo
from synapse_audit.artifacts import Cell
from synapse_audit.errors import UsageError
from synapse_audit.model import Batch, Classifier, Encoded, Family
from synapse_audit.plan import FULL, cheapest
from synapse_audit.plan.inputs import BUILDERS
from synapse_audit.sweep import Engine, Site
from synapse_audit.sweep.clean import CleanStates, clean_pass
from synapse_audit.sweep.inputs import ATTACKS, attacked, deletion, input_logits, passes
from synapse_audit.sweep.runners import RUNNERS
from synapse_audit.sweep.text import cross_entropy_ascent, read_text

from .rigs import Rig

WIDTH, BEGIN, END = 6, 1, 2
BASE = Cell("input", "fgsm", "embeddings", strength=0.2)
CELLS = (
    BASE,
    replace(BASE, unit="absolute"),
    replace(BASE, operator="pgd", steps=4),
    replace(BASE, operator="pgd", target="cheer"),
    replace(BASE, operator="noise"),
    replace(BASE, operator="deletion", strength=2.0),
    replace(BASE, operator="deletion", strength=2.0, draw=1),
)


class Sum(nn.Module):
    """Adds every other token that is no padding to the first one."""

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        total = (states * mask[..., None]).sum(1, keepdim=True)
        return torch.cat([total, states[:, 1:]], dim=1)


class Linear(nn.Module):
    """z = W Σ_tokens e + b: every attack has a closed form."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            self.words = nn.Embedding(12, WIDTH)
            self.norm = nn.Identity()
            self.blocks = nn.ModuleList([Sum()])
            self.out = nn.Linear(WIDTH, n_classes)
        self.requires_grad_(True)

    def get_input_embeddings(self) -> nn.Module:
        return self.words

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        states = self.norm(self.words(input_ids))
        mask = (input_ids > 0).long() if attention_mask is None else attention_mask
        logits: Tensor = self.out(self.blocks[0](states, mask)[:, 0])
        return logits


def _encode(inputs: Sequence[Any]) -> Encoded:
    rows = [[BEGIN, *map(int, str(text).split()), END] for text in inputs]
    lengths = np.array([len(row) for row in rows])
    return Encoded(tuple({"input_ids": row} for row in rows), lengths, 0)


def _collate(features: Sequence[Mapping[str, Any]]) -> Batch:
    longest = max(len(row["input_ids"]) for row in features)
    rows = [row["input_ids"] + [0] * (longest - len(row["input_ids"])) for row in features]
    ids = torch.tensor(rows)
    return {"input_ids": ids, "attention_mask": (ids > 0).long()}


FAMILY = Family("linear", (), "norm", "blocks", "out", lambda m, x: m.out(x))
TEXTS = ("3 4 5", "6", "7 8 9 10 11", "3 3 9", "")


def _linear(n_classes: int) -> tuple[Engine, CleanStates, Linear]:
    model = Linear(n_classes)
    names = tuple("abcdef"[:n_classes])
    classifier = Classifier.wrap(
        model, classes=names, encoder=_encode, collator=_collate, family=FAMILY
    )
    batch = classifier.collate(classifier.encode(TEXTS), range(len(TEXTS)))
    clean = clean_pass(classifier, batch, np.arange(len(TEXTS)), None)
    return Engine(classifier, Site((), ()), 0), clean, model


def _closed_form(model: Linear, clean: CleanStates, cell: Cell) -> np.ndarray:
    """Every number of every word moves by ±ε · RMS against the clean prediction, in NumPy."""
    assert cell.strength is not None
    weight, bias = (p.detach().double().numpy() for p in (model.out.weight, model.out.bias))
    table = model.words.weight.detach().double().numpy()
    rows = []
    for text, logits in zip(TEXTS, clean.logits.double().numpy(), strict=True):
        words = table[[int(word) for word in text.split()]]
        own = int(logits.argmax()) if cell.target is None else "abcdef".index(cell.target)
        share = np.exp(logits - logits.max())
        slope = weight.T @ (share / share.sum()) - weight[own]
        side = 1 if cell.target is None else -1
        unit = np.sqrt((words**2).mean()) if words.size else 0.0
        step = side * cell.strength * unit * np.sign(slope)
        total = table[BEGIN] + table[END] + (words + step).sum(0)
        rows.append(weight @ total + bias)
    return np.array(rows)


@pytest.mark.parametrize("target", [None, "a", "b", "c"])
def test_fgsm_on_a_linear_model_is_the_closed_form(target: str | None) -> None:
    engine, clean, model = _linear(3)
    cell = replace(BASE, target=target)
    found = input_logits(engine, clean, cell).numpy()
    np.testing.assert_allclose(found, _closed_form(model, clean, cell), atol=1e-4)


@pytest.mark.parametrize("target", [None, "a", "b"])
def test_pgd_on_a_linear_model_of_two_classes_is_the_closed_form(target: str | None) -> None:
    """Step k is fgsm at 2.5 k ε / steps, at most ε; the first one that the attack wants stands."""
    engine, clean, model = _linear(2)
    cell = replace(BASE, operator="pgd", target=target)
    found = input_logits(engine, clean, cell).numpy()
    shares = [min(1.0, 0.25 * k) for k in range(11)]
    steps = np.array([_closed_form(model, clean, replace(cell, strength=0.2 * s)) for s in shares])
    said = steps.argmax(-1)
    reached = said != said[0] if target is None else said == "ab".index(target)
    reached[-1] = True
    first = reached.argmax(0)
    assert (first < 10).sum() > 0, "some stop before the last step"
    np.testing.assert_allclose(found, steps[first, np.arange(len(first))], atol=1e-4)


def test_pgd_stays_within_its_bounds_and_off_special_tokens() -> None:
    engine, clean, model = _linear(3)
    seen: list[Tensor] = []
    look = model.norm.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    input_logits(engine, clean, replace(BASE, operator="pgd", strength=0.02))
    look.remove()
    moved = (seen[-1] - seen[0]).detach()
    text = read_text(engine, clean)
    assert not moved[~text.editable].any()
    limits = (0.02 * text.unit)[:, None].expand(text.editable.shape)[text.editable]
    assert (moved[text.editable].abs().amax(-1) <= limits * (1 + 1e-5)).all()
    assert moved[text.editable].abs().amax() > 0


def test_attacks_together_give_what_each_gives_alone(rig: Rig) -> None:
    """They share the gradient that they begin with."""
    with rig.engine() as engine:
        clean = rig.clean(engine, range(6))
        together = attacked(engine, clean, CELLS)
        for cell, found in zip(CELLS, together, strict=True):
            torch.testing.assert_close(found, input_logits(engine, clean, cell))


def test_fgsm_changes_the_text_by_epsilon_of_its_own_length() -> None:
    engine, clean, model = _linear(3)
    seen: list[Tensor] = []
    look = model.norm.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    input_logits(engine, clean, BASE)
    look.remove()
    kept = read_text(engine, clean).editable[..., None]
    length = ((seen[0] * kept) ** 2).sum((1, 2)).sqrt()
    change = ((seen[-1] - seen[0]) ** 2).sum((1, 2)).sqrt()
    torch.testing.assert_close(change, 0.2 * length, atol=1e-5, rtol=1e-4)


def test_deletion_takes_the_tokens_that_matter_most() -> None:
    engine, clean, model = _linear(2)
    for n in (1, 2, 99):
        cell = replace(BASE, operator="deletion", strength=float(n))
        found = input_logits(engine, clean, cell)
        for row, text in enumerate(TEXTS):
            words = [int(word) for word in text.split()]
            own = int(clean.logits[row].argmax())
            slope = (model.out.weight[1 - own] - model.out.weight[own]).detach()
            scores = [abs(float(slope @ model.words.weight[word].detach())) for word in words]
            order = np.argsort([-score for score in scores], kind="stable")
            kept = [BEGIN, *(words[i] for i in sorted(order[n:])), END]
            expected = model.out(model.words.weight[kept].sum(0))
            torch.testing.assert_close(found[row], expected.detach(), atol=1e-4, rtol=0)


def test_random_deletions_are_nested_and_differ_between_draws() -> None:
    engine, clean, _ = _linear(2)
    gone: dict[tuple[int, int], Tensor] = {}
    hidden = clean.batch["attention_mask"]

    def count(n: int, draw: int) -> Tensor:
        masks: list[Tensor] = []
        block = engine.classifier.blocks[0]
        look = block.register_forward_pre_hook(lambda _, given: masks.append(given[1]))
        cell = replace(BASE, operator="deletion", strength=float(n), draw=draw)
        input_logits(engine, clean, cell)
        look.remove()
        return (hidden - masks[-1]).bool()

    for draw in range(3):
        for n in (1, 2, 3):
            gone[draw, n] = count(n, draw)
        for few, more in pairwise(gone[draw, n] for n in (1, 2, 3)):
            assert not (few & ~more).any()
        assert gone[draw, 2].sum(1).tolist() == [2, 1, 2, 2, 0]
    assert any(not torch.equal(gone[0, 1], gone[draw, 1]) for draw in (1, 2))


def test_direction_is_the_gradient_of_cross_entropy_without_its_vanishing_factor() -> None:
    logits = torch.tensor([[1.0, 0.5, -2.0], [0.0, 3.0, 1.0]], requires_grad=True)
    own = torch.tensor([0, 1])
    nn.functional.cross_entropy(logits, own, reduction="sum").backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    rest = 1 - logits.detach().softmax(-1).gather(1, own[:, None])
    found = cross_entropy_ascent(logits.detach(), own)
    torch.testing.assert_close(found, logits.grad / rest)
    sure = cross_entropy_ascent(torch.tensor([[90.0, 0.0, 1.0]]), torch.tensor([0]))
    assert sure[0, 0] == -1 and sure[0, 1:].sum() == pytest.approx(1), "does not vanish"


@pytest.mark.unchecked
@pytest.mark.parametrize("cell", CELLS, ids=lambda c: f"{c.operator}-{c.target or c.parameter}")
def test_a_text_alone_gives_what_it_gives_in_a_padded_batch(family_rig: Rig, cell: Cell) -> None:
    with family_rig.engine() as engine:
        together = RUNNERS[FULL](engine, family_rig.clean(engine, range(8)), [cell])[0]
        assert not engine.classifier.collate(family_rig.encoded, range(8))["attention_mask"].all()
        for row in range(8):
            alone = RUNNERS[FULL](engine, family_rig.clean(engine, [row]), [cell])[0]
            torch.testing.assert_close(alone[0], together[row], atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: f"{c.operator}-{c.target or c.parameter}")
def test_an_attack_is_repeatable_and_leaves_its_host_unharmed(rig: Rig, cell: Cell) -> None:
    parameters = list(rig.classifier.model.parameters())
    with rig.engine() as engine, rig.classifier.unharmed():
        clean = rig.clean(engine, range(6))
        plain = engine.classifier.logits(clean.batch)
        one, two = (RUNNERS[FULL](engine, clean, [cell]) for _ in range(2))
        assert torch.equal(one, two)
        assert not torch.equal(one[0], clean.logits)
        assert torch.equal(engine.classifier.logits(clean.batch), plain)
    assert all(p.grad is None and not p.requires_grad for p in parameters)


def test_weights_that_want_gradients_get_none() -> None:
    engine, clean, model = _linear(2)
    for cell in (BASE, replace(BASE, operator="pgd"), replace(BASE, operator="deletion")):
        input_logits(engine, clean, cell)
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_nothing_is_left_after_an_exception(
    rig: Rig, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig.engine() as engine, rig.classifier.unharmed():
        clean = rig.clean(engine, range(3))

        def fail(*_: Any, **__: Any) -> Any:
            raise error

        with monkeypatch.context() as patch, pytest.raises(error):
            patch.setattr(rig.classifier.blocks[-1], "forward", fail)
            input_logits(engine, clean, BASE)
        assert torch.equal(engine.classifier.logits(clean.batch), clean.logits)


def test_an_epsilon_of_nothing_changes_nothing(rig: Rig) -> None:
    with rig.engine() as engine:
        clean = rig.clean(engine, range(4))
        for name in ATTACKS:
            cell = replace(BASE, operator=name, strength=0.0)
            found = input_logits(engine, clean, cell)
            torch.testing.assert_close(found, clean.logits, atol=1e-4, rtol=0)


def test_the_loss_is_of_the_clean_prediction_not_of_the_label(rig: Rig) -> None:
    """An attack cannot know the labels: the clean states hold none."""
    with rig.engine() as engine:
        clean = rig.clean(engine, range(8))
        said = clean.logits.argmax(-1)
        before = clean.logits.gather(1, said[:, None]) - clean.logits.mean(1, keepdim=True)
        found = input_logits(engine, clean, BASE)
        after = found.gather(1, said[:, None]) - found.mean(1, keepdim=True)
    assert (after < before).all()


def test_a_model_without_word_embeddings_is_attacked_at_layer_zero() -> None:
    engine, clean, model = _linear(2)
    expected = input_logits(engine, clean, BASE)
    model.get_input_embeddings = lambda: None  # type: ignore[method-assign, assignment, return-value]
    assert read_text(engine, clean).module is model.norm
    torch.testing.assert_close(input_logits(engine, clean, BASE), expected)


def test_without_an_attention_mask_the_embedding_is_deleted() -> None:
    engine, clean, _ = _linear(2)
    unmasked = {"input_ids": clean.batch["input_ids"]}
    for n in (1, 2, 99):
        cell = replace(BASE, operator="deletion", strength=float(n))
        found = deletion(replace(read_text(engine, clean), batch=unmasked), cell)
        torch.testing.assert_close(found.detach(), input_logits(engine, clean, cell))


def test_pgd_does_no_less_than_fgsm_on_the_bundled_model() -> None:
    classifier = Classifier.load(demo.bundled_model())
    rows = pd.read_csv(demo.bundled_data(), dtype=str, keep_default_na=False)
    texts = sorted(rows["text"][:300], key=len)[:120]
    batch = classifier.collate(classifier.encode(texts), range(len(texts)))
    clean = clean_pass(classifier, batch, np.arange(len(texts)), None)
    engine, said = Engine(classifier, Site((), ()), 0), clean.logits.argmax(-1)
    changed = {
        name: (input_logits(engine, clean, replace(BASE, operator=name)).argmax(-1) != said).sum()
        for name in ("noise", "fgsm", "pgd")
    }
    assert changed["noise"] < changed["fgsm"] <= changed["pgd"]


def test_every_attack_has_cells_and_runs_on_full() -> None:
    assert set(BUILDERS) == set(ATTACKS)
    assert cheapest(BASE, 4, frozenset({"stream", "suffix"})) == FULL


def test_passes_count_gradients() -> None:
    assert passes(Cell("neuron", "mean", "block_output")) == 1
    assert passes(replace(BASE, operator="noise")) == 1
    assert passes(replace(BASE, operator="deletion", draw=0)) == 1
    assert passes(BASE) == passes(replace(BASE, operator="deletion")) == 3.5
    assert passes(replace(BASE, operator="pgd", steps=4)) == 11
    assert passes(replace(BASE, operator="pgd")) == 26


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (replace(BASE, operator="fgms"), "did you mean 'fgsm'"),
        (replace(BASE, strength=None), "without a strength"),
        (replace(BASE, target="nobody"), "target 'nobody' given"),
    ],
)
def test_bad_cells_say_what_is_wrong(rig: Rig, cell: Cell, said: str) -> None:
    with rig.engine() as engine, pytest.raises(UsageError, match=said):
        input_logits(engine, rig.clean(engine, [0]), cell)
