"""Tiny real classifiers for tests: random weights, a head fitted on the tiny rows.

Four classes of short texts, each class with words of its own among shared fillers. The encoder
is random (seeded) with weights large enough to let words reach the pooled position; the last
linear layer is fitted in closed form, so that predictions, label maps and damage mean something.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
)

CLASSES = ("calm", "cheer", "rage", "woe")
ROWS_PER_CLASS = 60
LAYERS, HIDDEN, HEADS = 3, 32, 4

WORDS = {name: [f"{name}{i}" for i in range(10)] for name in CLASSES}
FILLERS = [f"word{i}" for i in range(150)]


class Special(NamedTuple):
    """The special tokens of a family, in the order of their ids."""

    tokens: tuple[str, ...]
    begin: str
    end: str
    pad: str
    unknown: str


BERT_TOKENS = Special(("[PAD]", "[UNK]", "[CLS]", "[SEP]"), "[CLS]", "[SEP]", "[PAD]", "[UNK]")
ROBERTA_TOKENS = Special(("<s>", "<pad>", "</s>", "<unk>"), "<s>", "</s>", "<pad>", "<unk>")


def tiny_rows(seed: int = 0) -> pd.DataFrame:
    """240 distinct texts of 4 to 16 words with their labels, classes interleaved."""
    generator = np.random.default_rng(seed)
    rows: dict[str, str] = {}
    while len(rows) < ROWS_PER_CLASS * len(CLASSES):
        label = CLASSES[len(rows) % len(CLASSES)]
        fillers = generator.choice(FILLERS, size=generator.integers(1, 10))
        own = generator.choice(WORDS[label], size=generator.integers(3, 8))
        rows[" ".join(generator.permutation([*fillers, *own]))] = label
    return pd.DataFrame({"text": list(rows), "label": list(rows.values())})


def word_tokenizer(words: list[str], special: Special = BERT_TOKENS) -> PreTrainedTokenizerFast:
    """One token per word, split at white space, wrapped in the family's special tokens."""
    ids = {word: i for i, word in enumerate([*special.tokens, *words])}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=special.unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{special.begin} $A {special.end}",
        pair=f"{special.begin} $A {special.end} $B {special.end}",
        special_tokens=[(special.begin, ids[special.begin]), (special.end, ids[special.end])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=64,
        cls_token=special.begin,
        sep_token=special.end,
        pad_token=special.pad,
        unk_token=special.unknown,
        bos_token=special.begin,
        eos_token=special.end,
        model_input_names=["input_ids", "attention_mask"],
    )


def tiny_vocabulary() -> list[str]:
    """Every word that :func:`tiny_rows` may use."""
    return [*FILLERS, *(word for own in WORDS.values() for word in own)]


def _labels() -> dict[str, Any]:
    names = dict(enumerate(CLASSES))
    return {"id2label": names, "label2id": {name: i for i, name in names.items()}}


def _bert() -> PreTrainedModel:
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=len(tiny_vocabulary()) + 4,
            hidden_size=HIDDEN,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            intermediate_size=48,
            max_position_embeddings=64,
            initializer_range=0.1,
            **_labels(),
        )
    )


def _distilbert() -> PreTrainedModel:
    return DistilBertForSequenceClassification(
        DistilBertConfig(
            vocab_size=len(tiny_vocabulary()) + 4,
            dim=HIDDEN,
            n_layers=LAYERS,
            n_heads=HEADS,
            hidden_dim=48,
            max_position_embeddings=64,
            initializer_range=0.1,
            **_labels(),
        )
    )


def _roberta() -> PreTrainedModel:
    return RobertaForSequenceClassification(
        RobertaConfig(
            vocab_size=len(tiny_vocabulary()) + 4,
            hidden_size=HIDDEN,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            intermediate_size=48,
            max_position_embeddings=66,
            type_vocab_size=1,
            pad_token_id=1,
            bos_token_id=0,
            eos_token_id=2,
            initializer_range=0.1,
            **_labels(),
        )
    )


class Family(NamedTuple):
    """How to build one architecture's tiny classifier."""

    build: Callable[[], PreTrainedModel]
    special: Special
    last_linear: str
    """Path of the layer that gives the logits."""


FAMILIES = {
    "bert": Family(_bert, BERT_TOKENS, "classifier"),
    "distilbert": Family(_distilbert, BERT_TOKENS, "classifier"),
    "roberta": Family(_roberta, ROBERTA_TOKENS, "classifier.out_proj"),
}


class Tiny(NamedTuple):
    """A classifier in eval mode and its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast


def tiny_classifier(family: str, seed: int = 0) -> Tiny:
    """A seeded random encoder of the family whose head is fitted on :func:`tiny_rows`.

    The global random state of torch is left as it was.
    """
    spec = FAMILIES[family]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = spec.build().eval()
    tokenizer = word_tokenizer(tiny_vocabulary(), spec.special)
    _fit_head(model, tokenizer, spec.last_linear)
    return Tiny(model, tokenizer)


@torch.no_grad()
def _fit_head(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, path: str) -> None:
    rows = tiny_rows()
    head = model.get_submodule(path)
    assert isinstance(head, torch.nn.Linear)
    seen: list[torch.Tensor] = []
    handle = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model(**tokenizer(rows["text"].tolist(), padding=True, return_tensors="pt"))
    handle.remove()
    features = torch.cat([seen[0], torch.ones(len(rows), 1)], dim=1).double()
    wanted = torch.eye(len(CLASSES)).double()[[CLASSES.index(c) for c in rows["label"]]]
    ridge = features.T @ features + 1e-2 * torch.eye(features.shape[1]).double()
    solution = 10 * torch.linalg.solve(ridge, features.T @ wanted).T
    head.weight.copy_(solution[:, :-1])
    head.bias.copy_(solution[:, -1])


def save(tiny: Tiny, folder: Path) -> Path:
    """Writes model and tokenizer as a user would have them."""
    tiny.model.save_pretrained(folder)
    tiny.tokenizer.save_pretrained(folder)
    return folder
