"""Puts a tap under a model's attention, for as long as a sweep runs.

transformers looks its attention function up in a registry at every call. Inside :func:`tapped` the
registry's entry for the model's own implementation is ours. The encoders of transformers 4 call
PyTorch's attention themselves: there that call is ours, :class:`OwnCalls`. DeBERTa and MPNet
compute theirs inside a module: there its ``forward`` is ours (``own_attention.py``). Each delegates
every call to the original except while a :class:`Tap` asks for keys and values, or for one row.

Overriding the entry instead of registering a new name keeps the model's own mask function, so no
padding is attended by accident; the override is gone after the ``with``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from synapse_audit.model import Classifier
from synapse_audit.plan import STREAM, SUFFIX
from synapse_audit.sweep.own_attention import own_attentions, own_forwards
from synapse_audit.sweep.tap import BlockStop, Tap, offer, row_attention


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
    if own_attentions(classifier):
        return ""
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
    tap, own = Tap(), own_attentions(classifier)
    if own:
        with own_forwards(own, tap):
            yield tap
        return
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    registry: Any = ALL_ATTENTION_FUNCTIONS
    config: Any = classifier.model.config
    name = config._attn_implementation
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
        # (rows, heads, tokens, channels) go in and come out. The registry speaks of `scaling`, and
        # its functions put the tokens before the heads: (rows, tokens, heads, channels).
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
        # Queries, keys and values: (rows, heads, tokens, channels).
        if tap.row is not None:
            # The pooled row alone: its one query against the clean keys and values of the others.
            scaling = options.get("scaling") or query.shape[-1] ** -0.5
            return row_attention(query, key, value, tap.row, scaling), None
        if tap.captured is not None and tap.place is not None:
            tap.captured.append(offer(module, query, key, value, mask, options, tap.place))
            # The rest of the block would be thrown away where only keys and values are wanted.
            if tap.stop:
                raise BlockStop
        return original(module, query, key, value, mask, **options)

    return attention
