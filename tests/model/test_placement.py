"""Models on several devices: loaded, wrapped, and what they cannot do.

The devices are stand-ins (``tests/devices.py``). What the engine computes on them:
``tests/sweep/test_devices.py``; whole audits: ``tests/proofs/test_devices.py``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from devices import FIRST, SECOND, pretended
from sweep.rigs import make_rig, silence
from torch import Tensor, nn

from synapse_audit.artifacts import Cell
from synapse_audit.config import Loading, make_config
from synapse_audit.errors import ModelError, UsageError
from synapse_audit.model import Batch, Classifier, Encoded, InputFormat
from synapse_audit.model.loading import weights
from synapse_audit.model.user_code.python_classifier import load_own
from synapse_audit.pipeline.stages.subject import check_placed
from synapse_audit.sweep import Engine
from synapse_audit.sweep.clean import clean_pass
from synapse_audit.sweep.executors.worker import make_setup
from synapse_audit.sweep.runners import RUNNERS

WIDTH, N = 8, 5


@pytest.fixture
def inside() -> Iterator[None]:
    with pretended():
        yield


class Block(nn.Module):
    """Tokens are averaged into each other, then pass a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.mix, self.map = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        share = mask / mask.sum(1, keepdim=True)
        states = states + self.mix((states * share[..., None]).sum(1, keepdim=True))
        return states + torch.tanh(self.map(states))


class Moving(nn.Module):
    """Moves its states itself, from one part to the next."""

    def __init__(self, position: str) -> None:
        super().__init__()
        self.position = position
        self.embed = nn.Embedding(10, WIDTH)
        self.stack = nn.ModuleList(Block() for _ in range(3))
        self.norm, self.score = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 3)

    def split(self, first: int = 1) -> "Moving":
        """So many blocks stay with the embeddings on the first device; all else is on the other."""
        self.to(SECOND)
        for part in (self.embed, *self.stack[:first]):
            part.to(FIRST)
        return self

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        states = self.embed(input_ids)
        for block in self.stack:
            device = block.map.weight.device
            states = block(states.to(device), attention_mask.to(device))
        mask = attention_mask.to(states.device)
        if self.position == "mean":  # of what was normed, so that the mean alone is not enough
            read = (self.norm(states) * (mask / mask.sum(1, keepdim=True))[..., None]).sum(1)
        else:
            place = mask.sum(1) - 1 if self.position == "last" else torch.zeros_like(mask[:, 0])
            read = states[torch.arange(len(states)), place]
        logits: Tensor = self.score(read)
        return logits


def _encode(inputs: Sequence[Any]) -> Encoded:
    random = np.random.default_rng(0)
    lengths = np.array([2 + i % 4 for i in range(len(inputs))])
    rows = tuple({"input_ids": random.integers(1, 10, n).tolist()} for n in lengths)
    return Encoded(rows, lengths, 0)


def _collate(features: Sequence[Mapping[str, Any]]) -> Batch:
    rows = [torch.tensor(row["input_ids"]) for row in features]
    ids = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    return {"input_ids": ids, "attention_mask": (ids > 0).long()}


def _module(position: str = "first") -> Moving:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Moving(position).eval()


def _wrap(module: nn.Module, **named: Any) -> Classifier:
    names = ("a", "b", "c")
    return Classifier.wrap(module, classes=names, encoder=_encode, collator=_collate, **named)


def _logits(classifier: Classifier) -> dict[str, np.ndarray]:
    """Of every route that a module without a record has."""
    rig = make_rig(classifier, classifier.encode([""] * N))
    engine = Engine(classifier, rig.site, 0, None)
    clean = clean_pass(classifier, classifier.collate(rig.encoded, range(N)), rig.rows, None)
    cells = {
        "head": [silence("mean", {3: [1, 4]}), silence("noise", {3: [0]})],
        "suffix": [silence("resample", {1: [1]}), silence("noise", {0: [1], 2: [2]}, "all")],
        "full": [silence("zero", {2: [1]}), Cell("input", "fgsm", "embeddings", strength=1.0)],
    }
    cells["full"] += cells["suffix"]
    with classifier.unharmed():
        found = {name: RUNNERS[name](engine, clean, some) for name, some in cells.items()}
    return {name: one.cpu().numpy() for name, one in found.items()} | {
        "clean": clean.logits.cpu().numpy()
    }


@pytest.mark.parametrize(("position", "first"), [("first", 0), ("last", 1), ("mean", 2)])
def test_a_module_that_moves_its_own_states_is_found_and_run(position: str, first: int) -> None:
    expected = _wrap(_module(position))
    with pretended():
        classifier = _wrap(_module(position).split(first))
        assert classifier.devices == (FIRST, SECOND) and classifier.device == FIRST
        assert classifier.position == expected.position == position
        assert (classifier.head_function is None) == (position == "mean")
        found = _logits(classifier)
    for name, logits in _logits(expected).items():
        np.testing.assert_allclose(found[name], logits, atol=1e-6, err_msg=name)


@pytest.mark.usefixtures("inside")
def test_a_part_that_does_not_fit_is_named_there_too() -> None:
    with pytest.raises(ModelError, match="position does not fit: the logits move with tokens 0"):
        _wrap(_module().split(), position="mean")


@pytest.mark.usefixtures("inside")
def test_a_module_is_run_where_it_is() -> None:
    classifier = _wrap(_module().to(SECOND))
    assert (classifier.device, classifier.devices) == (SECOND, (SECOND,))
    assert classifier.to("cpu").devices == ("cpu",)


@pytest.mark.usefixtures("inside")
def test_what_is_on_several_devices_stays_there() -> None:
    classifier = _wrap(_module().split())
    with pytest.raises(UsageError, match=f"is on {FIRST}, {SECOND}, from where it is not moved"):
        classifier.to("cpu")
    assert classifier.devices == (FIRST, SECOND)


@pytest.mark.usefixtures("inside")
def test_ray_has_no_place_for_it() -> None:
    classifier = _wrap(_module().split())
    config = make_config({"model": "m", "data": "d", "preset": "quick"})
    check_placed(config, classifier)
    with pytest.raises(UsageError, match=f"engine 'ray' given; 'custom' is on {FIRST}, {SECOND}"):
        check_placed(config.model_copy(update={"engine": "ray"}), classifier)
    rig = make_rig(classifier, classifier.encode([""] * N))
    with pytest.raises(UsageError, match="is not moved"):
        make_setup(Engine(classifier, rig.site, 0, None), threads=1)


def test_weights_outside_every_device_are_refused() -> None:
    module = _module()
    module.stack[2].to("meta")
    with pytest.raises(ModelError, match=r"in part outside its devices .*; expected that it fits"):
        _wrap(module)


OWN = """
import torch
from model.test_placement import _module, _wrap
def model():
    return _wrap(_module().split())
"""


@pytest.mark.usefixtures("inside")
def test_a_file_may_make_it(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    source = f"{tmp_path}/own.py:model"
    assert load_own(source, Loading(), InputFormat()).devices == (FIRST, SECOND)
    assert load_own(source, Loading(device=FIRST), InputFormat()).devices == (FIRST, SECOND)
    with pytest.raises(UsageError, match=f"device '{SECOND}' given; .* is not moved"):
        load_own(source, Loading(device=SECOND), InputFormat())


MAP = {
    **dict.fromkeys(["bert.embeddings", "bert.encoder.layer.0"], FIRST),
    **dict.fromkeys(["bert.encoder.layer.1", "bert.encoder.layer.2"], SECOND),
    **dict.fromkeys(["bert.pooler", "classifier"], SECOND),
}
needs_accelerate = pytest.mark.skipif(
    find_spec("accelerate") is None, reason="the package accelerate is not installed"
)


def _placed(folder: Path, patch: pytest.MonkeyPatch, places: Mapping[str, str]) -> Classifier:
    """As accelerate would place it on a machine whose devices are too small for all of it."""
    patch.setenv("HF_DEACTIVATE_ASYNC_LOAD", "1")  # the stand-in is there in this thread alone
    patch.setattr(weights, "_placement", lambda *_: {"device_map": dict(places)})
    return Classifier.load(folder, device_map="auto", attn_implementation="eager")


@needs_accelerate
def test_accelerate_spreads_a_saved_model(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Classifier.load(tiny_folder, attn_implementation="eager")
    encoded = plain.encode(["calm1 word2 calm3", "rage4"])
    expected = plain.logits(plain.collate(encoded, range(2)))
    with pretended():
        classifier = _placed(tiny_folder, monkeypatch, MAP)
        assert classifier.devices == (FIRST, SECOND) and classifier.device == FIRST
        assert classifier.fingerprint() == plain.fingerprint()
        found = classifier.logits(classifier.collate(encoded, range(2)))
        assert str(found.device) == FIRST
        torch.testing.assert_close(found.cpu(), expected, atol=1e-6, rtol=1e-6)
    assert classifier.origin["device_map"] == (
        f"{FIRST}: bert.embeddings, bert.encoder.layer.0; {SECOND}: bert.encoder.layer.1, "
        "bert.encoder.layer.2, bert.pooler, classifier"
    )


@needs_accelerate
@pytest.mark.usefixtures("inside")
def test_what_accelerate_keeps_in_other_memory_is_refused(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = re.escape("in part outside its devices (offloaded to disk or memory)")
    with pytest.raises(ModelError, match=message):
        _placed(tiny_folder, monkeypatch, MAP | {"classifier": "cpu"})
