"""``config.json`` before and after a model is made of it: every failure as one line with the field.

Libraries raise whatever comes up where a value has a wrong type, an unknown name or an absurd size.
Which field is to blame is found by trial: the one without which the rest can be loaded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from synapse_audit.artifacts import MOST_CLASSES
from synapse_audit.errors import AuditError, ModelError, first_line

CONFIG = "config.json"

Attempt = Callable[[dict[str, Any]], object]
"""Makes something of what ``config.json`` holds, or raises what a library raises."""


class Trials(NamedTuple):
    """How to find out which field is to blame."""

    configure: Attempt
    """Makes the configuration: thousandths of a second."""
    build: Attempt
    """Makes a model without weights as well."""
    usual: Callable[[], Mapping[str, Any]]
    """Fields as they are where nobody sets them: those cannot be to blame."""


_COUNT = re.compile(r"(^|_)(layers?|depths?|blocks|heads|groups|experts)$|_layers_|_heads_")
_SIZE = re.compile(r"(size|dim|width|positions|embeddings|d_model|d_ff|n_embd|n_inner)$")
_LABELS = re.compile(r"^(num_labels|num_targets)$")
_LARGEST = ((_COUNT, 2_000), (_SIZE, 2**26), (_LABELS, MOST_CLASSES))
"""Names of fields → the largest value that any model could mean."""

_AT_LEAST_ONE = re.compile(
    r"^(num_hidden_layers|num_layers|n_layers?|num_attention_heads|n_heads?|hidden_size|d_model"
    r"|n_embd|dim|vocab_size)$"
)

_KEPT = ("model_type", "architectures", "id2label", "label2id")
"""Fields without which a configuration is that of another model, unless they are broken."""

SLACK = 8
"""A model may have so many times the weights of its files: packed formats hold several in one."""

SMALL = 10_000_000
"""Weights that are never too many."""


def read_config_file(folder: Path) -> dict[str, Any]:
    """What ``config.json`` holds.

    Raises:
        ModelError: it cannot be read, is no JSON object, or holds a size that no model can have.
    """
    file = folder / CONFIG
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"'{file}' cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"'{file}' is not JSON: {first_line(error)}") from None
    if not isinstance(held, dict):
        raise ModelError(f"'{file}' holds a JSON {type(held).__name__}; expected an object")
    for name, value, expected in _absurd(held):
        raise ModelError(f"'{file}' has {name} {value:,}; expected {expected}")
    kind = held.get("model_type", "")
    if not isinstance(kind, str):
        raise ModelError(f"'{file}' has model_type {kind!r:.60}; expected a name such as 'bert'")
    return held


@contextmanager
def explained(source: str, held: Mapping[str, Any], trials: Trials) -> Iterator[None]:
    """Turns whatever a library raises while a model is loaded into one line.

    Raises:
        ModelError: something was raised; the message names the field to blame, if one can be found.
    """
    try:
        yield
    except AuditError:
        raise
    except Exception as error:  # whatever a library raises for what it did not expect
        raise _blamed(source, held, trials, error) from error


def check_total(source: str, model: nn.Module, folder: Path) -> None:
    """Refuses a configuration that describes far more weights than the files hold.

    Memory is taken by what a configuration says, so that a slip there could take all of it.

    Args:
        model: made of the configuration on the device ``meta``, which takes no memory.

    Raises:
        ModelError: it does.
    """
    described = sum(weight.numel() for weight in model.parameters())
    held = sum(map(_numbers_in, folder.glob("*.safetensors")))
    if described > SLACK * held + SMALL:
        raise ModelError(
            f"model '{source}': its config.json describes {described:,} weights, its files hold "
            f"{held:,}; expected sizes that fit the weights"
        )


def skeleton(kind: Any, config: Any) -> nn.Module:
    """A model of a class of transformers, or of an Auto class, without numbers."""
    with torch.device("meta"):
        made: nn.Module = kind.from_config(config) if hasattr(kind, "from_config") else kind(config)
    return made


def _absurd(held: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, int, str]]:
    """Name, value and what was expected of each size that no model can have."""
    for name, value in held.items():
        if isinstance(value, Mapping):
            yield from _absurd(value, f"{above}{name}.")
        if isinstance(value, list):  # the depths of stages
            yield from (found for one in value for found in _absurd({name: one}, above))
        if name == "id2label" and isinstance(value, Mapping | list) and len(value) > MOST_CLASSES:
            yield f"{above}{name} of length", len(value), f"{MOST_CLASSES:,} at most"
        if isinstance(value, int) and not isinstance(value, bool):
            limits = [most for pattern, most in _LARGEST if pattern.search(str(name))]
            if limits and value > min(limits):
                yield f"{above}{name}", value, f"{min(limits):,} at most"
            if value < 1 and _AT_LEAST_ONE.search(str(name)):
                yield f"{above}{name}", value, "1 at least"


def _numbers_in(file: Path) -> int:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as opened:
        shapes = [opened.get_slice(name).get_shape() for name in opened.keys()]  # noqa: SIM118
    return sum(int(torch.Size(shape).numel()) for shape in shapes)


def _blamed(source: str, held: Mapping[str, Any], trials: Trials, error: Exception) -> ModelError:
    reason = f"{type(error).__name__}: {_said(error)}"
    name = _guilty(held, trials)
    if name is None:
        return ModelError(
            f"model '{source}' cannot be loaded ({reason}); expected a folder as save_pretrained() "
            "writes it"
        )
    return ModelError(
        f"model '{source}': its config.json has {name} = {held[name]!r:.60}, with which it cannot "
        f"be loaded ({reason}); expected {name} as save_pretrained() writes it"
    )


def _guilty(held: Mapping[str, Any], trials: Trials) -> str | None:
    """The field without which the rest can be loaded; None where all can, or more are broken."""
    names = [*(n for n in held if n not in _KEPT), *(n for n in held if n in _KEPT[1:])]
    if not _works(trials.configure, dict(held)):
        return _culprit(held, names, trials.configure)
    if _works(trials.build, dict(held)):
        return None
    usual = trials.usual()
    return _culprit(held, [n for n in names if held[n] != usual.get(n)], trials.build)


def _culprit(held: Mapping[str, Any], names: Sequence[str], attempt: Attempt) -> str | None:
    for name in names:
        if _works(attempt, {n: value for n, value in held.items() if n != name}):
            return name
    return None


def _works(attempt: Attempt, held: dict[str, Any]) -> bool:
    try:
        attempt(held)
    except Exception:  # as above
        return False
    return True


def _said(error: Exception) -> str:
    """The line that says what is wrong; transformers' checks have it below the field's name."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    strict = type(error).__name__.startswith("StrictDataclass")
    return lines[-1] if strict and lines else first_line(error)
