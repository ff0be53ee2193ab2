"""The hash of a model holds every number in it, also those that quantised modules pack away."""

import copy

import pytest
import torch
from torch import nn

from synapse_audit.model.loading.weights import digest

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # torch.ao announces its end
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


def _quantised(model: nn.Module) -> nn.Module:
    return torch.ao.quantization.quantize_dynamic(
        copy.deepcopy(model), {nn.Linear}, torch.qint8, inplace=False
    )


@pytest.mark.parametrize("quantised", [False, True])
def test_one_changed_weight_changes_the_hash(quantised: bool) -> None:
    plain = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    changed = copy.deepcopy(plain)
    with torch.no_grad():
        # Not the largest weight of its layer, which sets the scale of all.
        flat = changed[2].weight.flatten()
        place = int(flat.abs().argmin())
        changed[2].weight.view(-1)[place] = flat.abs().max() / 2
    if quantised:
        plain, changed = _quantised(plain), _quantised(changed)
        one, other = (model[2].weight().int_repr() for model in (plain, changed))
        assert (one != other).sum() == 1
    assert digest(plain) == digest(copy.deepcopy(plain))
    assert digest(plain) != digest(changed)


def test_the_scale_of_integers_counts() -> None:
    plain = nn.Sequential(nn.Linear(4, 3))
    larger = copy.deepcopy(plain)
    with torch.no_grad():
        larger[0].weight *= 2
    one, other = _quantised(plain), _quantised(larger)
    assert (one[0].weight().int_repr() == other[0].weight().int_repr()).all()
    assert digest(one) != digest(other)
