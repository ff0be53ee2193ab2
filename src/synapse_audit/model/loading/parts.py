"""Loads a classifier from a folder or a hub id, and refuses what cannot be audited.

Safetensors only; remote code is never run; a head that was not trained stops the load, since the
audit of random weights would look like an audit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch

from synapse_audit.config import Loading
from synapse_audit.data.tables import listing
from synapse_audit.errors import ModelError, UsageError, choices
from synapse_audit.model.families.known import FAMILIES, Family
from synapse_audit.model.families.record import AUDIO, IMAGE, SERIES, TEXT
from synapse_audit.model.inputs.encoded import Inputs
from synapse_audit.model.inputs.input_format import InputFormat
from synapse_audit.model.inputs.processors import noise, signal_inputs
from synapse_audit.model.loading.adapters import Adapter, attach
from synapse_audit.model.loading.checked_config import (
    Trials,
    explained,
    read_config_file,
    skeleton,
)
from synapse_audit.model.loading.checkpoints import Checkpoint, find_checkpoint
from synapse_audit.model.loading.options import check_loading
from synapse_audit.model.loading.output_names import output_names, outputs
from synapse_audit.model.loading.problem_type import problem_type
from synapse_audit.model.loading.text_inputs import (
    check_tokenizer,
    id_inputs,
    load_tokenizer,
    text_inputs,
)
from synapse_audit.model.loading.weight_files import check_named_weights, check_weight_files
from synapse_audit.model.loading.weights import load_weights, placed_on
from synapse_audit.model.placement import map_in_words

HEADS = (
    "ForSequenceClassification",
    "ForImageClassification",
    "ForAudioClassification",
    "ForClassification",
)
"""How the names of transformers' classifiers end."""

AUTO = {
    TEXT: "AutoModelForSequenceClassification",
    IMAGE: "AutoModelForImageClassification",
    AUDIO: "AutoModelForAudioClassification",
    SERIES: "PatchTSTForClassification",
}
"""What loads a model whose configuration does not name its class."""


HEARD = {"input_values": AUDIO, "input_features": AUDIO, "pixel_values": IMAGE}
"""First argument of a model's forward → what it reads."""


class Parts(NamedTuple):
    """What a checkpoint holds, before a :class:`Classifier` is made of it."""

    model: torch.nn.Module
    classes: tuple[str, ...]
    """One name per output."""
    inputs: Inputs
    family: Family | None
    """None where no record serves it, or parts are named: the others are then looked for."""
    notes: tuple[str, ...] = ()
    """What its loading has to say."""
    device: str | None = None
    """Where the model was put for good; None where it may be moved."""
    origin: Mapping[str, str] = MappingProxyType({})
    """Where it came from and how it was loaded, for the manifest."""


def load_parts(
    source: str, loading: Loading | None = None, reads: InputFormat | None = None
) -> Parts:
    """Loads model, head, and tokenizer or processor from a folder or a hub id.

    Raises:
        ModelError: no such model, no trained head, a pickle checkpoint, an unknown family, an
            adapter that does not fit.
        UsageError: token ids or windows for a model that reads no texts; impossible windows;
            options that contradict each other or lack their package.
    """
    reads, loading = reads or InputFormat(), loading or Loading()
    check_loading(loading)
    reads.check()
    checkpoint = find_checkpoint(source, loading)
    check_folder(checkpoint.folder)
    held = read_config_file(checkpoint.folder)
    kind = {"model_type": held.get("model_type")}
    with explained(source, held, Trials(_configured, _built, lambda: _configured(kind).to_dict())):
        return _parts(checkpoint, loading, reads)


def _parts(checkpoint: Checkpoint, loading: Loading, reads: InputFormat) -> Parts:
    adapter, source = checkpoint.adapter, str(checkpoint.folder)
    config = _read_config(source, loading.label, adapter)
    family = find_family(config, named=bool(loading.parts))
    modality = family.modality if family else _modality(config)
    words = str(checkpoint.tokens)
    _check_reads(words, modality, reads)
    model = _load_model(source, config, modality, loading, adapter)
    if family is None and not isinstance(config, getattr(model, "config_class", ())):
        raise unknown_type(config.model_type)
    if modality != TEXT:
        inputs = signal_inputs(source, modality, loading.dtype)
        inputs = inputs._replace(modality=modality, examples=noise(modality))
    elif reads.tokens == "ids":
        inputs = id_inputs(words, model, family, reads)
    else:
        inputs = text_inputs(words, load_tokenizer(words), model, family, reads)
    return Parts(
        model=model,
        classes=output_names(config),
        inputs=inputs,
        family=None if loading.parts else family,
        notes=(*checkpoint.notes(loading), *_set_aside(family, loading)),
        device=placed_on(model, loading),
        origin=checkpoint.origin(loading)
        | _attention(model)
        | _map(model)
        | {"problem_type": problem_type(source, config, loading.label)}
        | ({"max_tokens": inputs.cut} if inputs.cut else {}),
    )


def _configured(held: dict[str, Any]) -> Any:
    """The configuration that a ``config.json`` describes."""
    from transformers import AutoConfig

    return AutoConfig.for_model(held["model_type"]).from_dict(held)


def _built(held: dict[str, Any]) -> None:
    """Makes the model that a ``config.json`` describes, without numbers."""
    config = _configured(held)
    family = find_family(config, named=True)
    modality = family.modality if family else _modality(config)
    skeleton(_kind(str(config.model_type), config, modality), config)


def _set_aside(family: Family | None, loading: Loading) -> tuple[str, ...]:
    if family is None or not loading.parts:
        return ()
    return (f"the record of {family.name} is set aside: {', '.join(loading.parts)} given",)


def unknown_type(model_type: str, reason: object = None) -> ModelError:
    """Refuses a model type; ``reason`` is why its parts could not be found either."""
    if reason is not None:
        return ModelError(
            f"model type '{model_type}' given, which no record describes (docs/families.md), and "
            f"its parts were not found: {reason}"
        )
    known = dict.fromkeys(name for record in FAMILIES for name in record.model_types)
    return ModelError(f"model type '{model_type}' given; {choices(model_type, known)}")


def _modality(config: Any) -> str:
    """What a model without a record reads, by its class.

    Raises:
        ModelError: its configuration names no class, or one of series, which differ too much.
    """
    import transformers

    name = next((n for n in config.architectures or () if n.endswith(HEADS)), "")
    # WavLM and its kin are called ...ForSequenceClassification, and hear sounds.
    first = getattr(getattr(transformers, name, None), "main_input_name", "")
    if name and first in HEARD:
        return HEARD[first]
    for ending, modality in zip(HEADS[:3], (TEXT, IMAGE, AUDIO), strict=True):
        if name.endswith(ending):
            return modality
    raise unknown_type(config.model_type)


def _attention(model: Any) -> dict[str, str]:
    name = getattr(model.config, "_attn_implementation", None)
    return {} if name is None else {"attn_implementation": str(name)}


def _map(model: Any) -> dict[str, str]:
    """Where accelerate put what, over the name of the map that was asked for."""
    words = map_in_words(model)
    return {} if words is None else {"device_map": words}


def _read_config(source: str, label: str | None, adapter: Adapter | None) -> Any:
    """Reads and checks ``config.json`` before any weight is touched."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    config.return_dict = True  # a habit of models that were saved to be explained
    if hasattr(config, "use_cache"):
        config.use_cache = False  # nothing is generated
    if adapter is not None:
        family = next((one for one in FAMILIES if config.model_type in one.model_types), None)
        adapter.describe(config, family.output_layer if family else None, HEADS)
    check_config(source, config, label)
    return config


def check_folder(folder: Path) -> None:
    """Refuses a folder without a saved classifier, or with one that only a pickle holds.

    Raises:
        ModelError: it says what is missing.
    """
    if not (folder / "config.json").is_file():
        raise ModelError(f"model folder '{folder}' has no config.json; expected a saved classifier")
    check_weight_files(folder)


def _check_reads(source: str, modality: str, reads: InputFormat) -> None:
    if modality != TEXT and reads != InputFormat():
        raise UsageError(
            "token ids, windows or another way to read texts given; model "
            f"'{source}' reads {modality}; expected none of them"
        )
    if modality == TEXT and reads.tokens != "ids":
        check_tokenizer(Path(source))


def check_config(source: str, config: Any, label: str | None = None) -> None:
    """Refuses what is no classifier with one label per input, or of which no ``label`` is chosen.

    Raises:
        ModelError: it says what the configuration describes.
    """
    check_named_weights(source, config)
    n, names = outputs(config), config.id2label
    if n < 1:
        raise ModelError(f"model '{source}' has {n} outputs; expected 1 or more")
    if len(names) != n:
        raise ModelError(
            f"model '{source}' has {n} outputs and {len(names)} names in id2label; expected "
            "one name per output"
        )
    if sorted(names) != list(range(len(names))):
        raise ModelError(
            f"model '{source}' has id2label for the ids {listing(list(map(str, names)), most=6)}; "
            f"expected names for 0 to {n - 1}"
        )
    problem_type(source, config, label)
    architectures = list(getattr(config, "architectures", None) or [])
    if architectures and not any(name.endswith(HEADS) for name in architectures):
        raise ModelError(
            f"model '{source}' is a {architectures[0]}; expected a ...{' or ...'.join(HEADS)}, "
            "whose classification head is trained"
        )


def find_family(config: Any, *, named: bool) -> Family | None:
    """The record that serves a configuration; None where no record knows its model type.

    Args:
        named: whether parts are named, so that one of another form is looked through without one.

    Raises:
        ModelError: the type is known, but not in this form, and no part is named.
    """
    records = [family for family in FAMILIES if config.model_type in family.model_types]
    for family in records:
        for name, value in family.settings.items():
            setattr(config, name, value)
        if family.serves(config):
            return family
    if not records or named:
        return None
    raise ModelError(
        f"model type '{config.model_type}' given in a form that is not known"
        f"{_unusual(config, records)}; expected what the record of {records[0].name} describes, "
        "see docs/families.md, or its parts named: --blocks, --position, --head"
    )


def _unusual(config: Any, records: Sequence[Family]) -> str:
    """The field that keeps every record from serving a configuration, if it is one."""
    usual = type(config)()
    for name, value in config.to_dict().items():
        other = getattr(usual, name, value)
        if other == value or name == "model_type":
            continue
        changed = copy(config)
        setattr(changed, name, other)
        if any(family.serves(changed) for family in records):
            return f" ({name} is {value!r})"
    return ""


def _kind(source: str, config: Any, modality: str) -> Any:
    """The class that a configuration names, or what chooses one for its modality."""
    import transformers

    named = [name for name in config.architectures or () if name.endswith(HEADS)]
    kind = getattr(transformers, named[0] if named else AUTO[modality], None)
    if kind is None:
        raise ModelError(
            f"model '{source}' is a {named[0]}, which transformers {transformers.__version__} does "
            "not have"
        )
    return kind


def _load_model(
    source: str, config: Any, modality: str, loading: Loading, adapter: Adapter | None
) -> torch.nn.Module:
    kind = _kind(source, config, modality)
    brought = frozenset(adapter.saved) if adapter else frozenset[str]()
    model = load_weights(source, kind, config, loading, elsewhere=brought)
    return model if adapter is None else attach(model, adapter, merge=loading.merges)
