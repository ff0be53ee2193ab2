"""Models that cannot be loaded, or not as they are: one line that names what is wrong."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import CLASSES, save, tiny_classifier

from synapse_audit.errors import AuditError, DataError, ModelError
from synapse_audit.model import Classifier

Edit = Callable[[dict[str, Any]], Any]


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tiny_classifier("bert"), tmp_path_factory.mktemp("bert"))


@pytest.fixture
def folder(bert: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bert, tmp_path / "model"))


def edited(folder: Path, file: str = "config.json", **fields: Any) -> Path:
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))
    return folder


def weights(folder: Path, change: Callable[[str, torch.Tensor], torch.Tensor]) -> Path:
    file = folder / "model.safetensors"
    held = {name: change(name, tensor) for name, tensor in load_file(file).items()}
    save_file(held, file, {"format": "pt"})
    return folder


def refusal(folder: Path, **options: Any) -> str:
    with pytest.raises(ModelError) as caught:
        Classifier.load(folder, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("layer_norm_eps", "1e-12"),
        ("initializer_range", 1),
        ("id2label", list(CLASSES)),
        ("num_labels", None),
        ("hidden_act", "gelu_10_new"),
        ("dtype", "fp16"),
        ("num_hidden_layers", "three"),
        ("num_hidden_layers", 10**9),
        ("num_hidden_layers", 0),
        ("hidden_size", 10**12),
        ("vocab_size", 10**9),
        ("vocab_size", -1),
        ("num_attention_heads", 0),
        ("max_position_embeddings", []),
        ("num_labels", 10**9),
        ("num_labels", 10**6),
        ("id2label", {str(i): str(i) for i in range(6_000)}),
        ("depths", [2, 10**9]),
        ("model_type", 7),
        ("problem_type", "regression"),
    ],
)
def test_a_field_of_wrong_type_or_absurd_size_is_named(
    folder: Path, name: str, value: object
) -> None:
    assert name in refusal(edited(folder, **{name: value}))


@pytest.mark.parametrize("held", ["[]", "{", "7", '{"model_type": "bert"', ""])
def test_what_is_no_configuration(folder: Path, held: str) -> None:
    (folder / "config.json").write_text(held)
    assert "config.json" in refusal(folder)


def test_sizes_beyond_the_files_are_refused_before_memory_is_taken(folder: Path) -> None:
    # 60,000,000 rows of 32 numbers: 7.7 GB that the files do not hold.
    message = refusal(edited(folder, vocab_size=60_000_000))
    assert "1,920,0" in message  # and what the layers hold besides
    assert "its files hold" in message


@pytest.mark.parametrize(("number", "said"), [(float("nan"), "NaN"), (float("inf"), "infinite")])
def test_weights_that_are_no_numbers_are_named(folder: Path, number: float, said: str) -> None:
    def change(name: str, tensor: torch.Tensor) -> torch.Tensor:
        if name == "bert.encoder.layer.1.output.dense.weight":
            tensor[3, 4] = number
        return tensor

    message = refusal(weights(folder, change))
    assert f"bert.encoder.layer.1.output.dense.weight {'1 of 1,536 ' if said == 'NaN' else ''}" in (
        message
    )
    assert said in message


def test_nothing_but_zeros(folder: Path) -> None:
    assert "nothing but zeros" in refusal(weights(folder, lambda _, x: torch.zeros_like(x)))


def test_return_dict_false_is_as_true(bert: Path, folder: Path, rows: pd.DataFrame) -> None:
    texts = rows["text"].tolist()[:6]
    found = []
    for source in (bert, edited(folder, return_dict=False)):
        classifier = Classifier.load(source)
        found.append(classifier.logits(classifier.collate(classifier.encode(texts), range(6))))
    assert torch.equal(*found)


def test_a_tokenizer_without_padding_token_pads_with_what_the_model_has(
    bert: Path, folder: Path, rows: pd.DataFrame
) -> None:
    texts = rows["text"].tolist()[:6]
    file = folder / "tokenizer_config.json"
    held = json.loads(file.read_text())
    held.pop("pad_token")
    file.write_text(json.dumps(held))
    found = []
    for source in (bert, folder):
        classifier = Classifier.load(source)
        found.append(classifier.logits(classifier.collate(classifier.encode(texts), range(6))))
    assert torch.equal(*found)


def test_a_token_beyond_the_embeddings_is_named(folder: Path) -> None:
    file = folder / "tokenizer.json"
    held = json.loads(file.read_text())
    held["model"]["vocab"]["newcomer"] = 999
    file.write_text(json.dumps(held))
    classifier = Classifier.load(folder)
    with pytest.raises(DataError, match="'newcomer' \\(id 999\\)") as caught:
        classifier.encode(["word1 calm1", "word2 newcomer"])
    assert "text 'word2 newcomer'" in str(caught.value)


def test_two_classes_of_one_name_are_distinguished_by_number(folder: Path) -> None:
    names = {"0": "crane", "1": "calm", "2": "crane", "3": "heron"}
    classifier = Classifier.load(edited(folder, id2label=names, label2id={}))
    assert classifier.classes == ("crane (0)", "calm", "crane (2)", "heron")


def test_a_model_in_training_mode_stays_so(rows: pd.DataFrame) -> None:
    from synapse_audit.model.families.known import family_of
    from synapse_audit.model.inputs.text import text_collator, text_encoder

    tiny = tiny_classifier("bert")
    texts = rows["text"].tolist()[:6]
    with torch.no_grad():
        wanted = tiny.model(**tiny.tokenizer(texts, padding=True, return_tensors="pt")).logits
    tiny.model.train()
    tiny.model.bert.embeddings.eval()  # frozen
    classifier = Classifier.wrap(
        tiny.model,
        classes=CLASSES,
        encoder=text_encoder(tiny.tokenizer, 64),
        collator=text_collator(tiny.tokenizer),
        family=family_of("bert"),
    )
    modes = [module.training for module in tiny.model.modules()]
    assert tiny.model.training
    assert not tiny.model.bert.embeddings.training
    batch = classifier.collate(classifier.encode(texts), range(6))
    assert torch.equal(classifier.logits(batch), wanted)  # no dropout
    with classifier.unharmed():
        assert not tiny.model.training
    assert [module.training for module in tiny.model.modules()] == modes


@pytest.mark.proof
@pytest.mark.parametrize("value", [None, "x", -1, 0, 10**9, 10**15, [], {}, 1.5, True, [1, 2]])
def test_no_value_of_any_field_gives_anything_but_one_line(folder: Path, value: object) -> None:
    held = json.loads((folder / "config.json").read_text())
    for name in held:
        (folder / "config.json").write_text(json.dumps(held | {name: value}))
        try:
            Classifier.load(folder)
        except AuditError as error:
            assert "\n" not in str(error)
