"""Coarser number formats: every route does what plain hooks do, to the precision of the format."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from synapse_audit.artifacts import Cell, HeadEdit
from synapse_audit.model import FAMILIES
from synapse_audit.plan import FULL, HEAD, STREAM, SUFFIX
from synapse_audit.sweep import tapped
from synapse_audit.sweep.clean import clean_pass
from synapse_audit.sweep.engine import Engine
from synapse_audit.sweep.runners import RUNNERS
from synapse_audit.sweep.score import score
from synapse_audit.sweep.verify import COARSER

from .rigs import Rig, random_bert, silence


@pytest.fixture(scope="module", params=sorted(COARSER, key=str), ids=str)
def coarse(request: pytest.FixtureRequest) -> Rig:
    rig = random_bert(layers=3, width=16, heads=2, seed=3)
    model = copy.deepcopy(rig.classifier.model).to(request.param)
    again = rig.classifier.wrap(
        model,
        classes=rig.classifier.classes,
        encoder=rig.classifier.encoder,
        collator=rig.classifier.collator,
        family=FAMILIES[0],
    )
    return replace(rig, classifier=again)


@pytest.mark.parametrize("operator", ["mean", "noise", "resample", "clamp"])
@pytest.mark.parametrize("route", [STREAM, SUFFIX])
def test_routes_agree_to_the_precision_of_the_format(
    coarse: Rig, route: str, operator: str
) -> None:
    cells = [silence(operator, {2: [0, 3, 5], 3: [1]})]
    with tapped(coarse.classifier) as tap:
        engine = Engine(coarse.classifier, coarse.site, 0, tap)
        batch = coarse.classifier.collate(coarse.encoded, [0, 1, 2, 3])
        clean = clean_pass(coarse.classifier, batch, np.arange(4), tap)
        fast, reference = (RUNNERS[name](engine, clean, cells) for name in (route, FULL))
    assert fast.dtype == reference.dtype == clean.logits.dtype
    gap = (fast.float() - reference.float()).abs().max().item()
    effect = (reference.float() - clean.logits.float()).abs().max().item()
    assert gap <= COARSER[clean.logits.dtype]
    assert gap <= effect / 5, "a route that did nothing would differ by the whole effect"


def test_an_edit_of_the_head_is_rounded_as_the_weights_are(coarse: Rig) -> None:
    weight = np.full((3, 16), 0.01, np.float32)
    cell = Cell("weight", "push", "head_weight", edit=HeadEdit(weight, np.zeros(3, np.float32)))
    with tapped(coarse.classifier) as tap, coarse.classifier.unharmed():
        engine = Engine(coarse.classifier, coarse.site, 0, tap)
        batch = coarse.classifier.collate(coarse.encoded, [0, 1])
        clean = clean_pass(coarse.classifier, batch, np.arange(2), tap)
        fast, reference = (RUNNERS[name](engine, clean, [cell]) for name in (HEAD, FULL))
    assert torch.equal(fast, reference)


def test_scores_are_computed_in_float32(coarse: Rig) -> None:
    logits = torch.tensor([[[3.0, 1.0, -2.0]]], dtype=coarse.classifier.model.dtype)
    found = score(logits, logits[0], torch.tensor([0]))
    expected = np.exp(3.0) / (np.exp(3.0) + np.exp(1.0) + np.exp(-2.0))
    assert found["probability"].dtype == np.float32
    assert found["probability"][0, 0] == pytest.approx(expected, rel=1e-6)
