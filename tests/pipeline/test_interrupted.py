"""The same command gives the same bytes, however often it was stopped, and harms no model."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from only_findings import only_findings
from planted import LAYERS

from synapse_audit import Classifier, audit
from synapse_audit.config import AuditConfig
from synapse_audit.progress import Advance
from synapse_audit.sweep.executors.forked import can_fork

from .planted_runs import Audited, config_of, files_of

pytestmark = pytest.mark.unchecked


Files = Callable[[Path], dict[str, bytes]]


def _comparable(folder: Path) -> dict[str, bytes]:
    """Everything but the manifest, which holds times."""
    return {name: data for name, data in files_of(folder).items() if name != "manifest.json"}


def _before_findings(folder: Path) -> dict[str, bytes]:
    """What is there once the effects are."""
    late = ("findings/", "summary.json")
    return {name: data for name, data in _comparable(folder).items() if not name.startswith(late)}


def _differing(one: Path, other: Path, files: Files = _comparable) -> list[str]:
    first, second = files(one), files(other)
    assert set(first) == set(second)
    return [name for name, data in first.items() if data != second[name]]


class Stop(NamedTuple):
    """Where a run is stopped, and by what."""

    stage: str
    after: int
    """Finished pieces of that stage."""
    by: type[BaseException] = KeyboardInterrupt


@dataclass
class Stopper:
    """Stops the run in a stage; remembers which stages began."""

    stop: Stop | None
    began: list[str]

    @contextmanager
    def stage(self, title: str, total: int | float) -> Iterator[Advance]:
        self.began.append(title)
        done = 0

        def advance(work: float) -> None:
            nonlocal done
            done += 1
            if self.stop is not None and (title, done) == (self.stop.stage, self.stop.after):
                raise self.stop.by("stopped by a test")

        yield advance

    def note(self, text: str) -> None:
        pass


def _stop(config: AuditConfig, out: Path, stop: Stop) -> list[str]:
    watcher = Stopper(stop, [])
    with pytest.raises(stop.by):
        audit(config, out, progress=watcher)
    return watcher.began


def _stamps(folder: Path, pattern: str) -> dict[str, tuple[int, int]]:
    """File → (inode, time of change): writing a file again changes both."""
    stats = {path.name: path.stat() for path in folder.glob(pattern)}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


def _hooks(model: torch.nn.Module) -> int:
    return sum(
        len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks)
        for m in model.modules()
    )


class State(NamedTuple):
    """What must not change."""

    weights: str
    hooks: int
    attention: str
    training: bool
    logits: bytes


def _state(classifier: Classifier) -> State:
    encoded = classifier.encode(["up3 alpha-0 down4", "beta-0", "down9 gamma-0"])
    logits = classifier.logits(classifier.collate(encoded, [0, 1, 2]))
    model: Any = classifier.model
    return State(
        classifier.fingerprint(),
        _hooks(model),
        str(model.config._attn_implementation),
        model.training,
        logits.numpy().tobytes(),
    )


@pytest.fixture
def loaded(single: Audited, monkeypatch: pytest.MonkeyPatch) -> Classifier:
    """The host model of the test's audits."""
    classifier = Classifier.load(single.folder / "model")
    monkeypatch.setattr(Classifier, "load", lambda *_, **__: classifier)
    return classifier


def test_an_interrupted_run_goes_on_where_it_stopped_and_leaves_the_model_as_before(
    single: Audited, loaded: Classifier, tmp_path: Path
) -> None:
    """By whatever it is stopped, however often: the bytes are those of the run in one piece.

    Findings are made last, by the test below.
    """
    config, broken, before = config_of(single.folder), tmp_path / "broken", _state(loaded)
    _stop(config, broken, Stop("clean pass", 2))
    assert not (broken / "predictions.parquet").exists()
    _stop(config, broken, Stop("probes", 1))
    clean = _stamps(broken, "activations/*.np[yz]")
    assert len(clean) == LAYERS + 4
    assert _state(loaded) == before

    _stop(config, broken, Stop("checking routes", 1, RuntimeError))
    assert _state(loaded) == before
    began = _stop(config, broken, Stop("interventions", 3, RuntimeError))
    assert not {"clean pass", "probes"} & set(began)
    units = _stamps(broken, "outcomes/units/*.npz")
    assert len(units) >= 2
    assert _state(loaded) == before

    _stop(config, broken, Stop("interventions", 6))
    later = _stamps(broken, "outcomes/units/*.npz")
    assert len(later) > len(units)
    assert {name: later[name] for name in units} == units, "a finished unit was run again"
    assert _state(loaded) == before

    with only_findings():
        result = audit(config, broken)
    assert result.manifest["status"] == "complete"
    assert _stamps(broken, "activations/*.np[yz]") == clean
    assert _state(loaded) == before
    assert _differing(single.result.folder, broken, _before_findings) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_two_phase_estimates_are_the_same_after_interruptions(
    single: Audited, tmp_path: Path, workers: int
) -> None:
    """And whoever runs them: the run in one piece is of one process."""
    config, out = config_of(single.folder, exact=False, workers=1), tmp_path / "run"
    with only_findings():
        whole = audit(config, tmp_path / "whole")
    assert "two-phase" in set(whole.effects["route"])
    config = config_of(single.folder, exact=False, workers=workers if can_fork() else 1)
    for stage in ("first phase", "second phase"):
        _stop(config, out, Stop(stage, 1))
    with only_findings():
        result = audit(config, out)
    assert result.manifest["processes"] == config.workers
    assert _differing(whole.folder, out) == []


def test_a_run_stopped_after_the_sweep_runs_no_intervention_again(
    single: Audited, tmp_path: Path
) -> None:
    out = shutil.copytree(single.result.folder, tmp_path / "run")
    for name in ("summary.json", "effects.parquet", "class_effects.parquet"):
        (out / name).unlink()
    for stop in (Stop("effects", 1, RuntimeError), Stop("findings", 1)):
        began = _stop(config_of(single.folder), out, stop)
        assert not set(began) & {"clean pass", "probes", "interventions", "sufficient sets"}
    audit(config_of(single.folder), out)
    assert _differing(single.result.folder, out) == []
