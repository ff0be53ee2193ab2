"""Rows of the head: exchanged names, scaled logits, and noise that stays in its columns."""

import numpy as np
import torch
from torch import nn

from synapse_audit.interventions.edits import HeadView, applied, column_noise, row_scale, row_swap


def _layer() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(6, 3)


def _view(layer: nn.Linear) -> HeadView:
    weight, bias = layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy()
    return HeadView(weight, np.ones((2, 6), dtype=np.float32), np.array([0, 1]), bias)


def test_a_swap_exchanges_two_logits() -> None:
    layer, x = _layer(), torch.randn(5, 6)
    with torch.no_grad():
        clean = layer(x)
        with applied(layer, layer, row_swap(_view(layer), 0, 2)):
            swapped = layer(x)
    torch.testing.assert_close(swapped, clean[:, [2, 1, 0]])


def test_a_scaled_row_scales_its_logit_without_the_bias() -> None:
    layer, x = _layer(), torch.randn(5, 6)
    with torch.no_grad():
        clean = layer(x)
        with applied(layer, layer, row_scale(_view(layer), 1, 3.0)):
            scaled = layer(x)
    expected = clean.clone()
    expected[:, 1] = 3 * (clean[:, 1] - layer.bias[1]) + layer.bias[1]
    torch.testing.assert_close(scaled, expected)


def test_noise_has_its_size_and_its_columns() -> None:
    view = HeadView(
        np.zeros((50, 400), dtype=np.float32),
        np.ones((1, 400), dtype=np.float32),
        np.zeros(1, int),
        None,
    )
    columns = np.arange(0, 400, 2)
    edit = column_noise(view, columns, 0.05, np.random.default_rng(0))
    assert not edit.weight[:, 1::2].any()
    assert abs(edit.weight[:, columns].std() - 0.05) < 0.001
    fewer = column_noise(view, columns[:3], 0.05, np.random.default_rng(0))
    np.testing.assert_array_equal(fewer.weight[:, 0], edit.weight[:, 0])
