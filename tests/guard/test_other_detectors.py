"""Another package's detector behind the guard: fitted, calibrated and asked as the guard's own.

Where the package is not installed a detector of our own stands in its place.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.numpy import load, save
from scipy.stats import spearmanr

from synapse_audit import DataError, RunFolderError, UsageError
from synapse_audit.guard import GuardedModel, GuardSettings, load_guarded, other_detectors
from synapse_audit.guard.attacks import silenced
from synapse_audit.guard.boxes import EMBEDDINGS, open_box
from synapse_audit.guard.climbing import Target
from synapse_audit.guard.evaluation import Examples, evaluate_guard
from synapse_audit.guard.folder import ARRAYS, FACTS, read_guard, write_guard
from synapse_audit.guard.gradient import gradient_attacks
from synapse_audit.guard.other_detectors import fit_scores, fitted_again, pytorch_ood, stored_states

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


# ---- by name, in the guard's folder --------------------------------------------------------------

NAME = "pytorch-ood:KNN"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package whose detectors are ``Far``."""
    monkeypatch.setattr(other_detectors, "pytorch_ood", lambda: {"KNN": Far, "Mahalanobis": Far})
    monkeypatch.setattr(other_detectors, "version", lambda name: "1.2.3")


@pytest.fixture
def stored(made: Guarded, tmp_path: Path, installed: None) -> Path:
    guard = replace(made.guard, other=stored_states(NAME, made.clean))
    write_guard(tmp_path / "guard", guard, {})
    return tmp_path / "guard"


def test_a_folder_holds_plain_arrays_from_which_the_same_scores_come(
    made: Guarded, stored: Path
) -> None:
    facts = json.loads((stored / FACTS).read_text())
    assert (facts["detector"], facts["detector_version"]) == (NAME, "1.2.3")
    guard = read_guard(stored)
    assert guard.other is not None and guard.detector_name == NAME
    assert_array_equal(guard.other.fit[2], made.clean.places[2][made.clean.fit])
    assert_array_equal(guard.other.select[-1], made.clean.places[-1][made.clean.select])
    loaded, batch = load_guarded(made.classifier, stored), _some(made)
    in_memory = load_guarded(made.classifier, made.folder)
    in_memory.use_scores(fit_scores(Far, made.clean))
    assert_array_equal(loaded(**batch).p_value, in_memory(**batch).p_value)
    assert_array_equal(loaded(**batch).alarm, in_memory(**batch).alarm)
    own = load_guarded(made.classifier, made.folder)(**batch)
    assert_array_equal(loaded(**batch).logits, own.logits)


def _some(made: Guarded) -> dict[str, torch.Tensor]:
    return dict(made.classifier.collate(made.encoded, made.clean.evaluate[:12]))


def test_a_guard_of_the_own_detector_stores_no_states(made: Guarded) -> None:
    assert stored_states("own", made.clean) is None
    assert read_guard(made.folder).detector_name == "own"


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("other.fit.1", lambda a: a[:, 1:], "does not fit together"),
        ("other.fit.1", lambda a: a[1:], "does not fit together"),
        ("other.fit.0", lambda a: np.full_like(a, np.nan), "no finite number"),
        ("other.fit.0", lambda a: a.astype(np.float64), "type float64"),
        ("other.select.2", lambda a: a[1:], "does not fit together"),
        ("other.select.2", lambda a: a * np.float32(np.inf), "no finite number"),
        ("other.predicted", lambda a: a[1:], "does not fit together"),
        ("other.predicted", lambda a: a + 100, "classes of states that there are not"),
        ("other.predicted", lambda a: a - 100, "classes of states that there are not"),
        ("other.predicted", lambda a: a.astype(np.float32), "does not fit together"),
        ("other.predicted", lambda a: a[:0], "does not fit together"),
        ("other.fit.0", None, "does not fit together"),
    ],
)
def test_states_that_do_not_fit_are_refused(
    stored: Path, name: str, change: Callable[[np.ndarray], np.ndarray] | None, said: str
) -> None:
    arrays = load((stored / ARRAYS).read_bytes())
    if change is None:
        del arrays[name]
    else:
        arrays[name] = np.ascontiguousarray(change(arrays[name]))
    (stored / ARRAYS).write_bytes(save(arrays))
    facts = json.loads((stored / FACTS).read_text())
    facts["arrays_sha256"] = hashlib.sha256((stored / ARRAYS).read_bytes()).hexdigest()
    (stored / FACTS).write_text(json.dumps(facts))
    with pytest.raises(RunFolderError, match=said):
        read_guard(stored)


@pytest.mark.parametrize("name", ["os:system", "pytorch-ood:Other", 3, None])
def test_a_detector_that_is_none_is_refused(stored: Path, name: object) -> None:
    facts = json.loads((stored / FACTS).read_text())
    (stored / FACTS).write_text(json.dumps(facts | {"detector": name}))
    with pytest.raises(RunFolderError, match="the detector is none of own, pytorch-ood:Maha"):
        read_guard(stored)


def test_a_guard_without_its_package_is_refused(
    made: Guarded, stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "pytorch_ood", None)
    monkeypatch.setitem(sys.modules, "pytorch_ood.detector", None)
    with pytest.raises(UsageError, match="pytorch-ood asked for, which does not load"):
        load_guarded(made.classifier, stored)
    with pytest.raises(UsageError, match="pytorch-ood asked for, which does not load"):
        stored_states(NAME, made.clean)


def test_a_package_that_does_not_load_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where torchvision was built for another torch."""

    class Broken(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise RuntimeError("operator torchvision::nms does not exist\nmore of it\nand more")

    monkeypatch.setitem(sys.modules, "pytorch_ood", ModuleType("pytorch_ood"))
    monkeypatch.setitem(sys.modules, "pytorch_ood.detector", Broken("pytorch_ood.detector"))
    with pytest.raises(UsageError, match="torchvision::nms does not exist") as caught:
        pytorch_ood()
    assert "\n" not in str(caught.value)


def test_a_package_without_its_metadata_has_no_known_version(
    made: Guarded, installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(other_detectors, "version", missing)
    stored = stored_states(NAME, made.clean)
    assert stored is not None and stored.version == "unknown"


def test_names_are_looked_at_first() -> None:
    with pytest.raises(UsageError, match="detector 'pytorch-ood:KNM' given; did you mean"):
        GuardSettings(detector="pytorch-ood:KNM")


class Hungry(Far):
    """Needs more states than there are."""

    def fit_features(self, z: torch.Tensor, y: torch.Tensor) -> None:
        raise ValueError("k=50 exceeds the number of ID samples")


class Lost(Far):
    """Scores that are no numbers."""

    def predict_features(self, z: torch.Tensor) -> torch.Tensor:
        return torch.full((len(z),), float("nan"))


@pytest.mark.parametrize(("detector", "said"), [(Hungry, "k=50 exceeds"), (Lost, "no finite")])
def test_a_detector_that_cannot_be_fitted_is_one_line(
    made: Guarded, installed: None, monkeypatch: pytest.MonkeyPatch, detector: type, said: str
) -> None:
    monkeypatch.setattr(other_detectors, "pytorch_ood", lambda: {"KNN": detector})
    with pytest.raises(DataError, match=said) as caught:
        stored_states(NAME, made.clean)
    assert "--detector own" in str(caught.value) and "\n" not in str(caught.value)


def test_alarms_count_as_the_other_detector_raises_them(made: Guarded, stored: Path) -> None:
    """The way is that of the own scores, which give gradients; what is silent is the other's."""
    guarded, batch = load_guarded(made.classifier, stored), _some(made)
    box = open_box(guarded, batch, EMBEDDINGS, 0.6)
    limit = guarded.own_scores.threshold(0.05)
    target = Target.of(guarded, batch, box, limit=limit)
    with torch.no_grad():
        for size in (0.0, 1.0):
            now = [torch.full(shape, size) for shape in box.shapes]
            met = target.met(now)
            with box.changed(batch, now):
                seen = guarded.look(batch)
                assert_array_equal(met.raised > 0, guarded(**batch).alarm)
                own = guarded.own_scores(seen.pooled)
            assert_array_equal(met.excess > 0, own > limit)
    kinds = {attack.kind for attack in gradient_attacks(guarded)}
    assert "adaptive gradient by the guard's own scores, states" in kinds
    assert not any(kind.startswith("adaptive gradient,") for kind in kinds)


def test_it_is_measured_by_one_score(
    made: Guarded, stored: Path, labels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synapse_audit.guard.evaluation.gradient_attacks", lambda guarded: ())
    monkeypatch.setattr("synapse_audit.guard.evaluation.head_edits", lambda *parts: [])
    rows = made.clean.evaluate[:16]
    examples = Examples(made.encoded, rows, made.clean.labels[rows], np.ones(16))
    states = [one[made.clean.fit] for one in made.clean.places]
    table = evaluate_guard(load_guarded(made.classifier, stored), examples, states, draws=1)
    assert table["auc"].notna().sum() == len(table) - 1
    assert table[["auc_mahalanobis", "auc_knn", "auc_range"]].isna().all(axis=None)


FRESH = """
import sys, numpy as np
from pathlib import Path
from synapse_audit import Classifier
from synapse_audit.guard import load_guarded
model, guard, given, out = sys.argv[1:]
import torch
batch = {n: torch.from_numpy(v) for n, v in np.load(given).items()}
said = load_guarded(Classifier.load(model), guard)(**batch)
np.savez(out, p_value=said.p_value.numpy(), alarm=said.alarm.numpy())
"""


@pytest.mark.parametrize("name", ["pytorch-ood:Mahalanobis", "pytorch-ood:KNN"])
def test_pytorch_ood_says_the_same_in_another_process(
    made: Guarded, tiny_folder: Path, tmp_path: Path, name: str
) -> None:
    try:
        pytorch_ood()
    except UsageError as error:
        pytest.skip(str(error))
    kept = stored_states(name, made.clean)
    assert kept is not None
    write_guard(tmp_path / "g", replace(made.guard, other=kept), {})
    guarded, batch = load_guarded(made.classifier, tmp_path / "g"), _some(made)
    np.savez(tmp_path / "batch.npz", **{n: v.numpy() for n, v in batch.items()})
    with silenced(made.classifier, {1: lambda pooled: pooled + 100.0})(batch):
        assert bool(guarded(**batch).alarm.all())
    files = [tiny_folder, tmp_path / "g", tmp_path / "batch.npz", tmp_path / "said.npz"]
    subprocess.run([sys.executable, "-c", FRESH, *map(str, files)], check=True, timeout=300)
    found, said = guarded(**batch), np.load(tmp_path / "said.npz")
    assert_array_equal(found.p_value, said["p_value"])
    assert_array_equal(found.alarm, said["alarm"])
    clean = fitted_again(kept)
    known = [
        torch.from_numpy(made.clean.places[p][made.clean.select]) for p in range(len(kept.fit))
    ]
    assert_allclose(np.sort(clean(known)), clean.calibration, rtol=1e-5)
