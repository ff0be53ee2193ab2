"""Tiny models of every family as saved folders, with data that they classify faultlessly.

The labels are what the model says; its head is moved so that no class is rare. Texts are rows of
token ids or, where padding may be on the left, words for a tokenizer that puts it there; images,
sounds and series are files.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from cli.signal_data import IMAGES, KIND, SOUNDS, ViTImageProcessorPil
from PIL import Image
from tiny import Special, word_tokenizer
from torch import Tensor, nn
from transformers import ASTFeatureExtractor, PreTrainedModel

from synapse_audit.artifacts import Signal
from synapse_audit.model.families.record import AUDIO, IMAGE, SERIES, TEXT

from .families import own_logits
from .kinds import KINDS

CLASSES, DRAWN = 3, 60
FEWEST, MOST = 16, 24
"""Examples of a class."""
RATE = 16000
WORDS = [f"w{i}" for i in range(36)]
TOKENS = Special(("[PAD]", "[CLS]", "[SEP]", "[UNK]"), "[CLS]", "[SEP]", "[PAD]", "[UNK]")
LARGE = ViTImageProcessorPil(size={"height": 16, "width": 16})
SPECTRA = ASTFeatureExtractor(num_mel_bins=8, max_length=16, mean=-9.0, std=2.0)
READS = {"pixel_values": IMAGE, "input_values": AUDIO, "past_values": SERIES}
"""First tensor of a batch → what the model reads."""


@dataclass(frozen=True)
class Saved:
    """A model folder and its data."""

    name: str
    model: Path
    data: Path
    given: tuple[Any, ...]
    """What was drawn; files are numbered by their place here."""

    @property
    def tokens(self) -> str:
        """What the text column holds."""
        return tokens(self.name)

    def alone(self, read: Any) -> dict[str, Tensor]:
        """One row of the data by transformers' own tokenizer or processor: nothing is padded."""
        if isinstance(read, Signal):
            (place,) = re.findall(r"(\d{4})\.", read.name)
            read = self.given[int(place)]
        return alone(self.name, read)


def modality(name: str) -> str:
    """What a family reads."""
    return READS.get(next(iter(KINDS[name].batch())), TEXT)


def tokens(name: str) -> str:
    """What a text column holds for a family."""
    return "ids" if modality(name) == TEXT and not _worded(name) else "text"


def _worded(name: str) -> bool:
    # For Qwen2 transformers builds a tokenizer of its own, whatever class was saved.
    return KINDS[name].left and name != "qwen2"


def save_model(name: str, folder: Path) -> PreTrainedModel:
    """Writes the tiny model of a family, with the processor that it needs."""
    model = KINDS[name].build()
    model.config.id2label = {c: f"LABEL_{c}" for c in range(CLASSES)}
    model.config.label2id = {f"LABEL_{c}": c for c in range(CLASSES)}
    model.save_pretrained(folder)
    processor = _processor(name)
    if processor is not None:
        processor.save_pretrained(folder)
    return model


def save(name: str, folder: Path) -> Saved:
    """Writes model and data below a folder."""
    model = save_model(name, folder / "model")
    random = np.random.default_rng(0)
    drawn = [_draw(name, random) for _ in range(DRAWN)]
    _balance(model, [alone(name, one) for one in drawn])
    model.save_pretrained(folder / "model")
    found: list[list[Any]] = [[] for _ in range(CLASSES)]
    while min(map(len, found)) < FEWEST:
        one = drawn.pop() if drawn else _draw(name, random)
        found[int(own_logits(model, alone(name, one)).argmax())].append(one)
    kept = [(one, f"LABEL_{c}") for c, mine in enumerate(found) for one in mine[:MOST]]
    given, names = zip(*kept, strict=True)
    data = folder / "data"
    if modality(name) == TEXT:
        data = folder / "rows.csv"
        pd.DataFrame({"text": given, "label": names}).to_csv(data, index=False)
    for place, (one, label) in enumerate(zip(given, names, strict=True)):
        if modality(name) != TEXT:
            (data / label).mkdir(parents=True, exist_ok=True)
            kind = KIND[modality(name)]
            kind.write(data / label / f"{place:04}{kind.suffix}", one)
    return Saved(name, folder / "model", data, given)


@torch.no_grad()
def _balance(model: PreTrainedModel, batches: Sequence[dict[str, Tensor]]) -> None:
    """Moves the last layer so that the mean of each logit is 0."""
    (head,) = (m for m in model.modules() if isinstance(m, nn.Linear) and m.out_features == CLASSES)
    seen: list[Tensor] = []
    handle = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    logits = torch.cat([own_logits(model, batch) for batch in batches])
    handle.remove()
    read = torch.cat([states[:, -1] if states.ndim == 3 else states for states in seen])
    mean, axis = logits.mean(0), read.mean(0)
    # Some heads have no bias to be moved.
    head.weight -= torch.outer(mean, axis) / axis.square().sum()


def alone(name: str, one: Any) -> dict[str, Tensor]:
    """One input as a batch of its own."""
    reads, processor = modality(name), _processor(name)
    if _worded(name):
        return dict(processor(one, return_tensors="pt"))
    if reads == TEXT:
        ids = torch.tensor([[int(token) for token in one.split()]])
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if reads == IMAGE:
        return dict(processor([Image.fromarray(one)], return_tensors="pt"))
    if reads == SERIES:
        return dict(KIND[reads].batch([one]))
    wave = (one / 32768).astype(np.float32)
    return dict(processor([wave], sampling_rate=RATE, return_tensors="pt"))


def _processor(name: str) -> Any:
    if modality(name) == IMAGE:
        return LARGE if name == "swin" else IMAGES
    if modality(name) == AUDIO:
        return SPECTRA if name.startswith("audio") else SOUNDS
    return _left_tokenizer() if _worded(name) else None


def _left_tokenizer() -> Any:
    tokenizer = word_tokenizer(WORDS, TOKENS)
    tokenizer.padding_side = tokenizer.init_kwargs["padding_side"] = "left"
    return tokenizer


def _draw(name: str, random: np.random.Generator) -> Any:
    if name.startswith("audio"):
        return _spoken(random)
    if name in ("wav2vec2", "hubert"):  # what they say depends on the padding of their batch
        return KIND[AUDIO].make(random)[:90]
    if modality(name) != TEXT:
        return KIND[modality(name)].make(random)
    body = random.integers(4, 40, size=random.integers(3, 9)).tolist()
    if _worded(name):
        return " ".join(WORDS[token - 4] for token in body)
    known = KINDS[name].batch()  # its first and last token are the family's own
    row = known["input_ids"][0][known["attention_mask"][0] > 0].tolist()
    return " ".join(map(str, [row[0], *body, *(token for token in row[-1:] if token < 3)]))


def _spoken(random: np.random.Generator) -> np.ndarray:
    """Two tones in noise, long enough for a spectrogram."""
    times = np.arange(random.integers(1500, 4000)) / RATE
    tones = np.sin(2 * np.pi * random.uniform(100, 7000, size=(2, 1)) * times).sum(0)
    wave = tones + random.normal(0, random.uniform(0.01, 1), len(times))
    return (wave * 5000).astype(np.int16)
