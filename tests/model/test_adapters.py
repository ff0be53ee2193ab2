"""PEFT adapters: the logits are PEFT's own, and what is not safe or does not fit is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import Tiny, save, tiny_classifier, tiny_rows

from synapse_audit.errors import ModelError, UsageError
from synapse_audit.model import Classifier

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
"""PEFT reads what transformers has renamed."""

TEXTS = tiny_rows()["text"].tolist()[:12]


def _refusal(source: Path, **options: Any) -> str:
    with pytest.raises(ModelError) as caught:
        Classifier.load(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _logits(classifier: Classifier) -> torch.Tensor:
    return classifier.logits(classifier.collate(classifier.encode(TEXTS), range(len(TEXTS))))


def _fake(folder: Path, **config: Any) -> Path:
    """A folder that looks like an adapter; nothing in it is ever reached."""
    folder.mkdir()
    named = {"peft_type": "LORA", "base_model_name_or_path": str(folder), **config}
    (folder / "adapter_config.json").write_text(json.dumps(named))
    (folder / "adapter_model.safetensors").write_bytes(b"")
    return folder


# ---- refusals, which need no peft ----------------------------------------------------------------


def test_without_peft_one_line_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synapse_audit.model.loading.adapters.find_spec", lambda name: None)
    assert "pip install 'synapse-audit[peft]'" in _refusal(_fake(tmp_path / "a"))


def test_a_pickled_adapter_is_refused(tmp_path: Path) -> None:
    folder = _fake(tmp_path / "a")
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    message = _refusal(folder)
    assert "pickle" in message and "adapter_model.bin" in message
    (folder / "adapter_model.bin").unlink()
    assert "no weights" in _refusal(folder)


@pytest.mark.parametrize("kind", ["PROMPT_TUNING", "PREFIX_TUNING", "XLORA", None])
def test_adapters_that_are_no_part_of_the_layers_are_refused(
    tmp_path: Path, kind: str | None
) -> None:
    assert f"is of type {kind}; " in _refusal(_fake(tmp_path / "a", peft_type=kind))


def test_a_configuration_that_imports_modules_is_refused(tmp_path: Path) -> None:
    folder = _fake(tmp_path / "a", megatron_config={"a": 1}, megatron_core="antigravity")
    assert "megatron_config" in _refusal(folder)


def test_an_adapter_beside_a_whole_model_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    """transformers would load another model with peft installed than without."""
    folder = shutil.copytree(tiny_folder, tmp_path / "m")
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    assert "expected one of the two" in _refusal(folder)


def test_a_base_model_for_no_adapter_is_refused(tiny_folder: Path) -> None:
    with pytest.raises(UsageError, match="is no adapter"):
        Classifier.load(tiny_folder, base_model="x")


@pytest.mark.parametrize("text", ["{", "[]", "{" * 3])
def test_a_broken_configuration_is_refused(tmp_path: Path, text: str) -> None:
    folder = _fake(tmp_path / "a")
    (folder / "adapter_config.json").write_text(text)
    assert "adapter_config.json" in _refusal(folder)


# ---- with peft ---------------------------------------------------------------------------------


class Adapted:
    """A tiny classifier with a LoRA adapter and a head of its own, saved; and PEFT's logits."""

    def __init__(self, tiny: Tiny, base: Path, folder: Path, **options: Any) -> None:
        import peft

        self.base, self.folder = base, folder
        model = type(tiny.model).from_pretrained(base)
        wanted = {"r": 4, "target_modules": ["query", "value"], "task_type": "SEQ_CLS", **options}
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(1)
            adapted: Any = peft.get_peft_model(model, peft.LoraConfig(**wanted))
            for name, weight in adapted.named_parameters():
                if "lora_" in name or "modules_to_save" in name:
                    weight += 0.2 * torch.randn_like(weight)
        adapted.save_pretrained(folder)
        batch = tiny.tokenizer(TEXTS, padding=True, return_tensors="pt")
        with torch.inference_mode():
            self.logits = adapted.eval()(**batch).logits
            self.plain = type(tiny.model).from_pretrained(base).eval()(**batch).logits


@pytest.fixture(scope="module", params=["bert", "roberta"])
def adapted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Adapted:
    pytest.importorskip("peft", reason="the package peft is not installed")
    tiny = tiny_classifier(request.param)
    base = tmp_path_factory.mktemp("base") / "m"
    save(tiny, base)
    return Adapted(tiny, base, tmp_path_factory.mktemp("adapter") / "a")


def test_unmerged_logits_are_those_of_peft_bit_for_bit(adapted: Adapted) -> None:
    assert (adapted.logits - adapted.plain).abs().max() > 0.1  # the adapter does something
    classifier = Classifier.load(adapted.folder, merge_adapter=False)
    assert torch.equal(_logits(classifier), adapted.logits)


def test_merged_logits_are_those_of_peft_to_rounding(adapted: Adapted) -> None:
    classifier = Classifier.load(adapted.folder)
    assert torch.allclose(_logits(classifier), adapted.logits, atol=1e-4)
    names = {type(module).__module__.partition(".")[0] for module in classifier.model.modules()}
    assert "peft" not in names  # a plain model, on which every route works
    assert not any(weight.requires_grad for weight in classifier.model.parameters())
    assert any("LORA adapter merged into base model" in note for note in classifier.notes)
    assert classifier.origin["adapter"] == "LORA, merged"
    assert classifier.origin["base_model"] == str(adapted.base)
    assert classifier.name == str(adapted.folder)


def test_both_have_the_trained_head_and_all_sites(adapted: Adapted) -> None:
    merged, beside = (Classifier.load(adapted.folder, merge_adapter=m) for m in (True, False))
    assert type(beside.output_layer) is torch.nn.Linear
    assert (merged.head_weight == beside.head_weight).all()
    assert merged.sites == beside.sites
    assert merged.fingerprint() != beside.fingerprint()
    base = Classifier.load(adapted.base)
    assert (merged.head_weight != base.head_weight).any()


def test_the_base_model_may_lie_elsewhere(adapted: Adapted, tmp_path: Path) -> None:
    folder = shutil.copytree(adapted.folder, tmp_path / "a")
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(
        json.dumps(config | {"base_model_name_or_path": "/nowhere/at/all"})
    )
    assert "--base-model" in _refusal(folder)
    found = Classifier.load(folder, base_model=str(adapted.base))
    assert torch.allclose(_logits(found), adapted.logits, atol=1e-4)
    assert "model '" in _refusal(folder, base_model=str(tmp_path / "none"))


def test_an_adapter_of_another_model_is_refused(adapted: Adapted, tmp_path: Path) -> None:
    save(tiny_classifier("distilbert"), tmp_path / "m")
    assert "does not fit its base model" in _refusal(adapted.folder, base_model=str(tmp_path / "m"))


def test_missing_adapter_weights_are_refused(adapted: Adapted, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(adapted.folder, tmp_path / "a")
    weights = load_file(folder / "adapter_model.safetensors")
    dropped = next(name for name in weights if "lora_B" in name)
    save_file(
        {n: w for n, w in weights.items() if n != dropped}, folder / "adapter_model.safetensors"
    )
    assert "missing adapter keys" in _refusal(folder)


def test_a_base_model_without_a_head_takes_the_adapters(tmp_path: Path) -> None:
    """As it is trained in practice: a language model below, LoRA and a new head above."""
    peft = pytest.importorskip("peft", reason="the package peft is not installed")
    tiny = tiny_classifier("bert")
    tiny.model.base_model.save_pretrained(tmp_path / "base")  # architectures: BertModel
    tiny.tokenizer.save_pretrained(tmp_path / "base")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        model = type(tiny.model).from_pretrained(tmp_path / "base", num_labels=3)
    config = peft.LoraConfig(
        r=2, target_modules=["query"], task_type="SEQ_CLS", modules_to_save=["classifier", "pooler"]
    )
    whole: Any = peft.get_peft_model(model, config).eval()
    whole.save_pretrained(tmp_path / "a")
    batch = tiny.tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        expected = whole(**batch).logits
    classifier = Classifier.load(tmp_path / "a", merge_adapter=False)
    assert torch.equal(_logits(classifier), expected)
    assert classifier.classes == ("LABEL_0", "LABEL_1", "LABEL_2")
    # Names are in no adapter; a config.json beside it may have them.
    names = {"id2label": {"0": "x", "1": "y", "2": "z"}}
    (tmp_path / "a" / "config.json").write_text(json.dumps(names))
    assert Classifier.load(tmp_path / "a").classes == ("x", "y", "z")
