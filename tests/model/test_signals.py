"""Encoders of inputs that are no texts: what they give, what they say of it, what they refuse."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import ASTFeatureExtractor, ViTConfig, Wav2Vec2Config, Wav2Vec2FeatureExtractor

from synapse_audit.artifacts import Signal
from synapse_audit.errors import DataError, ModelError
from synapse_audit.model import Encoded
from synapse_audit.model.inputs.processors import signal_inputs
from synapse_audit.model.inputs.signals import (
    as_encoder,
    image_encoder,
    resampled,
    series_encoder,
    sound_encoder,
    stacking_collator,
)


def _sound(samples: int, rate: int | None, name: str = "'it'") -> Signal:
    values = np.random.default_rng(samples).normal(size=samples).astype(np.float32)
    return Signal(name, str(samples), values, rate)


def _refusal(encode: Any, *inputs: Any) -> str:
    with pytest.raises(DataError) as caught:
        encode(list(inputs))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_texts_are_refused_in_one_line() -> None:
    encode = as_encoder(series_encoder(4, 2))
    assert "texts given to a model that reads images" in _refusal(encode, "a text")
    assert "texts given to a model that reads images" in _refusal(encode, ("a", "pair"))


def test_series_keep_their_last_steps_and_stack() -> None:
    series = [np.arange(12.0).reshape(6, 2), np.arange(8.0).reshape(4, 2)]
    encoded = series_encoder(4, 2)([Signal("'it'", "", series[0]), series[1]])
    batch = stacking_collator()([encoded.features[0], encoded.features[1]])
    assert encoded.lengths.tolist() == [2, 2]
    assert encoded.n_truncated == 1
    assert batch["past_values"].shape == (2, 4, 2)
    assert torch.equal(batch["past_values"][0], torch.from_numpy(series[0][2:]).float())


def test_series_that_do_not_fit_are_named() -> None:
    encode = series_encoder(4, 2, channels=2)
    short = Signal("'short.npy'", "", np.zeros((3, 2)))
    expected = "'short.npy' has the shape (3, 2); expected (time, channels) with 4 steps or more"
    assert expected in _refusal(encode, np.zeros((4, 2)), short)
    assert "and 2 channels" in _refusal(encode, np.zeros((4, 3)))
    assert "holds values that are no numbers" in _refusal(encode, np.full((4, 2), np.inf))


def test_resampling_keeps_the_tone() -> None:
    tone = np.sin(2 * np.pi * 440 * np.arange(4000) / 8000)
    wanted = np.sin(2 * np.pi * 440 * np.arange(8000) / 16000)
    found = resampled(tone, 8000, 16000)
    assert found.shape == (8000,)
    assert np.abs(found - wanted)[100:-100].max() < 0.01
    high = np.sin(2 * np.pi * 7000 * np.arange(8000) / 16000)  # more than 8000 per second can hold
    assert np.abs(resampled(high, 16000, 8000))[100:-100].max() < 0.01


def test_what_was_done_to_sounds_is_said() -> None:
    extractor = Wav2Vec2FeatureExtractor(do_normalize=False)
    encode = sound_encoder(extractor, 16000, shortest=10)
    stereo = Signal("'it'", "", np.zeros((100, 2), dtype=np.int16), 16000)
    encoded = encode([_sound(100, 8000), _sound(200, 8000), _sound(60, None), stereo])
    assert encoded.lengths.tolist() == [200, 400, 60, 100]
    assert encoded.notes == (
        "2 of 4 sounds resampled from 8,000 to 16,000 samples per second",
        "1 of 4 sounds without a sampling rate, taken at 16,000 samples per second",
        "1 of 4 sounds averaged over their channels",
    )
    assert encode([_sound(60, 16000)]).notes == ()
    assert "'it' has 9 samples at 16,000 per second; expected 10" in _refusal(
        encode, _sound(9, 16000)
    )


def test_sounds_that_a_spectrogram_cuts_are_counted(tmp_path: Path) -> None:
    extractor = ASTFeatureExtractor(num_mel_bins=8, max_length=16, mean=0.0, std=0.5)
    extractor.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "audio-spectrogram-transformer"})
    )
    inputs = signal_inputs(str(tmp_path), "audio")
    assert inputs.reads.endswith("by ASTFeatureExtractor, cut or padded to 0.16 s")

    def frames(samples: int) -> int:
        values = extractor._extract_fbank_features(np.ones(samples, dtype=np.float32), 64)
        return int(values.any(axis=1).sum())

    for samples in (2959, 2960):
        one = np.random.default_rng(0).normal(size=samples).astype(np.float32)
        encoded = inputs.encoder([one])
        assert encoded.n_truncated == int(frames(samples) > 16)
        expected = extractor(one, sampling_rate=16000, return_tensors="np")["input_values"][0]
        assert np.array_equal(encoded.features[0]["input_values"], expected)
    assert (frames(2959), frames(2960)) == (16, 17)


class _Shy:
    """A processor that takes some images only, and leaves their size alone."""

    def __call__(self, image: Any, *, return_tensors: str) -> dict[str, np.ndarray]:
        values = np.asarray(image)
        if values.max() > 200:
            raise ValueError("too bright\nand more")
        return {"pixel_values": values.transpose(2, 0, 1)[None]}


def test_images_that_a_processor_refuses_or_leaves_unequal() -> None:
    encode = image_encoder(_Shy(), 1)
    dark, small = (Signal("'a.png'", "", np.zeros(s, dtype=np.uint8)) for s in ((4, 4), (2, 4)))
    bright = Signal("'b.png'", "", np.full((4, 4), 255, dtype=np.uint8))
    assert len(encode([dark, dark])) == 2
    message = _refusal(encode, dark, bright)
    assert message.startswith("'b.png' is refused by the model's processor: too bright; expected")
    assert "several sizes" in _refusal(encode, dark, small)


def test_the_least_that_convolutions_need() -> None:
    """The published wav2vec2 sees 400 samples, 25 ms, with one state."""
    from synapse_audit.model.inputs.processors import _field

    assert _field(Wav2Vec2Config()) == 400
    assert _field(ViTConfig()) == 1


def test_a_processor_that_does_not_work_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ViTConfig(image_size=8, patch_size=4).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="its processor cannot be loaded"):
        signal_inputs(str(tmp_path), "image")
    from transformers import AutoImageProcessor

    monkeypatch.setattr(AutoImageProcessor, "from_pretrained", lambda *a, **k: dict)
    with pytest.raises(ModelError, match="its processor does not work: a trial input is refused"):
        signal_inputs(str(tmp_path), "image")


def test_notes_of_encoded_inputs_default_to_none() -> None:
    assert Encoded((), np.zeros(0, dtype=np.int64), 0).notes == ()
