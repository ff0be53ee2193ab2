"""On which side a batch is padded: where what a model says of a text depends on that text alone.

An encoder that is read at its first token reads padding where texts are padded on the left, and
positions that are counted from the start shift. What :func:`settle` hands back pads where the model
can be read, whatever its tokenizer or collator does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from synapse_audit.errors import AuditError
from synapse_audit.model.discovery.head_alone import logits_of
from synapse_audit.model.discovery.tracing import BROKEN, TEXTS
from synapse_audit.model.families.record import TEXT, Family
from synapse_audit.model.inputs.encoded import Batch, Collator, Example, Inputs
from synapse_audit.model.placement import device_of

MASK = "attention_mask"

SAME = 1e-3
"""Largest difference between a text's logits alone and in a batch, relative to the largest."""

COARSE = 0.05
"""The same in number formats of fewer than 24 binary digits."""

RIGHT_NOTE = (
    "padded on the right, so that its head finds what it reads; its inputs came padded on the left"
)


class Tried(NamedTuple):
    """A few examples, and what a model says of each of them alone."""

    model: nn.Module
    features: Sequence[Example]
    alone: Tensor

    def same(self, collator: Collator) -> bool:
        """Whether it says the same of them in one batch."""
        together = _logits(self.model, collator(list(self.features)))
        limit = SAME if together.dtype == torch.float32 else COARSE
        scale = max(1.0, self.alone.abs().max().item())
        return bool((together - self.alone).abs().max().item() <= limit * scale)


@torch.inference_mode()
def settle(model: nn.Module, inputs: Inputs, family: Family | None) -> Inputs:
    """The same inputs, padded where the model can be read; notes say what was changed.

    A recorded family that is not read at its last token is padded on the right. Without a record a
    few examples are run: as they come, then padded on the right, then on the left, and the first of
    these whose logits are those of each example alone is taken. Batches without a mask of tokens
    are left as they are.
    """
    if inputs.modality != TEXT:
        return inputs
    if family is not None:
        if family.position == "last":
            return inputs
        notes = (RIGHT_NOTE,) if _padded_on_the_left(inputs) else ()
        turned = padded_on(inputs.collator, "right")
        return inputs._replace(collator=turned, notes=(*inputs.notes, *notes))
    try:
        return _found(model, inputs)
    except (AuditError, *BROKEN):  # whatever is wrong, tracing the module says it better
        return inputs


def padded_on(collator: Collator, side: str) -> Collator:
    """The same batches with every row's padding on one side."""

    def collate(features: Sequence[Example]) -> Batch:
        batch = collator(features)
        mask = batch.get(MASK)
        if mask is None or mask.ndim != 2 or not _is_outside(mask):
            return batch
        # Stable: tokens keep their order, and so does the padding.
        order = torch.argsort((mask > 0).long(), dim=1, stable=True, descending=side == "right")
        rows = torch.arange(len(mask), device=mask.device)[:, None]
        return {n: x[rows, order] if x.shape[:2] == mask.shape else x for n, x in batch.items()}

    return collate


def _found(model: nn.Module, inputs: Inputs) -> Inputs:
    features = _examples(inputs)
    mask = inputs.collator(features).get(MASK)
    if mask is None or mask.ndim != 2 or bool((mask > 0).all()):
        return inputs
    alone = torch.cat([_logits(model, inputs.collator([one])) for one in features])
    tried, given = Tried(model, features, alone), _side(mask)
    choices: dict[str, Collator] = {
        given: inputs.collator,
        **{s: padded_on(inputs.collator, s) for s in ("right", "left") if s != given},
    }
    fitting = next((side for side, one in choices.items() if tried.same(one)), None)
    if fitting == given:
        return inputs
    if fitting is None:
        note = "what it says of an input depends on how long the others in its batch are"
        return inputs._replace(notes=(*inputs.notes, note))
    note = (
        f"padded on the {fitting}, where an input's logits do not depend on the others in its "
        f"batch; its inputs came padded on the {given}"
    )
    return inputs._replace(collator=choices[fitting], notes=(*inputs.notes, note))


def _examples(inputs: Inputs) -> list[Example]:
    return list(inputs.encoder(TEXTS if inputs.examples is None else inputs.examples).features)


def _padded_on_the_left(inputs: Inputs) -> bool:
    try:
        mask = inputs.collator(_examples(inputs)).get(MASK)
    except (AuditError, *BROKEN):  # an encoder for something else than texts
        return False
    return mask is not None and mask.ndim == 2 and _side(mask) == "left"


def _side(mask: Tensor) -> str:
    return "left" if bool((mask[:, 0] == 0).any()) else "right"


def _is_outside(mask: Tensor) -> bool:
    """Whether the tokens of every row follow each other without a gap."""
    kept = (mask > 0).long()
    return bool((kept.diff(dim=1).clamp_min(0).sum(1) + kept[:, 0] <= 1).all())


def _logits(model: nn.Module, batch: Batch) -> Tensor:
    device = device_of(model)
    run: Callable[..., Any] = model
    return logits_of(run(**{name: values.to(device) for name, values in batch.items()}))
