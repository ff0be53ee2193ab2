"""A batch as an attacker of the input sees it: embeddings, gradients, and what may be touched.

**Where.** The output of the model's own input word embeddings (``get_input_embeddings()``), before
positions and LayerNorm; the output of layer 0 where the model has or calls none. **Which tokens.**
Those that the text itself contributes: padding and the special tokens (what an empty text is
encoded to) stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from synapse_audit.errors import UsageError, choices
from synapse_audit.interventions.operators import keyed_normal
from synapse_audit.model import BLOCK_OUTPUT, Batch, Classifier
from synapse_audit.model.hooks import HookPoint, OutputHook, hook_at_points
from synapse_audit.sweep.clean import CleanStates
from synapse_audit.sweep.engine import Engine

Logits = Float[Tensor, "examples classes"]
States = Float[Tensor, "examples tokens width"]
Tokens = Bool[Tensor, "examples tokens"]


@dataclass(frozen=True)
class Text:
    """A batch as an attacker sees it."""

    classifier: Classifier
    seed: int
    batch: Batch
    point: HookPoint
    """What passes there is edited."""
    states: States
    """What passes there when clean, token by token."""
    between: tuple[int, ...]
    """What lies between examples and neurons in the model's own shape (channels and patches)."""
    editable: Tokens
    pooled: Int[Tensor, " examples"]
    """The position that the head reads."""
    number: Int[Tensor, "examples tokens"]
    """Place of each token in its text, padding not counted."""
    examples: Int[Tensor, " examples"]
    predicted: Int[Tensor, " examples"]
    """By the clean model."""

    @property
    def module(self) -> nn.Module:
        """The module on one side of which it passes."""
        return self.point.module

    @property
    def unit(self) -> Float[Tensor, " examples"]:
        """Root mean square of the numbers that may be edited; 0 where there are none."""
        squares = (self.states**2).mean(-1) * self.editable
        return (squares.sum(1) / self.editable.sum(1).clamp_min(1)).sqrt()

    @cached_property
    def clean_ascent(self) -> States:
        """:meth:`ascent` at the clean states: what every attack without a target begins with."""
        return self.ascent(self.states)

    def take(self, rows: Int[Tensor, " rows"]) -> Text:
        """Some of the examples, with the padding of the whole batch."""
        every = len(self.states)
        return replace(
            self,
            batch={n: v[rows] if v.shape[:1] == (every,) else v for n, v in self.batch.items()},
            states=self.states[rows],
            editable=self.editable[rows],
            pooled=self.pooled[rows],
            number=self.number[rows],
            examples=self.examples[rows],
            predicted=self.predicted[rows],
        )

    def logits(self, states: States, batch: Batch | None = None) -> Logits:
        """The model's answer with ``states`` in place of its embeddings."""
        waiting = [states.reshape(len(states), *self.between, states.shape[-1])]
        # Only the first call: a decoder may use the encoder's embeddings a second time.
        with hook_at_points([(self.point, lambda _: waiting.pop() if waiting else None)]):
            return self.classifier.answer(self.batch if batch is None else batch)

    def ascent(self, states: States, target: str | None = None) -> States:
        """Gradient of the cross-entropy of the model's own clean prediction, per example.

        Up to a positive factor per example. Toward ``target`` it points down the cross-entropy of
        that class instead. No weight receives a gradient.
        """
        return self.slope(states, target)[0]

    def slope(self, states: States, target: str | None = None) -> tuple[States, Logits]:
        """:meth:`ascent`, and the logits at ``states`` that came with it."""
        states = states.detach().requires_grad_()
        logits = self.logits(states)
        if target is None:
            upstream = cross_entropy_ascent(logits.detach(), self.predicted)
        else:
            aimed = torch.full_like(self.predicted, self.index(target))
            upstream = -cross_entropy_ascent(logits.detach(), aimed)
        return torch.autograd.grad(logits, states, upstream)[0], logits.detach()

    def normal(self, purpose: int, draw: int, width: int) -> Float[Tensor, "examples tokens _"]:
        """Standard normal numbers that depend on seed, purpose, draw, example and token alone."""
        words = np.random.SeedSequence([self.seed, purpose, draw]).generate_state(1, np.uint64)
        key = torch.from_numpy(words.view(np.int64)).to(self.states.device)
        examples, tokens = self.number.shape
        rows = self.examples.repeat_interleave(tokens)
        flat = keyed_normal(key, rows, self.number.reshape(-1), width)
        return flat.reshape(examples, tokens, width)

    def index(self, target: str) -> int:
        """Number of the class ``target``.

        Raises:
            UsageError: there is no such class.
        """
        classes = self.classifier.classes
        if target not in classes:
            raise UsageError(f"target '{target}' given; {choices(target, classes)}")
        return classes.index(target)


def cross_entropy_ascent(
    logits: Logits, classes: Int[Tensor, " examples"]
) -> Float[Tensor, "examples classes"]:
    """Direction in which the cross-entropy of one class per example rises fastest, in logits.

    ∂CE_k/∂z = softmax(z) − e_k = (1 − p_k)(q − e_k), q the softmax over the rivals of k. The factor
    1 − p_k is left out: it is 0 in float32 where the model is sure of itself, and then the sign of
    the gradient would be that of rounding errors (gradient masking).
    """
    own = torch.zeros_like(logits).scatter(1, classes[:, None], 1.0)
    rivals = logits.masked_fill(own > 0, float("-inf")).softmax(-1)
    return rivals - own


def read_text(engine: Engine, clean: CleanStates) -> Text:
    """Makes a batch ready to be attacked; call it outside inference mode."""
    classifier = engine.classifier
    # Tensors made in inference mode cannot take part in a gradient; copies can.
    batch = {name: values.clone() for name, values in clean.batch.items()}
    point, found = _embeddings(classifier, batch, clean)
    states = found.reshape(len(found), -1, found.shape[-1])
    ids = batch.get("input_ids")
    kept = clean.pooling.present(states.shape[1])
    editable = kept.clone()
    if ids is not None:  # the model may pad further than the tokenizer did
        special = torch.tensor(special_of(engine), dtype=ids.dtype, device=ids.device)
        editable[:, : ids.shape[1]] &= ~torch.isin(ids, special)
    return Text(
        classifier=classifier,
        seed=engine.seed,
        batch=batch,
        point=point,
        states=states,
        between=tuple(found.shape[1:-1]),
        editable=editable,
        pooled=clean.place.clone(),
        number=(kept.long().cumsum(1) - 1).clamp_min(0),
        examples=clean.examples.clone(),
        predicted=clean.logits.argmax(-1).clone(),
    )


def special_of(engine: Engine) -> tuple[int, ...]:
    """Token numbers that no attack touches."""
    return engine.classifier.special_tokens if engine.special is None else engine.special


class _Found(Exception):  # noqa: N818 (a signal, no error)
    """Ends a forward pass as soon as the embeddings are known."""


def _embeddings(
    classifier: Classifier, batch: Batch, clean: CleanStates
) -> tuple[HookPoint, Tensor]:
    """The word embeddings and their output, or layer 0 where the model calls no such module."""
    module = _word_embeddings(classifier.model)
    seen: list[Tensor] = []

    def stop(output: Tensor) -> None:
        seen.append(output.detach().clone())
        raise _Found

    if module is not None:
        hook: OutputHook = stop
        try:
            with torch.no_grad(), hook_at_points([(HookPoint(module, "output"), hook)]):
                classifier.answer(batch)
        except _Found:
            if seen[0].ndim == 3:
                return HookPoint(module, "output"), seen[0]
    return classifier.point(BLOCK_OUTPUT, 0), clean.layers[0].clone()


def _word_embeddings(model: nn.Module) -> nn.Module | None:
    get = getattr(model, "get_input_embeddings", None)
    try:
        found = get() if callable(get) else None
    except NotImplementedError:
        return None
    return found if isinstance(found, nn.Module) else None
