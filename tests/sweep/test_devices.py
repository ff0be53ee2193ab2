"""The whole engine on stand-ins for accelerators says what it says on the CPU.

Once with the model on one of them, once with its first block on one and the rest on another. The
stand-in (``tests/devices.py``) refuses every operation that meets tensors of two devices, so that a
tensor left on the wrong one stops the test, wherever in the engine it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from devices import FIRST, SECOND, pretended, spread
from model.kinds import EXAMPLES, KINDS
from torch.nn.attention import SDPBackend, sdpa_kernel

from synapse_audit.artifacts import Cell, HeadEdit, ParameterChange, ParameterEdit
from synapse_audit.interventions.edits import Attacked, choose_flips, find_parts
from synapse_audit.interventions.operators import OPERATORS
from synapse_audit.model import Batch, Classifier, Encoded
from synapse_audit.model.families.known import family_for
from synapse_audit.plan import STREAM, SUFFIX, cheapest
from synapse_audit.rankings.attributions import attribute, mean_token
from synapse_audit.sweep import Engine, available_routes, tapped
from synapse_audit.sweep.pairs import may_pair
from synapse_audit.sweep.runners import RUNNERS
from synapse_audit.sweep.running import Chunk, run_chunk

from .rigs import Rig, make_rig, silence

pytestmark = pytest.mark.unchecked

Arrays = Mapping[str, np.ndarray]

CLASSES = ("a", "b", "c")
IDS = [0, 3, 4]
DEFAULT = {("bert", 2), ("llama", 1)}
"""What is run outside the proofs."""


def _wrapped(name: str, devices: int) -> Classifier:
    """A tiny model with its blocks on so many devices; on the CPU for 0."""
    kind = KINDS[name]
    model, batch = kind.build(), kind.batch()
    if name == "bert":
        model.set_attn_implementation("eager")  # the others: sdpa where there is a choice

    def collate(rows: Sequence[Mapping[str, int]]) -> Batch:
        return {n: values[[row["row"] for row in rows]] for n, values in batch.items()}

    options: dict[str, Any] = {"family": family_for(model.config), "collator": collate}
    options |= {"classes": CLASSES, "encoder": lambda inputs: _encoded(len(inputs))}
    if devices:
        spread(model, {"": FIRST})
    if devices == 2:
        found = Classifier.wrap(model, **options)
        paths = {id(module): path for path, module in model.named_modules()}
        later = {*found.blocks} - {found.blocks[0]} | {found.output_layer}
        spread(model, {paths[id(module)]: SECOND for module in later})
    return Classifier.wrap(model, **options)


def _encoded(n: int) -> Encoded:
    return Encoded(tuple({"row": i} for i in range(n)), np.ones(n, dtype=np.int64), 0)


def _everything(classifier: Classifier) -> Arrays:
    """All that the engine computes, on a few examples."""
    found: dict[str, np.ndarray] = {}
    with classifier.unharmed():
        rig = make_rig(classifier, _encoded(EXAMPLES), [0, 1, 2, 0])
        for layer, there in enumerate(rig.site.pooled):
            found[f"mean of layer {layer}"] = there.mean
            found[f"others in layer {layer}"] = rig.site.others[layer].mean
        for part in (_routes(rig), _attributions(rig), _flips(rig)):
            found |= dict(part)
    return found


def _routes(rig: Rig) -> Iterator[tuple[str, np.ndarray]]:
    """Logits on the two cheapest routes of each cell, and the scores of single pairs."""
    with tapped(rig.classifier) as tap:
        engine = Engine(rig.classifier, rig.site, 0, tap)
        clean = rig.clean(engine, range(EXAMPLES))
        yield "clean", clean.logits.cpu().numpy()
        fast = available_routes(rig.classifier, tap) if clean.rows_alone else frozenset({SUFFIX})
        paired = []
        for i, cell in enumerate(_cells(rig.classifier)):
            for route in sorted({_route(rig, cell, fast), _route(rig, cell, fast - {STREAM})}):
                logits = RUNNERS[route](engine, clean, [cell])
                yield f"{route} {i}: {cell.operator} at {cell.site}", logits.cpu().numpy()
                paired += [cell] if route == SUFFIX and may_pair(cell) else []
        if clean.rows_alone:  # single pairs are run nowhere else
            some = Chunk("", SUFFIX, tuple(c for c in paired if c.site == paired[0].site))
            wanted = np.indices((len(some.cells), EXAMPLES)).sum(axis=0) % 2 == 0
            yield from run_chunk(engine, clean, some, rig.labels, wanted).items()


def _route(rig: Rig, cell: Cell, able: frozenset[str]) -> str:
    c = rig.classifier
    return cheapest(cell, c.n_layers, able, causal=c.causal, resumable=c.resumable)


def _cells(classifier: Classifier) -> Iterator[Cell]:
    last = classifier.n_layers
    yield silence("mean", {last: IDS})
    yield from (silence(name, {last - 1: IDS, last: [1]}) for name in OPERATORS)
    yield from (silence("mean", {0: IDS}), silence("noise", {0: IDS, last: IDS}, "all"))
    for site in classifier.inner:
        yield silence("mean", {last: IDS}, site=site)
        yield silence("noise", {1: [2], last: IDS}, "all", site=site)
    yield from _edits(classifier)
    for operator in ("shift", "temperature", "noise"):
        yield Cell("logit", operator, "logits", strength=2.0, target="b")
    for attack in ("fgsm", "noise", "deletion"):
        yield Cell("input", attack, "embeddings", strength=1.0)
    yield Cell("input", "pgd", "embeddings", strength=1.0, steps=2)


def _edits(classifier: Classifier) -> Iterator[Cell]:
    """One of the head, added to it, and two of single weights, in the head and in a block."""
    weight = np.zeros_like(classifier.head_weight)
    weight[1] = np.linspace(-1, 1, weight.shape[1])
    edit = HeadEdit(weight, np.zeros(len(CLASSES), dtype=np.float32))
    yield Cell("weight", "push", "head_weight", strength=1.0, target="b", edit=edit)
    known = {id(p): name for name, p in classifier.model.named_parameters()}
    block = classifier.blocks[-1]
    inside = next(p for p in block.parameters() if p.ndim == 2)
    for parameter, at in ((classifier.output_layer.weight, None), (inside, classifier.n_layers)):
        index, after = np.array([0, 3]), np.array([2.0, -2.0], dtype=np.float32)
        change = ParameterChange(known[id(parameter)], index, np.zeros_like(after), after)
        yield Cell("weight", "flip", change.name, edit=ParameterEdit((change,), at))


def _attributions(rig: Rig) -> Iterator[tuple[str, np.ndarray]]:
    classifier, encoded = rig.classifier, rig.encoded
    start = mean_token(classifier, encoded, rig.rows)
    found = attribute(classifier, encoded, rig.labels, rig.rows, baseline=start, steps=2)
    yield from {"gap": found.gap, "span": found.span}.items()
    for layer, (gradients, shares) in enumerate(
        zip(found.gradients, found.conductances, strict=True)
    ):
        yield from {f"gradient {layer}": gradients, f"conductance {layer}": shares}.items()


def _flips(rig: Rig) -> Iterator[tuple[str, np.ndarray]]:
    """The bits that a search with gradients chooses, in the head and in the last block."""
    classifier = rig.classifier
    batch = classifier.collate(rig.encoded, range(EXAMPLES))
    said = classifier.logits(batch).argmax(1).cpu().numpy()
    shape = (EXAMPLES, classifier.output_layer.in_features)
    features = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    attacked = Attacked(classifier, batch, said, features, said)
    layers = [classifier.n_layers]
    for part in find_parts(classifier.model, classifier.output_layer, classifier.blocks, layers):
        for choice in choose_flips(attacked, part, ["fp32"], [1]):
            chosen = [(flip.entry, flip.bit) for flip in choice.flips]
            aim = f"{choice.selection} {choice.kind} {choice.target}"
            yield f"flips in {part.name}: {aim}", np.array(chosen)


@cache
def _on_the_cpu(name: str) -> Arrays:
    return _everything(_wrapped(name, 0))


@pytest.mark.parametrize(
    ("name", "devices"),
    [
        pytest.param(name, n, marks=() if (name, n) in DEFAULT else pytest.mark.proof)
        for name in KINDS
        for n in (1, 2)
    ],
)
def test_every_route_attribution_and_edit_is_the_same(name: str, devices: int) -> None:
    with sdpa_kernel(SDPBackend.MATH):  # the CPU's own kernel for attention rounds otherwise
        with pretended():
            classifier = _wrapped(name, devices)
            assert classifier.devices == (FIRST, SECOND)[:devices]
            found = _everything(classifier)
        expected = _on_the_cpu(name)
    assert list(found) == list(expected)
    for key, numbers in expected.items():
        # Where states branch to another device, gradients are summed in another order.
        summed = key.startswith(("gradient", "conductance"))
        close = 1e-5 * float(np.abs(numbers).max()) if summed else 1e-6
        np.testing.assert_allclose(found[key], numbers, atol=close, rtol=1e-6, err_msg=key)
