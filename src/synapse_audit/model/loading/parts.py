"""Loads a classifier from a folder or a hub id, and refuses what cannot be audited.

Safetensors only; remote code is never run; a head that was not trained stops the load, since the
audit of random weights would look like an audit.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import torch

from synapse_audit.config import Loading
from synapse_audit.errors import BROKEN, ModelError, UsageError, choices, first_line
from synapse_audit.model.families.known import FAMILIES, Family
from synapse_audit.model.families.record import AUDIO, IMAGE, SERIES, TEXT
from synapse_audit.model.inputs.encoded import Inputs
from synapse_audit.model.inputs.processors import noise, signal_inputs
from synapse_audit.model.inputs.text import max_length, text_collator, text_encoder
from synapse_audit.model.inputs.token_ids import (
    Known,
    id_collator,
    id_encoder,
    id_examples,
    vocabulary_size,
)
from synapse_audit.model.inputs.windows import Window
from synapse_audit.model.loading.adapters import Adapter, attach
from synapse_audit.model.loading.checkpoints import TOKENIZERS, find_checkpoint
from synapse_audit.model.loading.options import check_loading
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


class Parts(NamedTuple):
    """What a checkpoint holds, before a :class:`Classifier` is made of it."""

    model: torch.nn.Module
    classes: tuple[str, ...]
    inputs: Inputs
    family: Family | None
    """None where no record serves it, or parts are named: the others are then looked for."""
    notes: tuple[str, ...] = ()
    """What its loading has to say."""
    device: str | None = None
    """Where the model was put for good; None where it may be moved."""
    origin: Mapping[str, str] = MappingProxyType({})
    """Where it came from and how it was loaded, for the manifest."""


TOKENS = ("text", "ids")
"""What a model of texts may be given."""


class InputFormat(NamedTuple):
    """How a model of texts is given its inputs."""

    tokens: str = "text"
    """``text``: by its tokenizer; ``ids``: inputs are token ids already."""
    window: Window | None = None
    """Long inputs become windows; None: they are cut."""


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
    checkpoint = find_checkpoint(source, loading)
    adapter, source = checkpoint.adapter, str(checkpoint.folder)
    config = _read_config(source, adapter)
    family = _family(config)
    modality = family.modality if family else _modality(config)
    words = str(checkpoint.tokens)
    _check_reads(words, modality, reads)
    if hasattr(config, "use_cache"):
        config.use_cache = False  # nothing is generated
    model = _load_model(source, config, modality, loading, adapter)
    if family is None and not isinstance(config, getattr(model, "config_class", ())):
        raise unknown_type(config.model_type)
    if modality != TEXT:
        inputs = signal_inputs(source, modality, loading.dtype)
    elif reads.tokens == "ids":
        inputs = _ids(source, model, family, reads.window)
    else:
        inputs = _text(words, model, family, reads.window)
    return Parts(
        model=model,
        classes=tuple(str(config.id2label[i]) for i in range(_outputs(config))),
        inputs=inputs._replace(
            modality=modality,
            examples=id_examples(vocabulary_size(model))
            if modality == TEXT and reads.tokens == "ids"
            else noise(modality),
        ),
        family=None if loading.parts else family,
        notes=(*checkpoint.notes(loading), *_set_aside(family, loading)),
        device=placed_on(model, loading),
        origin=checkpoint.origin(loading) | _attention(model) | _map(model),
    )


def _set_aside(family: Family | None, loading: Loading) -> tuple[str, ...]:
    if family is None or not loading.parts:
        return ()
    return (f"the record of {family.name} is set aside: {', '.join(loading.parts)} given",)


def unknown_type(model_type: str, reason: object = None) -> ModelError:
    """Refuses a model type; ``reason`` is why its parts could not be found either."""
    known = [name for record in FAMILIES for name in record.model_types]
    why = "" if reason is None else f" (its parts were looked for without success: {reason})"
    return ModelError(f"model type '{model_type}' given; {choices(model_type, known)}{why}")


def _modality(config: Any) -> str:
    """What a model without a record reads, by the name of its class.

    Raises:
        ModelError: its configuration names no class, or one of series, which differ too much.
    """
    name = next((n for n in config.architectures or () if n.endswith(HEADS)), "")
    for ending, modality in zip(HEADS[:3], (TEXT, IMAGE, AUDIO), strict=True):
        if name.endswith(ending):
            return modality
    raise unknown_type(config.model_type)


def _text(source: str, model: Any, family: Family | None, window: Window | None) -> Inputs:
    tokenizer = _tokenizer(source)
    notes: list[str] = []
    decoder = _is_decoder(model, family)
    if decoder:
        notes += _agree_on_padding(source, tokenizer, model.config)
    causal = decoder if family is None else family.causal
    if causal and tokenizer.padding_side != "right":
        tokenizer.padding_side = "right"
        notes.append("padded on the right, which no token sees, though its tokenizer says left")
    limit = max_length(model.config, tokenizer)
    encoder = text_encoder(tokenizer, limit, window)
    return Inputs(encoder, text_collator(tokenizer), tuple(notes), _texts(limit, "texts"))


def _tokenizer(source: str) -> Any:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    try:
        return AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except BROKEN as error:
        # transformers 5 writes a name that 4 does not know, of what 4 calls a fast tokenizer.
        if "TokenizersBackend" in str(error):
            return PreTrainedTokenizerFast.from_pretrained(source)
        raise ModelError(
            f"model '{source}': its tokenizer cannot be loaded; expected tokenizer.json as "
            f"save_pretrained() writes it: {first_line(error)}"
        ) from error


def _ids(source: str, model: Any, family: Family | None, window: Window | None) -> Inputs:
    padding = model.config.pad_token_id
    if padding is None and _is_decoder(model, family):
        raise ModelError(
            f"model '{source}' names no padding token, by which its head finds the last token of a "
            "sequence; expected pad_token_id in config.json"
        )
    ends = family is not None and family.position == "eos"
    end = model.config.eos_token_id if ends else None
    known = Known(vocabulary_size(model), padding, end)
    limit = max_length(model.config)
    encoder = id_encoder(known, limit, window)
    note = "reads token ids as they are given: no special token is added"
    reads = _texts(limit, f"token ids below {known.vocabulary:,}")
    return Inputs(encoder, id_collator(padding or 0), (note,), reads)


def _texts(limit: int, what: str) -> str:
    # Tokenizers and models without a limit name a huge one.
    return what if limit > 10**9 else f"{what}, {limit:,} tokens at most"


def _is_decoder(model: Any, family: Family | None) -> bool:
    # Without a record: transformers' decoders call their last layer so, and nothing else does.
    return hasattr(model, "score") if family is None else family.position == "last"


def _agree_on_padding(source: str, tokenizer: Any, config: Any) -> list[str]:
    """Tokenizer and head must mean the same token: the head looks for the last one before it."""
    if config.pad_token_id is None and tokenizer.pad_token_id is None:
        raise ModelError(
            f"model '{source}' names no padding token, by which its head finds the last token of a "
            "text; expected pad_token_id in config.json or pad_token in its tokenizer"
        )
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id
        return ["padding token taken from its tokenizer, since its configuration names none"]
    if tokenizer.pad_token_id != config.pad_token_id:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(config.pad_token_id)
        return ["padding token taken from its configuration, since its tokenizer names another"]
    return []


def _outputs(config: Any) -> int:
    return int(getattr(config, "num_targets", None) or config.num_labels)


def _attention(model: Any) -> dict[str, str]:
    name = getattr(model.config, "_attn_implementation", None)
    return {} if name is None else {"attn_implementation": str(name)}


def _map(model: Any) -> dict[str, str]:
    """Where accelerate put what, over the name of the map that was asked for."""
    words = map_in_words(model)
    return {} if words is None else {"device_map": words}


def _read_config(source: str, adapter: Adapter | None = None) -> Any:
    """Reads and checks ``config.json`` before any weight is touched."""
    from transformers import AutoConfig

    _check_folder(Path(source))
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"model '{source}' given; expected a folder with config.json or a hub id: "
            f"{first_line(error)}"
        ) from error
    if adapter is not None:
        family = next((one for one in FAMILIES if config.model_type in one.model_types), None)
        adapter.describe(config, family.output_layer if family else None, HEADS)
    _check_config(source, config)
    return config


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise ModelError(f"model folder '{folder}' has no config.json; expected a saved classifier")
    check_weight_files(folder)


def _check_reads(source: str, modality: str, reads: InputFormat) -> None:
    if reads.tokens not in TOKENS:
        raise UsageError(f"tokens '{reads.tokens}' given; {choices(reads.tokens, TOKENS)}")
    if modality != TEXT and reads != InputFormat():
        raise UsageError(
            f"token ids or windows given; model '{source}' reads {modality}; expected neither"
        )
    if modality == TEXT and reads.tokens != "ids":
        _check_tokenizer(Path(source))


def _check_tokenizer(folder: Path) -> None:
    # transformers makes up an empty vocabulary where there is none: every word would be unknown.
    if folder.is_dir() and not any(any(folder.glob(name)) for name in TOKENIZERS):
        raise ModelError(
            f"model folder '{folder}' has no tokenizer; expected tokenizer.json, or --tokens ids "
            "(tokens='ids' in Python) where the data holds token ids"
        )


def _check_config(source: str, config: Any) -> None:
    check_named_weights(source, config)
    problem = getattr(config, "problem_type", None)
    if problem not in (None, "single_label_classification"):
        raise ModelError(
            f"model '{source}' is trained for {problem}; expected single_label_classification "
            "(one label per example)"
        )
    outputs, names = _outputs(config), config.id2label
    if outputs < 2:
        raise ModelError(f"model '{source}' has {outputs} output; expected 2 or more classes")
    if len(names) != outputs:
        raise ModelError(
            f"model '{source}' has {outputs} outputs and {len(names)} names in id2label; expected "
            "one name per output"
        )
    if sorted(names) != list(range(len(names))) or len(set(names.values())) < len(names):
        raise ModelError(
            f"model '{source}' has id2label {names}; expected distinct names for 0, 1, 2, ..."
        )
    architectures = list(getattr(config, "architectures", None) or [])
    if architectures and not any(name.endswith(HEADS) for name in architectures):
        raise ModelError(
            f"model '{source}' is a {architectures[0]}; expected a ...{' or ...'.join(HEADS)}, "
            "whose classification head is trained"
        )


def _family(config: Any) -> Family | None:
    """The record that serves a configuration; None where no record knows its model type."""
    records = [family for family in FAMILIES if config.model_type in family.model_types]
    for family in records:
        for name, value in family.settings.items():
            setattr(config, name, value)
        if family.serves(config):
            return family
    if records:
        raise ModelError(
            f"model type '{config.model_type}' given in a form that is not known; expected what "
            f"the record of {records[0].name} describes, see docs/families.md"
        )
    return None


def _load_model(
    source: str, config: Any, modality: str, loading: Loading, adapter: Adapter | None
) -> torch.nn.Module:
    import transformers

    named = [name for name in config.architectures or () if name.endswith(HEADS)]
    kind = getattr(transformers, named[0] if named else AUTO[modality], None)
    if kind is None:
        raise ModelError(
            f"model '{source}' is a {named[0]}, which transformers {transformers.__version__} does "
            "not have"
        )
    brought = frozenset(adapter.saved) if adapter else frozenset[str]()
    model = load_weights(source, kind, config, loading, elsewhere=brought)
    return model if adapter is None else attach(model, adapter, merge=loading.merges)
