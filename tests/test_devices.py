"""The stand-in for accelerators refuses what a GPU would, and computes what the CPU does."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from devices import FIRST, SECOND, Pretend, pretended
from torch import nn


@pytest.fixture(autouse=True)
def inside() -> Iterator[None]:
    with pretended():
        yield


@pytest.mark.parametrize(
    "mix",
    [
        lambda here, there, cpu: here + there,
        lambda here, there, cpu: here + cpu,
        lambda here, there, cpu: cpu @ here,
        lambda here, there, cpu: torch.cat([here, cpu]),
        lambda here, there, cpu: torch.stack([here, there]),
        lambda here, there, cpu: here.gather(0, cpu.long()),
        lambda here, there, cpu: here[there.long()],
        lambda here, there, cpu: cpu[here.long()],
        lambda here, there, cpu: here.index_put_((cpu.long(),), cpu),
        lambda here, there, cpu: torch.equal(here, cpu),
        lambda here, there, cpu: nn.functional.linear(here, there[None]),
        lambda here, there, cpu: here.add_(there.sum()),
        lambda here, there, cpu: here.numpy(),
        lambda here, there, cpu: np.asarray(here),
    ],
)
@pytest.mark.parametrize("inference", [True, False])
def test_what_a_gpu_refuses_is_refused(mix: Callable[..., object], inference: bool) -> None:
    with torch.inference_mode(inference):
        cpu = torch.zeros(2)
        with pytest.raises(RuntimeError, match=r"on the same device|numpy"):
            mix(cpu.to(FIRST), cpu.to(SECOND), cpu)


def test_what_a_gpu_lets_through_is_let_through() -> None:
    here, cpu = torch.tensor([1.0, 2.0], device=FIRST), torch.tensor([1, 0])
    assert (here + torch.tensor(1.0)).tolist() == [2.0, 3.0]
    assert here[cpu].tolist() == [2.0, 1.0] and here[cpu].device == torch.device(FIRST)
    here[cpu] = 5.0
    here[0] = 4.0
    assert here.cpu().numpy().tolist() == [4.0, 5.0] and here.sum().item() == 9.0
    assert here.copy_(torch.ones(2, device=SECOND)).device == torch.device(FIRST)
    assert type(here.to("cpu")) is torch.Tensor


@pytest.mark.parametrize("inference", [True, False])
def test_results_stay_where_their_numbers_are(inference: bool) -> None:
    with torch.inference_mode(inference):
        here = torch.arange(6.0, device=SECOND).reshape(2, 3)
        made = (here.T, here[0], here.sum(), torch.zeros_like(here), here.new_empty(2), here > 1)
        assert all(type(x) is Pretend and x.device == torch.device(SECOND) for x in made)
        here[0] += 1  # through a view
        assert here.tolist() == [[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]]


def test_gradients_flow_from_one_to_the_other() -> None:
    weight = torch.ones(2, device=SECOND, requires_grad=True)
    (gradient,) = torch.autograd.grad(((weight * 3).to(FIRST) ** 2).sum(), weight)
    assert gradient.device == torch.device(SECOND) and gradient.tolist() == [18.0, 18.0]


def test_a_module_moves_there_and_back() -> None:
    layer = nn.Linear(2, 3)
    given, before = torch.ones(1, 2), layer.weight.detach().clone()
    expected = layer(given).detach()
    layer.to(FIRST)
    assert isinstance(layer.weight, nn.Parameter)
    with pytest.raises(RuntimeError, match="on the same device"):
        layer(given)
    assert torch.equal(layer(given.to(FIRST)).cpu(), expected)
    assert torch.equal(layer.to("cpu").weight, before)
