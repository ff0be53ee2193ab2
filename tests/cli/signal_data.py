"""Tiny saved models of images, sounds and series, each with data that it classifies faultlessly.

The labels are what transformers itself predicts with its own processor, so that an audit finds an
accuracy of 1 only if every file reaches the model as it should, under the label of its folder.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from model.kinds import KINDS
from PIL import Image
from scipy.io import wavfile
from torch import Tensor
from transformers import PreTrainedModel, Wav2Vec2FeatureExtractor

try:
    from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil
except ModuleNotFoundError:  # transformers 4: the plain name is Pillow's
    from transformers import ViTImageProcessor as ViTImageProcessorPil

CLASSES = ("a b", "c", "d")
PER_CLASS = 20
RATE = 16000


@dataclass(frozen=True)
class Saved:
    """A model folder, a folder of classes, and what transformers says of some of its files."""

    model: Path
    data: Path
    files: tuple[Path, ...]
    logits: Tensor
    """Of ``files``, in one batch."""


@dataclass(frozen=True)
class _Kind:
    name: str
    suffix: str
    make: Callable[[np.random.Generator], np.ndarray]
    write: Callable[[Path, np.ndarray], object]
    batch: Callable[[Sequence[np.ndarray]], Mapping[str, Any]]
    """By transformers' own processor, from the arrays that were written."""
    processor: Any = None


def _image(random: np.random.Generator) -> np.ndarray:
    colour, shape = random.integers(0, 256, 3), (random.integers(9, 30), random.integers(9, 30), 3)
    return np.clip(random.normal(colour, 30, shape), 0, 255).astype(np.uint8)


def _sound(random: np.random.Generator) -> np.ndarray:
    samples = np.arange(random.integers(90, 200))
    wave = np.sin(samples * random.uniform(0.05, 3)) + random.normal(0, 0.1, len(samples))
    return (wave * 9000).astype(np.int16)


def _series(random: np.random.Generator) -> np.ndarray:
    return random.normal(random.normal(0, 2, 2), random.uniform(0.1, 3, 2), (20, 2))


IMAGES = ViTImageProcessorPil(size={"height": 12, "width": 12})
SOUNDS = Wav2Vec2FeatureExtractor(return_attention_mask=True)

KIND = {
    "image": _Kind(
        "vit",
        ".png",
        _image,
        lambda path, pixels: Image.fromarray(pixels).save(path),
        lambda given: IMAGES([Image.fromarray(one) for one in given], return_tensors="pt"),
        IMAGES,
    ),
    "audio": _Kind(
        "wav2vec2, stable norm",
        ".wav",
        _sound,
        lambda path, wave: wavfile.write(path, RATE, wave),
        lambda given: SOUNDS(
            [(one / 32768).astype(np.float32) for one in given],
            sampling_rate=RATE,
            padding=True,
            return_tensors="pt",
        ),
        SOUNDS,
    ),
    "series": _Kind(
        "patchtst",
        ".npy",
        _series,
        lambda path, values: np.save(path, values),
        lambda given: {"past_values": torch.tensor(np.stack(given)[:, -16:], dtype=torch.float32)},
    ),
}


@torch.no_grad()
def save_signals(modality: str, folder: Path) -> Saved:
    """Writes model and data of one modality below a folder."""
    kind = KIND[modality]
    random = np.random.default_rng(0)
    given = [kind.make(random) for _ in range(40 * PER_CLASS)]
    model = _balanced(KINDS[kind.name].build(), kind, given)
    model.config.id2label = dict(enumerate(CLASSES))
    model.config.label2id = {name: i for i, name in enumerate(CLASSES)}
    model.save_pretrained(folder / "model")
    if kind.processor is not None:
        kind.processor.save_pretrained(folder / "model")
    predicted = _logits(model, kind.batch(given)).argmax(1).tolist()
    files, kept = [], []
    for label, name in enumerate(CLASSES):
        (folder / "data" / name).mkdir(parents=True)
        for place in [i for i, other in enumerate(predicted) if other == label][:PER_CLASS]:
            files.append(folder / "data" / name / f"{place:04}{kind.suffix}")
            kept.append(given[place])
            kind.write(files[-1], given[place])
    assert len(files) == PER_CLASS * len(CLASSES)
    logits = _logits(model, kind.batch(kept[:8]))
    return Saved(folder / "model", folder / "data", tuple(files[:8]), logits)


def _balanced(model: PreTrainedModel, kind: _Kind, given: Sequence[np.ndarray]) -> PreTrainedModel:
    """The same model with its last bias moved so that no class is rare."""
    logits = _logits(model, kind.batch(given))
    last = [m for m in model.modules() if isinstance(m, torch.nn.Linear)][-1]
    assert last.out_features == len(CLASSES)
    last.bias -= logits.mean(0)
    return model


def _logits(model: PreTrainedModel, batch: Mapping[str, Any]) -> Tensor:
    output: Any = model(**batch)
    return output.logits if hasattr(output, "logits") else output.prediction_logits
