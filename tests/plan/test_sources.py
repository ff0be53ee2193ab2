"""What cells are built from, put together from a classifier and its clean pass."""

from pathlib import Path

import numpy as np
import pytest

from synapse_audit.config import PRESETS
from synapse_audit.data import load_data, split
from synapse_audit.errors import UsageError
from synapse_audit.model import Classifier
from synapse_audit.model.activations import extract
from synapse_audit.plan import PlanInputs
from synapse_audit.probes import fit_probe, fit_probes, layer_statistics
from synapse_audit.rankings import RankingContext, rank

GRID = PRESETS["quick"].model_copy(update={"rankings": ("probeless",), "compared": ("iou",)})


@pytest.fixture(scope="module")
def stages(tiny_folder: Path, tiny_csv: Path) -> tuple:
    classifier = Classifier.load(tiny_folder)
    data = load_data(str(tiny_csv), classes=classifier.classes)
    splits = split(data)
    found = extract(classifier, classifier.encode(data.inputs), fit=splits.fit)
    return classifier, data, splits, found


def test_sources_hold_what_the_stages_one_by_one_give(stages: tuple) -> None:
    classifier, data, splits, found = stages
    probes = fit_probes(found.activations, data, splits)
    context = RankingContext.of(found.activations, data, splits, probes)
    sources = PlanInputs.of(classifier, found, context, grid=GRID)
    assert (sources.grid, sources.classes, sources.seed) == (GRID, data.classes, 0)
    assert list(sources.rankings) == ["probeless", "iou"]
    scores = sources.rankings["iou"].scores[None]
    for one, other in zip(scores, rank("iou", context).scores[None], strict=True):
        np.testing.assert_array_equal(one, other)
    known = {"labels": data.labels, "classes": data.classes}
    expected = layer_statistics(found.activations, splits, **known)
    for one, other in zip(sources.statistics, expected, strict=True):
        np.testing.assert_array_equal(one.mean, other.mean)
        assert one.class_means is not None and set(one.class_means) == set(data.classes)


def test_the_head_is_seen_over_fit_with_its_own_bias(stages: tuple) -> None:
    classifier, data, splits, found = stages
    probes = fit_probes(found.activations, data, splits)
    context = RankingContext.of(found.activations, data, splits, probes)
    head = PlanInputs.of(classifier, found, context).head
    assert head.bias is not None
    logits = head.head_input @ head.weight.T + head.bias
    np.testing.assert_allclose(logits, found.logits[splits.fit], atol=1e-3)  # logits reach 100
    np.testing.assert_array_equal(head.predicted, found.logits[splits.fit].argmax(axis=1))


def test_a_probe_of_the_heads_input_is_needed(stages: tuple) -> None:
    classifier, data, splits, found = stages
    probe = fit_probe("1", found.activations.layers[1], data, splits, seed=0)
    context = RankingContext.of(found.activations, data, splits, (probe,))
    with pytest.raises(UsageError, match="scopes 1 given; expected one of 'head_input'"):
        PlanInputs.of(classifier, found, context, grid=GRID)
