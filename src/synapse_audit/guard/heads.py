"""The guard's own heads as modules: head input → logits."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from synapse_audit.guard.parts import Guard, LinearHead, Vote


def head_module(guard: Guard, name: str) -> nn.Module | None:
    """The head of that name; None where the host's own answers."""
    if name == "hardened":
        return CentredHead(guard.hardened)
    return VoteHead(guard.vote) if name == "vote" else None


class CentredHead(nn.Module):
    """logits = W (h − centre) + b."""

    centre: Tensor

    def __init__(self, head: LinearHead) -> None:
        super().__init__()
        self.linear = linear_of(head)
        self.register_buffer("centre", torch.from_numpy(np.array(head.centre)))

    def forward(
        self, inputs: Float[Tensor, "examples features"]
    ) -> Float[Tensor, "examples classes"]:
        """Logits on the scale of the host's."""
        found: Tensor = self.linear(inputs - self.centre)
        return found


def linear_of(head: LinearHead, outputs: int | None = None) -> nn.Linear:
    """Weight and bias as a layer of torch without gradients; the last rows, where fewer are had."""
    n = len(head.bias) if outputs is None else outputs
    layer = nn.Linear(head.weight.shape[1], n).requires_grad_(False)
    layer.weight.copy_(torch.from_numpy(np.array(head.weight[-n:])))
    layer.bias.copy_(torch.from_numpy(np.array(head.bias[-n:])))
    return layer


class VoteHead(nn.Module):
    """Logarithms of votes; the most votes win, ties go to the lower index."""

    weight: Tensor
    bias: Tensor
    order: Tensor

    def __init__(self, vote: Vote) -> None:
        super().__init__()
        own = vote.voter == np.arange(vote.n_voters)[:, None]  # voters, features
        arrays = {
            "weight": own[:, None] * vote.weight,  # voters, classes, features
            "bias": vote.bias,
            "order": np.arange(vote.weight.shape[0]),
        }
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(np.array(array, np.float32)))

    def voter_logits(
        self, inputs: Float[Tensor, "examples features"]
    ) -> Float[Tensor, "examples voters classes"]:
        """What each voter says of each class."""
        # A changed input that is no number must reach its own voter alone: 0 · NaN is NaN.
        known = inputs.nan_to_num()
        return torch.einsum("ef,vcf->evc", known, self.weight) + self.bias

    def forward(
        self, inputs: Float[Tensor, "examples features"]
    ) -> Float[Tensor, "examples classes"]:
        """log((votes + ½) / voters), lowered a little with the index: ties have an order."""
        named = self.voter_logits(inputs).argmax(dim=2)
        counted = nn.functional.one_hot(named, self.weight.shape[1]).sum(dim=1)
        return torch.log((counted + 0.5) / self.weight.shape[0]) - 1e-4 * self.order
