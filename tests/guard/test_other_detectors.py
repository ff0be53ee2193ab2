"""Another package's detector behind the guard: fitted, calibrated and asked as the guard's own."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import spearmanr

from synapse_audit import UsageError
from synapse_audit.guard import GuardedModel, load_guarded
from synapse_audit.guard.attacks import silenced
from synapse_audit.guard.other_detectors import fit_scores, pytorch_ood

from .conftest import Guarded


class Far:
    """Distance to the mean of all clean states."""

    def fit_features(self, z: torch.Tensor, y: torch.Tensor) -> None:
        assert set(y.tolist()) == set(range(int(y.max()) + 1))
        self.mean = z.mean(dim=0)

    def predict_features(self, z: torch.Tensor) -> torch.Tensor:
        return (z - self.mean).norm(dim=1)


def test_its_p_values_are_those_of_its_own_scores(made: Guarded) -> None:
    last = made.classifier.n_layers
    scores = fit_scores(Far, made.clean, places=[last])
    guarded = GuardedModel(made.classifier, made.guard, clamp=False)  # states as they were stored
    guarded.use_scores(scores)
    rows = made.clean.evaluate[:16]
    found = guarded(**made.classifier.collate(made.encoded, rows))
    states = made.clean.places[last].astype(np.float64)
    far = np.linalg.norm(states - states[made.clean.fit].mean(axis=0), axis=1)
    clean, asked = far[made.clean.select], far[rows]
    wanted = (1 + (clean >= asked[:, None] * (1 - 1e-6)).sum(axis=1)) / (len(clean) + 1)
    assert_allclose(found.p_value, wanted, atol=1e-6)


def test_it_raises_alarms_on_states_that_are_far_away(made: Guarded) -> None:
    guarded = load_guarded(made.classifier, made.folder)
    guarded.use_scores(fit_scores(Far, made.clean))
    batch = dict(made.classifier.collate(made.encoded, made.clean.evaluate[:8]))
    with silenced(made.classifier, {1: lambda pooled: pooled + 100.0})(batch):
        assert bool(guarded(**batch).alarm.all())


def test_those_of_pytorch_ood_order_inputs_as_ours_does(made: Guarded) -> None:
    try:
        known = pytorch_ood()
    except UsageError as error:
        pytest.skip(str(error))
    guarded = load_guarded(made.classifier, made.folder)
    seen = guarded.look(dict(made.classifier.collate(made.encoded, made.clean.evaluate)))
    ours = guarded.scores.raw(seen.pooled)[:, -1].numpy()  # at the head's input
    last = made.classifier.n_layers + 1
    for name, column in (("Mahalanobis", 0), ("KNN", 1)):
        theirs = fit_scores(known[name], made.clean, places=[last]).scaled(seen.pooled)
        # Their covariance is not shrunk, their neighbours are compared at length 1.
        assert spearmanr(ours[:, column], theirs[:, 0]).statistic > 0.3, name
