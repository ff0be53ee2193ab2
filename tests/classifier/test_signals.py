"""Encoders of inputs that are no texts: what they give, and what they refuse."""

import numpy as np
import pytest
import torch

from synapse_audit.classifier.signals import as_encoder, series_encoder, stacking_collator
from synapse_audit.errors import DataError


def test_texts_are_refused_in_one_line() -> None:
    encode = as_encoder(series_encoder(4, 2))
    with pytest.raises(DataError, match="texts given to a model that reads images"):
        encode(["a text"])


def test_series_keep_their_last_steps_and_stack() -> None:
    series = [np.arange(12.0).reshape(6, 2), np.arange(8.0).reshape(4, 2)]
    encoded = as_encoder(series_encoder(4, 2))(series)
    batch = stacking_collator()([encoded.features[0], encoded.features[1]])
    assert encoded.lengths.tolist() == [2, 2]
    assert batch["past_values"].shape == (2, 4, 2)
    assert torch.equal(batch["past_values"][0], torch.from_numpy(series[0][2:]).float())
