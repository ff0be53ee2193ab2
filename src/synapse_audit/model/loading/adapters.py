"""PEFT adapters (LoRA and its kin): a folder with ``adapter_config.json``, put onto its base model.

Merged by default: the adapter is added into the base model's weights, so that every route and every
edit of weights sees one plain model; logits are those of the adapter to rounding. Unmerged they are
the same bit for bit. A head that was trained along (``modules_to_save``) takes the base's place.

Trust: ``adapter_model.safetensors`` only; a configuration that makes PEFT import a module, or fetch
further adapters, is refused.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import nn

from synapse_audit.config import Loading
from synapse_audit.errors import BROKEN, ModelError, choices
from synapse_audit.model.loading.adapter_sizes import check_adapter_sizes

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"

KINDS = ("LORA", "ADALORA", "IA3", "LOHA", "LOKR", "OFT")
"""Adapters that sit inside the base model's layers and can be merged. Prompts cannot."""

PREFIX = "base_model.model."


@dataclass(frozen=True)
class Adapter:
    """An adapter that was found in a folder."""

    folder: Path
    kind: str
    base: str
    """Folder or hub id of its base model."""
    base_revision: str | None
    saved: dict[str, tuple[int, ...]]
    """Weights that it brings, by their name in the base model → shape."""

    def describe(self, config: Any, head: str | None, heads: tuple[str, ...]) -> None:
        """Makes the base model's configuration that of the adapted classifier.

        Args:
            head: name of the head's last linear layer, where it is known.
            heads: how the names of classifiers end; a base model of another kind gets a new head,
                which the adapter must then bring.
        """
        names = list(config.architectures or ())
        if not any(name.endswith(heads) for name in names):
            config.architectures = None
        shape = self.saved.get(f"{head}.weight", ())
        if shape and shape[0] != config.num_labels:
            config.num_labels = shape[0]  # which numbers the classes
        labels = _labels(self.folder / "config.json")
        if len(labels) == config.num_labels:
            config.id2label, config.label2id = labels, {n: i for i, n in labels.items()}


def find_adapter(folder: Path, loading: Loading) -> Adapter | None:
    """The adapter in a folder; None where it holds a whole model.

    Raises:
        ModelError: an adapter that cannot be put onto its base model, or not safely.
    """
    if not (folder / CONFIG).is_file():
        return None
    _check_files(folder)
    config = _read(folder)
    kind = str(config.get("peft_type"))
    if kind not in KINDS:
        raise ModelError(f"adapter '{folder}' is of type {kind}; {choices(kind, KINDS)}")
    # PEFT imports what this names.
    if config.get("megatron_config") is not None:
        raise ModelError(
            f"adapter '{folder}' names megatron_config, which makes PEFT import modules; expected "
            "an adapter without it"
        )
    if find_spec("peft") is None:
        raise ModelError(
            f"model folder '{folder}' holds a PEFT adapter, which needs the package peft; expected "
            "pip install 'synapse-audit[peft]'"
        )
    for name in ("base_model_name_or_path", "revision"):
        if not isinstance(config.get(name), str | None):
            raise ModelError(
                f"'{folder / CONFIG}' has {name} {config[name]!r}; expected a text, or none"
            )
    saved = _saved(folder)
    check_adapter_sizes(folder / CONFIG, config, saved)
    given, named = loading.base_model, config.get("base_model_name_or_path")
    base = given or _beside(folder, str(named or ""))
    revision = None if given or Path(base).is_dir() else config.get("revision")
    return Adapter(folder, kind, base, revision, saved)


def attach(model: Any, adapter: Adapter, *, merge: bool) -> nn.Module:
    """The base model with its adapter.

    Raises:
        ModelError: the adapter does not fit this base model.
    """
    from peft import PeftModel

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            device = str(model.device)
            adapted: Any = PeftModel.from_pretrained(
                model, str(adapter.folder), torch_device=device
            )
            plain = adapted.merge_and_unload(safe_merge=True) if merge else _unmerged(adapted)
        except (RuntimeError, *BROKEN) as error:
            raise _misfit(adapter, str(error)) from error
    missing = [str(one.message) for one in said if "missing adapter keys" in str(one.message)]
    if missing:
        raise _misfit(adapter, missing[0])
    return plain.eval().requires_grad_(False)


def _unmerged(adapted: Any) -> nn.Module:
    """The base model with live adapter layers; heads that were trained along stand in plainly."""
    from peft.utils import ModulesToSaveWrapper

    base: nn.Module = adapted.get_base_model()
    for name, module in list(base.named_modules()):
        if isinstance(module, ModulesToSaveWrapper):
            parent, _, own = name.rpartition(".")
            wrapper: Any = module
            setattr(base.get_submodule(parent), own, wrapper.modules_to_save["default"])
    return base


def _check_files(folder: Path) -> None:
    whole = [path.name for path in folder.glob("*.safetensors") if path.name != WEIGHTS]
    if whole:
        raise ModelError(
            f"model folder '{folder}' holds an adapter ({CONFIG}) beside a whole model "
            f"({min(whole)}); expected one of the two"
        )
    if (folder / WEIGHTS).is_file():
        return
    pickles = sorted(path.name for path in folder.glob("adapter_model.*"))
    if pickles:
        raise ModelError(
            f"adapter '{folder}' is a pickle ({pickles[0]}), which can run code when opened; "
            f"expected {WEIGHTS}: re-save with save_pretrained()"
        )
    raise ModelError(f"adapter '{folder}' holds no weights; expected {WEIGHTS}")


def _read(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"'{folder / CONFIG}' is not JSON: {error}") from None
    if not isinstance(config, dict):
        raise ModelError(f"'{folder / CONFIG}' holds no JSON object; expected PEFT's configuration")
    return config


def _beside(folder: Path, named: str) -> str:
    """The base model as its configuration names it: a path may be meant from the adapter on."""
    if not named:
        raise ModelError(
            f"adapter '{folder}' names no base model; expected --base-model (base_model in Python)"
        )
    if not Path(named).exists() and (folder / named).is_dir():
        return str(folder / named)
    looks_local = Path(named).is_absolute() or named.startswith(".")
    if looks_local and not Path(named).is_dir():
        raise ModelError(
            f"adapter '{folder}' names the base model '{named}', which is not there; expected "
            "--base-model FOLDER (base_model in Python)"
        )
    return named


def _labels(file: Path) -> dict[int, str]:
    """The classes that a ``config.json`` beside the adapter names; none where there is no such."""
    if not file.is_file():
        return {}
    try:
        named = json.loads(file.read_text(encoding="utf-8"))["id2label"]
        return {int(number): str(name) for number, name in named.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}


def _saved(folder: Path) -> dict[str, tuple[int, ...]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            names = file.keys()
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in names}
    except (OSError, SafetensorError) as error:
        raise ModelError(f"adapter '{folder / WEIGHTS}' cannot be read: {error}") from error
    return {name.removeprefix(PREFIX): shape for name, shape in shapes.items()}


def _misfit(adapter: Adapter, reason: str) -> ModelError:
    line = (reason.strip() or "unknown").splitlines()[0][:200]
    return ModelError(
        f"adapter '{adapter.folder}' does not fit its base model '{adapter.base}': {line}"
    )
