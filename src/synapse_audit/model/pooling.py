"""What the head reads of a batch: one token per example, or the mean over several.

| position | tokens |
|---|---|
| first | the first one ([CLS], <s>) |
| last | the last one that is no padding (decoders) |
| eos | the last end-of-sequence token (T5, BART) |
| mean | all that are no padding |
| patches | all but the first one |
| pair | the first two |

Where several tokens are read, the representation is their mean, and an intervention at the pooled
position is an intervention on every one of them: its operator reads the statistics of the mean, and
what is random is the same at all of them, so that the mean moves by exactly that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Position = Literal["first", "last", "eos", "mean", "patches", "pair"]

POSITIONS: Mapping[Position, str] = {
    "first": "first token ([CLS])",
    "last": "last token that is no padding",
    "eos": "last end-of-sequence token, in the decoder",
    "mean": "mean over all tokens: an intervention there touches every token",
    "patches": "mean over all tokens but the first: an intervention there touches each of them",
    "pair": "mean of the first two tokens: an intervention there touches both",
}
"""Position → how the report calls it."""

SPANS: Mapping[Position, slice] = {"mean": slice(None), "patches": slice(1, None), "pair": slice(2)}


@dataclass(frozen=True)
class Pooling:
    """Which tokens the head reads, of each example of one batch.

    States may have any shape that begins with the examples and ends with the neurons: all that lies
    between counts as tokens (windows, channels and patches).
    """

    place: Int[Tensor, " examples"]
    """The token; 0 where several are read."""
    span: slice | None
    """The tokens that are read, where several are."""
    kept: Bool[Tensor, "examples tokens"] | None
    """True where a token is no padding; None where nothing is padded."""

    @property
    def single(self) -> bool:
        """Whether one token per example is read."""
        return self.span is None

    def beside(self, states: Tensor) -> Pooling:
        """The same, on the device of the states: in a model on several that is not always one."""
        device = states.device
        if device == self.place.device:
            return self
        kept = None if self.kept is None else self.kept.to(device)
        return Pooling(self.place.to(device), self.span, kept)

    def tokens(self, states: Tensor) -> Float[Tensor, "examples tokens neurons"]:
        """States of any shape, token by token."""
        return states.reshape(len(self.place), -1, states.shape[-1])

    def gather(self, states: Tensor) -> Float[Tensor, "examples neurons"]:
        """The representation: the token's state, or the mean over the tokens."""
        tokens, here = self.tokens(states), self.beside(states)
        if self.span is None:
            return tokens[torch.arange(len(tokens), device=tokens.device), here.place]
        if self.kept is None:
            return tokens[:, self.span].mean(1)
        read = here.read(tokens.shape[1])[..., None]
        return tokens.masked_fill(~read, 0.0).sum(1) / read.sum(1)

    def read(self, tokens: int) -> Bool[Tensor, "examples tokens"]:
        """True where the head reads."""
        numbers = torch.arange(tokens, device=self.place.device)
        if self.span is None:
            return numbers == self.place[:, None]
        inside = torch.zeros_like(numbers, dtype=torch.bool)
        inside[self.span] = True
        return self.present(tokens) & inside

    def others(self, tokens: int) -> Bool[Tensor, "examples tokens"]:
        """True where a token is neither padding nor read."""
        return self.present(tokens) & ~self.read(tokens)

    def take(self, rows: Int[Tensor, " rows"]) -> Pooling:
        """Of some of the examples, or of the same ones several times."""
        return Pooling(self.place[rows], self.span, None if self.kept is None else self.kept[rows])

    def rows(self, states: Tensor) -> Float[Tensor, "examples ... neurons"]:
        """The token's state; where several are read all tokens, 0 where the head does not read."""
        if self.single:
            return self.gather(states)
        tokens, here = self.tokens(states), self.beside(states)
        return tokens.masked_fill(~here.read(tokens.shape[1])[..., None], 0.0)

    def present(self, tokens: int) -> Bool[Tensor, "examples tokens"]:
        """True where a token is no padding."""
        here = torch.zeros(len(self.place), tokens, dtype=torch.bool, device=self.place.device)
        if self.kept is None or self.kept.shape[1] > tokens:
            return ~here
        here[:, : self.kept.shape[1]] = self.kept  # a model may pad further (Longformer)
        return here


def pool_batch(model: Any, position: Position, batch: Mapping[str, Tensor]) -> Pooling:
    """What the head reads of a batch, by the model's own rules."""
    kept, first = _kept(model, batch), next(iter(batch.values()))
    nowhere = torch.zeros(first.shape[0], dtype=torch.long, device=first.device)
    if position in SPANS:
        return Pooling(nowhere, SPANS[position], kept)
    if position == "first":
        return Pooling(nowhere, None, kept)
    marked = _marked(getattr(model, "config", None), position, batch)
    places = torch.arange(marked.shape[1], device=marked.device)
    return Pooling((marked * places).argmax(dim=1), None, kept)


def _marked(config: Any, position: Position, batch: Mapping[str, Tensor]) -> Tensor:
    """The last 1 of each row is read; transformers asks the token numbers, not the mask."""
    name = "eos_token_id" if position == "eos" else "pad_token_id"
    token = getattr(config, name, None)
    if "input_ids" not in batch or (token is None and "attention_mask" in batch):
        return batch["attention_mask"].long()
    ids = batch["input_ids"]
    if token is None:
        return torch.ones_like(ids)
    return (ids == token if position == "eos" else ids != token).long()


def _kept(model: Any, batch: Mapping[str, Tensor]) -> Bool[Tensor, "examples tokens"] | None:
    if "attention_mask" not in batch:
        return None
    mask = batch["attention_mask"]
    frames = getattr(model, "_get_feature_vector_attention_mask", None)
    if frames is None or "input_ids" in batch:
        return mask > 0
    # Audio is padded in samples; the blocks see frames of many samples each.
    length = int(model._get_feat_extract_output_lengths(mask.shape[1]))
    return frames(length, mask) > 0
