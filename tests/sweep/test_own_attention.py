"""DeBERTa's and MPNet's own attention: a row alone gives what plain hooks give, every operator.

Half of the examples are padded, and texts are longer than the distances with a bucket of their own.
"""

from functools import cache

import numpy as np
import pytest
import torch
from model.kinds import KINDS, Kind

from synapse_audit.interventions.operators import OPERATORS, SINGLE
from synapse_audit.model import HEAD_INPUT, INNER, Classifier
from synapse_audit.model.families.known import family_for
from synapse_audit.plan import FULL, STREAM, SUFFIX
from synapse_audit.sweep import supports_tap, tapped, why_no_tap
from synapse_audit.sweep.own_attention import own_attentions
from synapse_audit.sweep.pairs import run_pairs
from synapse_audit.sweep.runners import RUNNERS

from .rigs import Rig, make_rig, pad, random_tokens, silence

pytestmark = pytest.mark.unchecked

TOLERANCE = 1e-4
"""Float32 in another order of summation."""

ONE_TERM = {"content to position": ["c2p"], "position to content": ["p2c"], "content": []}
NAMES = ("deberta", "deberta-v2", "deberta-v2, as v3", "mpnet")
BUILDS: dict[str, Kind] = {name: KINDS[name] for name in NAMES} | {
    f"{name}, {term}": Kind(
        KINDS[name].model,
        KINDS[name].config,
        {**KINDS[name].options, "pos_att_type": used, "relative_attention": bool(used)},
        KINDS[name].batch,
    )
    for name in ("deberta", "deberta-v2")
    for term, used in ONE_TERM.items()
}
IDS = [0, 3, 4, 15]
LAST_TWO = ({2: IDS}, {3: IDS}, {2: IDS, 3: [1]})
EARLIER = ({0: IDS}, {1: IDS}, {1: [2], 2: IDS, 3: IDS})


@cache
def _rig(name: str) -> Rig:
    model = BUILDS[name].build()
    classifier = Classifier.wrap(
        model,
        classes=("a", "b", "c"),
        encoder=lambda inputs: random_tokens(len(inputs), 0),
        collator=pad,
        family=family_for(model.config),
    )
    return make_rig(classifier, classifier.encode([""] * 7))


@pytest.mark.parametrize("operator", sorted(OPERATORS))
@pytest.mark.parametrize("name", NAMES)
def test_every_operator(name: str, operator: str) -> None:
    rig = _rig(name)
    with rig.engine() as engine, rig.classifier.unharmed():
        clean = rig.clean(engine, rig.rows.tolist())
        assert clean.rows_alone and not clean.batch["attention_mask"].all()
        for neurons in (*LAST_TWO, *EARLIER):
            cell = silence(operator, neurons)
            reference = RUNNERS[FULL](engine, clean, [cell])
            for route in (STREAM, SUFFIX) if neurons in LAST_TWO else (SUFFIX,):
                fast = RUNNERS[route](engine, clean, [cell])
                torch.testing.assert_close(fast, reference, atol=TOLERANCE, rtol=0)
        if operator not in SINGLE:
            cell = silence(operator, EARLIER[2], "all")
            reference, fast = (RUNNERS[r](engine, clean, [cell]) for r in (FULL, SUFFIX))
            torch.testing.assert_close(fast, reference, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("site", [site for site in INNER if site != HEAD_INPUT])
@pytest.mark.parametrize("name", NAMES)
def test_every_site(name: str, site: str) -> None:
    rig = _rig(name)
    cells = [silence(o, {3: IDS}, site=site) for o in ("mean", "noise", "resample", "negate")]
    with rig.engine() as engine:
        clean = rig.clean(engine, rig.rows.tolist())
        reference = RUNNERS[FULL](engine, clean, cells)
        for route in (STREAM, SUFFIX):
            fast = RUNNERS[route](engine, clean, cells)
            torch.testing.assert_close(fast, reference, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("name", sorted({*BUILDS} - {*NAMES}))
def test_each_term_alone(name: str) -> None:
    rig, cells = _rig(name), [silence("zero", neurons) for neurons in LAST_TWO]
    with rig.engine() as engine:
        clean = rig.clean(engine, rig.rows.tolist())
        reference = RUNNERS[FULL](engine, clean, cells)
        fast = RUNNERS[STREAM](engine, clean, cells)
    torch.testing.assert_close(fast, reference, atol=TOLERANCE, rtol=0)
    assert (reference - clean.logits).abs().max() > 1e-2


@pytest.mark.parametrize("n_examples", [1, 7])
@pytest.mark.parametrize("name", NAMES)
def test_pairs_of_cell_and_example(name: str, n_examples: int) -> None:
    """One example: what the model hands to its blocks for all of them is not that example's."""
    rig = _rig(name)
    cells = [silence("zero", neurons) for neurons in (*LAST_TWO, *EARLIER)]
    wanted = np.random.default_rng(0).random((len(cells), n_examples)) < 0.6
    wanted[:, 0] = True
    with rig.engine() as engine:
        clean = rig.clean(engine, rig.rows[:n_examples].tolist())
        reference = RUNNERS[FULL](engine, clean, cells)[torch.from_numpy(wanted)]
        fast = run_pairs(engine, clean, cells, wanted)
    torch.testing.assert_close(fast, reference, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_the_tap_changes_nothing_by_itself_and_is_gone_afterwards(name: str) -> None:
    classifier = _rig(name).classifier
    batch = classifier.collate(_rig(name).encoded, [0, 1, 2])
    plain, modules = classifier.logits(batch), list(own_attentions(classifier))
    assert len(modules) == classifier.n_layers
    with pytest.raises(KeyboardInterrupt), tapped(classifier) as tap:
        assert tap is not None
        assert torch.equal(classifier.logits(batch), plain)
        assert tap.calls == classifier.n_layers
        raise KeyboardInterrupt
    assert not any("forward" in vars(module) for module in modules)
    classifier.logits(batch)
    assert tap.calls == classifier.n_layers


def test_a_forward_that_somebody_put_there_comes_back() -> None:
    classifier = _rig("mpnet").classifier
    module = next(iter(own_attentions(classifier)))
    mine = module.forward
    module.forward = mine  # type: ignore[method-assign]
    try:
        with tapped(classifier):
            assert vars(module)["forward"] is not mine
        assert vars(module)["forward"] is mine
    finally:
        del module.forward


def test_heads_that_mix_are_left_alone() -> None:
    """DeBERTa's talking heads: a score is no longer one of query and key."""
    kind = KINDS["deberta"]
    model = Kind(kind.model, kind.config, {**kind.options, "talking_head": True}, kind.batch)
    built = model.build()
    classifier = Classifier.wrap(
        built, classes=("a", "b", "c"), encoder=lambda x: random_tokens(len(x), 0), collator=pad
    )
    assert not supports_tap(classifier)
    assert "registry" in why_no_tap(classifier)
