"""How a checkpoint is loaded: shards, revisions, attention, placement, quantisation."""

import json
import shutil
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import Tiny, tiny_rows

from synapse_audit.artifacts import Cell
from synapse_audit.config import Loading
from synapse_audit.errors import ModelError, UsageError
from synapse_audit.interventions.edits import find_parts
from synapse_audit.model import Classifier
from synapse_audit.model.loading.hub import locate
from synapse_audit.model.loading.options import ATTENTION, check_loading
from synapse_audit.model.loading.weights import load_weights
from synapse_audit.neurons import NeuronSet
from synapse_audit.sweep import clean_pass, supports_tap, tapped, why_no_tap
from synapse_audit.sweep.engine import Engine
from synapse_audit.sweep.runners import RUNNERS
from synapse_audit.sweep.site import Site

from .families import OLDER

TEXTS = tiny_rows()["text"].tolist()[:12]


def _logits(classifier: Classifier) -> torch.Tensor:
    return classifier.logits(classifier.collate(classifier.encode(TEXTS), range(len(TEXTS))))


def _refusal(load: Callable[[], Any], error: type[Exception]) -> str:
    with pytest.raises(error) as caught:
        load()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- shards ------------------------------------------------------------------------------------


@pytest.fixture
def sharded(tiny: Tiny, tmp_path: Path) -> Path:
    tiny.model.save_pretrained(tmp_path / "m", max_shard_size="50KB")
    tiny.tokenizer.save_pretrained(tmp_path / "m")
    return tmp_path / "m"


def test_shards_are_the_same_model(sharded: Path, tiny_folder: Path) -> None:
    shards = sorted(sharded.glob("model-*.safetensors"))
    index = json.loads((sharded / "model.safetensors.index.json").read_text())
    assert len(shards) > 1
    assert {*index["weight_map"].values()} == {shard.name for shard in shards}
    whole, parts = Classifier.load(tiny_folder), Classifier.load(sharded)
    assert parts.fingerprint() == whole.fingerprint()
    assert torch.equal(_logits(parts), _logits(whole))


def test_a_missing_shard_stops_the_load(sharded: Path) -> None:
    (gone := sorted(sharded.glob("model-*.safetensors"))[1]).unlink()
    assert gone.name in _refusal(lambda: Classifier.load(sharded), ModelError)


# ---- revisions ---------------------------------------------------------------------------------

COMMITS = {"main": "a" * 40, "v1": "b" * 40}


@pytest.fixture
def hub(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A hub cache with two revisions of one model, whose labels tell them apart."""
    home = tmp_path / "models--some--classifier"
    for name, commit in COMMITS.items():
        snapshot = shutil.copytree(tiny_folder, home / "snapshots" / commit)
        config = json.loads((snapshot / "config.json").read_text())
        config["id2label"] = {str(i): f"{name}-{i}" for i in range(4)}
        config["label2id"] = {f"{name}-{i}": i for i in range(4)}
        (snapshot / "config.json").write_text(json.dumps(config))
        (home / "refs").mkdir(exist_ok=True)
        (home / "refs" / name).write_text(commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return "some/classifier"


@pytest.mark.parametrize(
    ("revision", "name"), [(None, "main"), ("main", "main"), ("v1", "v1"), ("b" * 40, "v1")]
)
def test_a_revision_is_what_is_loaded(hub: str, revision: str | None, name: str) -> None:
    classifier = Classifier.load(hub, revision=revision)
    assert classifier.classes[0] == f"{name}-0"
    assert classifier.origin["commit"] == COMMITS[name]
    assert classifier.origin.get("revision") == revision
    assert classifier.name == hub


def test_a_revision_that_is_not_there(hub: str) -> None:
    message = _refusal(lambda: Classifier.load(hub, revision="v2"), ModelError)
    assert "'some/classifier', revision 'v2', given" in message


def test_a_local_folder_has_no_revision_and_no_commit(tiny_folder: Path) -> None:
    assert locate(str(tiny_folder)) == (tiny_folder, None)
    assert "commit" not in Classifier.load(tiny_folder).origin
    message = _refusal(lambda: Classifier.load(tiny_folder, revision="v1"), UsageError)
    assert "expected a hub id" in message


# ---- attention ---------------------------------------------------------------------------------


def test_attention_is_what_was_asked_for(tiny_folder: Path) -> None:
    eager, sdpa = (
        Classifier.load(tiny_folder, attn_implementation=name) for name in ("eager", "sdpa")
    )
    assert eager.origin["attn_implementation"] == "eager"
    assert sdpa.origin["attn_implementation"] == "sdpa"
    # Sums in another order: float32 logits of about 10 differ by 1.2e-5 on some processors.
    assert torch.allclose(_logits(eager), _logits(sdpa), atol=1e-4)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("route", ["stream", "suffix"])
def test_the_row_alone_runs_under_either_attention(
    tiny_folder: Path, implementation: str, route: str
) -> None:
    from synapse_audit.artifacts import LayerStatistics

    classifier = Classifier.load(tiny_folder, attn_implementation=implementation)
    nothing = np.zeros(32, dtype=np.float32)
    layer = LayerStatistics(nothing, nothing, nothing)
    cell = Cell(
        "neuron", "zero", "block_output", position="pooled", neurons=NeuronSet.of({2: range(20)})
    )
    batch = classifier.collate(classifier.encode(TEXTS), range(len(TEXTS)))
    if OLDER and implementation == "eager":
        assert "registry" in why_no_tap(classifier)
        return
    assert supports_tap(classifier)
    with classifier.unharmed(), tapped(classifier) as tap:
        engine = Engine(classifier, Site((layer,) * 4, (layer,) * 4), 0, tap)
        clean = clean_pass(classifier, batch, np.arange(len(TEXTS)), tap)
        assert clean.rows_alone
        fast, full = (RUNNERS[name](engine, clean, [cell]) for name in (route, "full"))
    assert (full - clean.logits).abs().max() > 1e-2
    assert torch.allclose(fast, full, atol=1e-5)
    # Nothing is left in transformers' registry.
    assert torch.equal(_logits(classifier)[:2], _logits(classifier)[:2])
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    assert "eager" not in ALL_ATTENTION_FUNCTIONS


def test_a_family_that_declines_is_named(tmp_path: Path, tiny: Tiny) -> None:
    from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

    config = DebertaV2Config(
        vocab_size=len(tiny.tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        num_labels=2,
    )
    DebertaV2ForSequenceClassification(config).save_pretrained(tmp_path)
    tiny.tokenizer.save_pretrained(tmp_path)
    message = _refusal(lambda: Classifier.load(tmp_path, attn_implementation="sdpa"), ModelError)
    assert "DebertaV2" in message and "attention" in message
    loaded = Classifier.load(tmp_path, attn_implementation="eager")
    assert supports_tap(loaded)  # not through the registry: its modules' own forward is tapped


def _unchecked(**fields: Any) -> Loading:
    """Options as a program without a type checker passes them; the tests' own would refuse."""
    loading = Loading()
    for name, value in fields.items():
        object.__setattr__(loading, name, value)
    return loading


def test_code_from_the_hub_is_no_attention(tiny_folder: Path, tmp_path: Path) -> None:
    for name in ("kernels-community/flash-attn", "flash_attention_2"):
        message = _refusal(
            lambda name=name: check_loading(_unchecked(attn_implementation=name)),
            UsageError,
        )
        assert name in message
        assert "expected" in message or "choices" in message
    assert "sdpa" in ATTENTION
    folder = shutil.copytree(tiny_folder, tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    config["attn_implementation"] = "someone/kernel"
    (folder / "config.json").write_text(json.dumps(config))
    if OLDER:  # which does not read it from a file
        assert Classifier.load(folder).origin["attn_implementation"] == "sdpa"
    else:
        assert "someone/kernel" in _refusal(lambda: Classifier.load(folder), ModelError)
    Classifier.load(folder, attn_implementation="sdpa")


# ---- placement and quantisation ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"dtype": "float8"}, "dtype 'float8' given; did you mean"),
        ({"device_map": "disk"}, "choices: auto, balanced, sequential"),
        ({"quantization": "2bit"}, "choices: 8bit, 4bit"),
        ({"device_map": "auto", "device": "cuda:0"}, "expected one of the two"),
        ({"device": "meta"}, "expected one this machine has"),
        ({"device": "fpga"}, "expected one this machine has"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, str], words: str) -> None:
    assert words in _refusal(lambda: check_loading(_unchecked(**options)), UsageError)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"device_map": "auto"}, "pip install accelerate"),
        ({"quantization": "4bit"}, "pip install 'synapse-audit[quantization]'"),
    ],
)
def test_without_its_package_one_line_says_how_to_get_it(
    options: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synapse_audit.model.loading.options.find_spec", lambda name: None)
    assert words in _refusal(lambda: check_loading(Loading(**options)), UsageError)


def test_weights_outside_every_device_are_refused(tiny_folder: Path) -> None:
    """A stand-in for a class whose weights do not fit the devices."""
    from transformers import AutoConfig, BertForSequenceClassification

    config = AutoConfig.from_pretrained(tiny_folder)

    class Spread(BertForSequenceClassification):
        @classmethod
        def from_pretrained(cls, *args: Any, **options: Any) -> Any:
            model, report = BertForSequenceClassification.from_pretrained(*args, **options)
            model.bert.encoder.layer[0].to("meta")
            return model, report

    message = _refusal(
        lambda: load_weights(str(tiny_folder), Spread, config, Loading()), ModelError
    )
    assert "left in part outside its devices" in message


needs_accelerate = pytest.mark.skipif(
    find_spec("accelerate") is None, reason="the package accelerate is not installed"
)
needs_bitsandbytes = pytest.mark.skipif(
    find_spec("bitsandbytes") is None, reason="the package bitsandbytes is not installed"
)


@needs_accelerate
def test_accelerate_places_the_same_model(tiny_folder: Path) -> None:
    plain, placed = Classifier.load(tiny_folder), Classifier.load(tiny_folder, device_map="auto")
    if placed.device == "cpu":
        assert torch.equal(_logits(plain), _logits(placed))
    assert torch.allclose(_logits(plain), _logits(placed).cpu(), atol=1e-4)


def _by_transformers(folder: Path, quantization: str) -> torch.Tensor:
    """Its own logits of a model whose head and pooler stay as they are."""
    import transformers

    options: dict[str, Any] = {f"load_in_{quantization}": True, "bnb_4bit_quant_type": "nf4"}
    options["llm_int8_skip_modules"] = ["classifier", "bert.pooler.dense"]
    model = transformers.BertForSequenceClassification.from_pretrained(
        folder, quantization_config=transformers.BitsAndBytesConfig(**options), dtype=torch.float32
    )
    for module in model.modules():  # else the first pass rounds 4-bit scales again on some CPUs
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    words = transformers.AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        return model.eval()(**words(TEXTS, padding=True, return_tensors="pt")).logits


@needs_bitsandbytes
@needs_accelerate
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("quantization", ["8bit", "4bit"])
def test_blocks_are_quantised_and_all_else_is_not(tiny_folder: Path, quantization: str) -> None:
    plain = Classifier.load(tiny_folder)
    coarse = Classifier.load(tiny_folder, quantization=quantization)
    assert (coarse.head_weight == plain.head_weight).all()
    names = [n for n, p in coarse.model.named_parameters() if not p.is_floating_point()]
    linear = [n for n, p in plain.model.named_parameters() if p.ndim == 2 and ".layer." in n]
    assert names == linear
    assert coarse.parameters_count == plain.parameters_count
    before = coarse.fingerprint()
    with coarse.unharmed():
        first = _logits(coarse)
        assert coarse.fingerprint() == before
        assert torch.equal(_logits(coarse), first)
    assert torch.equal(first, _by_transformers(tiny_folder, quantization))
    assert not torch.equal(first, _logits(plain))
    assert "kernels" not in sys.modules  # nothing was fetched from the hub
    parts = find_parts(coarse.model, coarse.output_layer, coarse.blocks, [1, 3])
    assert {part.name for part in parts} == {"head", "gain"}
    assert any("faults" in note for note in coarse.notes)
