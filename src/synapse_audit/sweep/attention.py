"""The attention of one row against cached keys and values.

transformers looks its attention function up in a registry at every call. Inside :func:`tapped` the
registry's entry for the model's own implementation is ours (the encoders of transformers 4 call
PyTorch's attention themselves: there that call is ours, :class:`OwnCalls`); it delegates every call
to the original except while a :class:`Tap` asks for one of two things:

* **capture**: keep each block's keys, values and mask (optionally stop the block right there);
* **row**: the block runs on the pooled row alone, (cells · examples, 1 token), and attends to the
  cached keys and values, its own new key and value standing at the pooled position.

Overriding the entry instead of registering a new name keeps the model's own mask function, so no
padding is attended by accident; the override is gone after the ``with``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from synapse_audit.model import Classifier
from synapse_audit.plan import STREAM, SUFFIX


class BlockStop(Exception):  # noqa: N818 (a signal, as StopIteration is, no error)
    """Raised inside a block once its keys and values are known."""


@dataclass(frozen=True)
class KeyValues:
    """What one block's attention offers to the pooled row."""

    key: Float[Tensor, "examples heads tokens channels"]
    value: Float[Tensor, "examples heads tokens channels"]
    mask: Float[Tensor, "examples #heads tokens"] | None
    """Additive mask of the pooled row; None where every token may be attended."""
    place: Int[Tensor, " examples"]
    """Pooled position."""


@dataclass
class Tap:
    """What the attention function shall do at the next calls."""

    place: Int[Tensor, " examples"] | None = None
    captured: list[KeyValues] | None = None
    """Where capture puts what it sees; None = capture is off."""
    stop: bool = False
    row: KeyValues | None = None
    """What the row attends to; None = row mode is off."""
    calls: int = field(default=0)
    """Calls that reached this function: 0 after a forward means the model bypasses the registry."""


def available_routes(classifier: Classifier, tap: Tap | None) -> frozenset[str]:
    """The fast routes that are worth a check; those that fail it are not used."""
    # Blocks of a decoder behind an encoder attend twice: their rows cannot be run alone.
    rows = tap is not None and classifier.reads_one and not classifier.resumable
    return frozenset({STREAM, SUFFIX}) if rows else frozenset({SUFFIX})


EAGER, SDPA = "eager", "sdpa"

EAGER_FUNCTION = "eager_attention_forward"
"""What a module of transformers calls its plain attention, which no registry holds."""


def supports_tap(classifier: Classifier) -> bool:
    """Whether the model looks its attention up at every call, or calls PyTorch's itself."""
    return not why_no_tap(classifier)


def why_no_tap(classifier: Classifier) -> str:
    """Why no tap can be put under a model's attention; empty where one can."""
    config = getattr(classifier.model, "config", None)
    name = getattr(config, "_attn_implementation", None)
    if name not in (EAGER, SDPA):
        return f"attention {name} cannot be asked for one row alone"
    file = sys.modules[type(classifier.model).__module__]
    if name == EAGER and not hasattr(file, EAGER_FUNCTION):
        return "attention outside transformers' registry"
    return ""


def _eager(module: nn.Module, *args: Any, **options: Any) -> Any:
    """The plain attention of the file that the calling module is from."""
    return getattr(sys.modules[type(module).__module__], EAGER_FUNCTION)(module, *args, **options)


@contextmanager
def tapped(classifier: Classifier) -> Iterator[Tap | None]:
    """Puts the tap under the model's attention until the block ends; None where none can be put.

    :func:`why_no_tap` says why not; an engine without a tap has every route but *stream*.
    """
    if not supports_tap(classifier):
        yield None
        return
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    registry: Any = ALL_ATTENTION_FUNCTIONS
    config: Any = classifier.model.config
    name = config._attn_implementation
    tap = Tap()
    if name == SDPA and not getattr(classifier.model, "_supports_attention_backend", False):
        with OwnCalls(tap):
            yield tap
        return
    before = registry._local_mapping.get(name)
    registry[name] = _tapping(_eager if name == EAGER else registry[name], tap)
    try:
        yield tap
    finally:
        if before is None:
            del registry[name]
        else:
            registry[name] = before


class OwnCalls(TorchFunctionMode):
    """The tap under ``scaled_dot_product_attention`` itself, for models that ask no registry."""

    def __init__(self, tap: Tap) -> None:
        super().__init__()
        self._attention = _tapping(_plain_attention, tap)

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Any function of torch that is called inside the ``with``; here they run as ever."""
        if function is functional.scaled_dot_product_attention:
            return self._called(*args, **(kwargs or {}))
        return function(*args, **(kwargs or {}))

    def _called(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        **options: Any,
    ) -> Tensor:
        # The registry speaks of `scaling`, and its functions put the tokens before the heads.
        options |= {"is_causal": is_causal, "scaling": options.pop("scale", None)}
        context, _ = self._attention(None, query, key, value, attn_mask, **options)
        return context.transpose(1, 2)


def _plain_attention(
    module: None, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    scale = options.pop("scaling")
    context = functional.scaled_dot_product_attention(
        query, key, value, attn_mask=mask, scale=scale, **options
    )
    return context.transpose(1, 2), None


def _tapping(original: Callable[..., Any], tap: Tap) -> Callable[..., Any]:
    def attention(
        module: nn.Module | None,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        **options: Any,
    ) -> Any:
        tap.calls += 1
        if tap.row is not None:
            scaling = options.get("scaling") or query.shape[-1] ** -0.5
            return row_attention(query, key, value, tap.row, scaling), None
        if tap.captured is not None and tap.place is not None:
            tap.captured.append(_offer(module, query, key, value, mask, options, tap.place))
            if tap.stop:
                raise BlockStop
        return original(module, query, key, value, mask, **options)

    return attention


def _offer(
    module: nn.Module | None,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    options: Mapping[str, Any],
    place: Int[Tensor, " examples"],
) -> KeyValues:
    """What one attention call offers to the pooled row: mask and position bias in one."""
    groups, place = query.shape[1] // key.shape[1], place.to(key.device)
    row = _pooled_mask(mask, place)
    if mask is None and query.shape[2] > 1 and _causal(module, options):
        later = torch.arange(key.shape[2], device=key.device) > place[:, None]
        row = torch.zeros(later.shape, dtype=key.dtype, device=key.device)
        row = row.masked_fill(later, float("-inf"))[:, None]
    bias = _pooled_mask(options.get("position_bias"), place)
    if bias is not None:
        row = bias if row is None else row + bias
    return KeyValues(
        key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1), row, place
    )


def _causal(module: nn.Module | None, options: Mapping[str, Any]) -> bool:
    """As transformers' sdpa decides it."""
    named = options.get("is_causal")
    return bool(getattr(module, "is_causal", True) if named is None else named)


def _pooled_mask(mask: Tensor | None, place: Int[Tensor, " examples"]) -> Tensor | None:
    """The mask's row of the pooled position, additive: (examples, heads or 1, tokens)."""
    if mask is None:
        return None
    row = place if mask.shape[2] > 1 else torch.zeros_like(place)
    chosen = mask.expand(len(place), -1, -1, -1)[torch.arange(len(place)), :, row]
    if chosen.dtype == torch.bool:
        return torch.zeros(chosen.shape).masked_fill(~chosen.cpu(), float("-inf")).to(chosen.device)
    return chosen


def row_attention(
    query: Float[Tensor, "rows heads 1 channels"],
    key: Float[Tensor, "rows groups 1 channels"],
    value: Float[Tensor, "rows groups 1 channels"],
    cached: KeyValues,
    scaling: float,
) -> Float[Tensor, "rows 1 heads channels"]:
    """Attention of one new row per (cell, example) over the clean tokens and itself.

    ``rows`` = cells · examples, cells slowest. All cells of an example share one matrix product
    with that example's cached keys.
    """
    examples, heads, _, channels = cached.key.shape
    cells = query.shape[0] // examples
    groups = heads // key.shape[1]
    own_query = _by_example(query, cells)
    own_key = _by_example(key.repeat_interleave(groups, 1), cells)
    own_value = _by_example(value.repeat_interleave(groups, 1), cells)
    scores = own_query @ cached.key.transpose(-1, -2)
    own = (own_query * own_key).sum(-1)
    at = cached.place.view(examples, 1, 1, 1).expand(examples, heads, cells, 1)
    scores = scores.scatter(-1, at, own[..., None]) * scaling
    if cached.mask is not None:
        scores = scores + cached.mask[:, :, None].to(scores.dtype)
    shares = scores.softmax(-1)
    clean_value = cached.value[torch.arange(examples), :, cached.place]
    context = shares @ cached.value
    context = context + shares.gather(-1, at) * (own_value - clean_value[:, :, None])
    return context.permute(2, 0, 1, 3).reshape(cells * examples, 1, heads, channels)


def _by_example(
    rows: Float[Tensor, "rows heads 1 channels"], cells: int
) -> Float[Tensor, "examples heads cells channels"]:
    _, heads, _, channels = rows.shape
    return rows.reshape(cells, -1, heads, channels).permute(1, 2, 0, 3)
