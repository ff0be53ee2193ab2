"""How classes are decided from a model's outputs: one output as two logits, and thresholds.

A head with **one output** z (a sigmoid) is exactly the two-class head with the logits (0, z), since
softmax(0, z) = (1 − σ(z), σ(z)). Its rows are (0, w) and its biases (0, b); only the second row is
a weight of the model.

A **threshold** τ of a class is a shift of its logit by −log(τ/(1 − τ)), after which the highest
logit is predicted as ever. So a class c with threshold τ is predicted only where
log(p_c/p_r) > log(τ/(1 − τ)) against every rival r without one, that is where p_c is more than the
share τ of p_c + p_r. With two classes this is p_c > τ, the other one's threshold being 1 − τ; with
more it is the rule of this package, and a threshold of 1/2 changes nothing.

A **multi-label** head decides every label by itself: label c is present where σ(z_c) > τ_c, that is
where z_c − log(τ_c/(1 − τ_c)) > 0. So the same shift serves, and 0 takes the place of the rivals;
what is predicted is a set of labels (:mod:`synapse_audit.artifacts.label_sets`).

Limits: in half precision the shift is rounded as the logits are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from synapse_audit.artifacts import threshold_shift
from synapse_audit.errors import UsageError, choices

Threshold = float | Mapping[str, float]
"""One number for the second of two classes or for every label, or class name → number."""


@dataclass(frozen=True)
class Decision:
    """What turns a model's outputs into logits whose highest one is the prediction."""

    one_output: bool = False
    """Whether the model has one output z, read as the logits (0, z)."""
    thresholds: tuple[float, ...] = ()
    """One per class; empty where none was set, which is 1/2 throughout."""
    label: str | None = None
    """The label of a multi-label model whose presence is decided; None: the classes are its own."""
    labels: tuple[str, ...] = ()
    """All labels of that model."""
    unnamed: tuple[bool, ...] = ()
    """Which class names nobody gave, so that the labels of the data may."""
    several: bool = False
    """Whether every class is a label that is decided by itself, present or absent."""

    @property
    def shift(self) -> Float[np.ndarray, " classes"] | None:
        """What is added to the logits, float32; None where that is nothing."""
        return threshold_shift(self.thresholds)

    def logits(self, outputs: Float[Tensor, "... outputs"]) -> Float[Tensor, "... classes"]:
        """The outputs of the model as logits that decide."""
        if self.one_output:
            outputs = torch.cat([torch.zeros_like(outputs), outputs], dim=-1)
        return self.shifted(outputs)

    def shifted(self, logits: Float[Tensor, "... classes"]) -> Float[Tensor, "... classes"]:
        """The model's logits with the thresholds: their highest one is the prediction."""
        shift = self.shift
        return logits if shift is None else logits + torch.from_numpy(shift).to(logits)

    def model_logits(self, logits: Float[Tensor, "... classes"]) -> Float[Tensor, "... classes"]:
        """The same without the thresholds: their softmax has the model's own probabilities."""
        shift = self.shift
        return logits if shift is None else logits - torch.from_numpy(shift).to(logits)

    def predicted(self, logits: Float[Tensor, "... classes"]) -> Int[Tensor, "..."]:
        """The class decided on, or the set of labels, as an int64; logits with the thresholds.

        A logit that is not a number wins the argmax, as it does in NumPy and PyTorch; a label with
        such a one is absent.
        """
        if not self.several:
            return logits.argmax(-1)
        places = torch.arange(logits.shape[-1], device=logits.device)
        return ((logits > 0).long() << places).sum(-1)

    def shares(self, logits: Float[Tensor, "... classes"]) -> Float[Tensor, "... classes"]:
        """The model's own probabilities from logits with the thresholds: softmax, or sigmoids."""
        own = self.model_logits(logits).double()
        return own.sigmoid() if self.several else own.softmax(dim=-1)

    def rows(self, values: Float[np.ndarray, "outputs *features"]) -> np.ndarray:
        """Weights or biases by output → the same by class: (0, w) for one output."""
        return np.concatenate([np.zeros_like(values), values]) if self.one_output else values

    def at(self, threshold: Threshold | None, classes: Sequence[str]) -> Decision:
        """The same with thresholds.

        Raises:
            UsageError: a number without a class to belong to, an unknown class, a threshold that
                is not between 0 and 1, or one for both of two classes.
        """
        if threshold is None:
            return self
        if isinstance(threshold, Mapping):
            named = threshold
        elif self.several:
            named = dict.fromkeys(classes, threshold)
        else:
            named = _second(threshold, classes)
        for name, value in named.items():
            if name not in classes:
                raise UsageError(f"threshold for '{name}' given; {choices(name, classes)}")
            if not 0.0 < value < 1.0:
                raise UsageError(
                    f"threshold {value:g} for '{name}' given; expected a probability between 0 and "
                    "1, both excluded"
                )
        if len(classes) == 2 and len(named) == 2 and not self.several:
            raise UsageError(
                f"thresholds for both classes given; expected one: that of '{classes[0]}' is 1 "
                f"minus that of '{classes[1]}'"
            )
        return replace(self, thresholds=tuple(float(named.get(name, 0.5)) for name in classes))

    def in_words(self, classes: Sequence[str]) -> str:
        """The rule on one line; empty where the highest logit of several outputs is predicted."""
        stated = dict(zip(classes, self.thresholds, strict=False))
        named = {name: value for name, value in stated.items() if value != 0.5}
        if self.several:
            same = {*self.thresholds} if self.thresholds else {0.5}
            if len(same) == 1:
                return f"each label where its probability is above {same.pop():g}"
            limits = ", ".join(f"'{name}' {value:g}" for name, value in named.items())
            return f"each label where its probability is above its threshold ({limits}; else 0.5)"
        if len(classes) == 2 and (self.one_output or self.thresholds):
            chosen = next(iter(named), classes[1])
            other = classes[1 - classes.index(chosen)]
            limit = stated.get(chosen, 0.5)
            return f"'{chosen}' where its probability is above {limit:g}, else '{other}'"
        if not named:
            return ""
        limits = ", ".join(f"'{name}' {value:g}" for name, value in named.items())
        return (
            "the class that leads once each has its threshold: one with threshold τ beats a rival "
            f"where it has more than τ of their joint probability ({limits}; 0.5 for the others)"
        )


def _second(threshold: float, classes: Sequence[str]) -> Mapping[str, float]:
    if len(classes) != 2:
        raise UsageError(
            f"threshold {threshold:g} given for {len(classes)} classes; expected "
            f"CLASS={threshold:g}"
        )
    return {classes[1]: threshold}


PLACEHOLDERS = ("negative", "positive")
"""Names of the two classes of one output where nobody gives any."""


def one_output_classes(name: str | None) -> tuple[tuple[str, str], tuple[bool, bool]]:
    """The two classes of a head with one output, and which of them nobody named.

    Args:
        name: of its one output; None: ``config.json`` has none.
    """
    if name is None:
        return PLACEHOLDERS, (True, True)
    return (f"not {name}", name), (True, False)
