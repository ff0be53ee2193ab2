"""Loads a classifier from a folder or a hub id, and refuses what cannot be audited.

Safetensors only; remote code is never run; a head that was not trained stops the load, since the
audit of random weights would look like an audit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from synapse_audit.classifier.encoded import Collator, Encoder
from synapse_audit.classifier.family import FAMILIES, Family
from synapse_audit.classifier.record import AUDIO, IMAGE, SERIES, TEXT
from synapse_audit.classifier.signals import (
    as_encoder,
    image_encoder,
    series_encoder,
    sound_collator,
    sound_encoder,
    stacking_collator,
)
from synapse_audit.classifier.text import max_length, text_collator, text_encoder
from synapse_audit.errors import ModelError, choices

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
    encoder: Encoder
    collator: Collator
    family: Family | None
    """None where no record serves it: its parts are then looked for."""
    notes: tuple[str, ...] = ()
    """What was chosen for want of a word in the checkpoint."""
    examples: tuple[Any, ...] | None = None
    """What to trace a model without a record on; texts where None."""


class Inputs(NamedTuple):
    """How raw inputs become batches."""

    encoder: Encoder
    collator: Collator
    notes: tuple[str, ...] = ()


def load_parts(source: str, dtype: str = "float32") -> Parts:
    """Loads model, head, and tokenizer or processor from a folder or a hub id.

    Raises:
        ModelError: no such model, no trained head, a pickle checkpoint, an unknown family.
    """
    config = _read_config(source)
    family = _family(config)
    modality = family.modality if family else _modality(config)
    if modality == TEXT:
        _check_tokenizer(Path(source))
    if hasattr(config, "use_cache"):
        config.use_cache = False  # nothing is generated
    model = _load_model(source, config, modality, dtype)
    if family is None and not isinstance(config, getattr(model, "config_class", ())):
        raise unknown_type(config.model_type)
    inputs = _text(source, model, family) if modality == TEXT else _signal(source, modality)
    return Parts(
        model=model,
        classes=tuple(str(config.id2label[i]) for i in range(_outputs(config))),
        encoder=inputs.encoder,
        collator=inputs.collator,
        family=family,
        notes=inputs.notes,
        examples=_signals(modality),
    )


def unknown_type(model_type: str, reason: object = None) -> ModelError:
    """Refuses a model type; ``reason`` is why its parts could not be found either."""
    known = [name for record in FAMILIES for name in record.model_types]
    why = "" if reason is None else f" (its parts were looked for in vain: {reason})"
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


def _signals(modality: str) -> tuple[Any, ...] | None:
    """Noise to trace a model on that reads no texts."""
    random = np.random.default_rng(0)
    if modality == IMAGE:
        return tuple(random.integers(0, 256, (3, 64, 64, 3), dtype=np.uint8))
    if modality == AUDIO:
        return tuple(random.standard_normal(n).astype(np.float32) for n in (12000, 14000, 16000))
    return None


def _text(source: str, model: Any, family: Family | None) -> Inputs:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    notes: list[str] = []
    # Without a record: transformers' decoders call their last layer so, and nothing else does.
    decoder = hasattr(model, "score") if family is None else family.position == "last"
    if decoder:
        notes += _agree_on_padding(source, tokenizer, model.config)
    causal = decoder if family is None else family.causal
    if causal and tokenizer.padding_side != "right":
        tokenizer.padding_side = "right"
        notes.append("padded on the right, which no token sees, though its tokenizer says left")
    encoder = text_encoder(tokenizer, max_length(tokenizer, model.config))
    return Inputs(encoder, text_collator(tokenizer), tuple(notes))


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


def _signal(source: str, modality: str) -> Inputs:
    from transformers import AutoConfig, AutoFeatureExtractor, AutoImageProcessor

    config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    if modality == SERIES:
        encoder = series_encoder(config.context_length, config.context_length)
        return Inputs(as_encoder(encoder), stacking_collator())
    kind: Any = AutoImageProcessor if modality == IMAGE else AutoFeatureExtractor
    try:
        processor = kind.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError, ImportError) as error:
        raise ModelError(
            f"model '{source}': its processor cannot be loaded; expected preprocessor_config.json: "
            f"{str(error).strip().splitlines()[0]}"
        ) from error
    if modality == IMAGE:
        return Inputs(as_encoder(image_encoder(processor, _patches(config))), stacking_collator())
    encoder = sound_encoder(processor, processor.sampling_rate)
    fixed = hasattr(processor, "max_length") and hasattr(processor, "num_mel_bins")
    return Inputs(as_encoder(encoder), stacking_collator() if fixed else sound_collator(processor))


def _patches(config: Any) -> int:
    """Tokens that an image becomes; 1 where the configuration does not say: all are alike."""
    sized = getattr(config, "vision_config", config)
    if not hasattr(sized, "image_size") or not hasattr(sized, "patch_size"):
        return 1
    size, patch = (
        value if isinstance(value, int) else value[0]
        for value in (sized.image_size, sized.patch_size)
    )
    return (size // patch) ** 2 + 1


def _outputs(config: Any) -> int:
    return int(getattr(config, "num_targets", None) or config.num_labels)


def _read_config(source: str) -> Any:
    """Reads and checks ``config.json`` before any weight is touched."""
    from transformers import AutoConfig

    folder = Path(source)
    if folder.is_dir():
        _check_folder(folder)
    elif folder.exists():
        raise ModelError(f"model '{source}' is a file; expected a folder or a hub id")
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ModelError(
            f"model '{source}' given; expected a folder with config.json or a hub id: {reason}"
        ) from error
    _check_config(source, config)
    return config


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise ModelError(f"model folder '{folder}' has no config.json; expected a saved classifier")
    if any(folder.glob("*.safetensors")):
        return
    pickles = sorted(path.name for path in (*folder.glob("*.bin"), *folder.glob("*.pt")))
    if pickles:
        raise ModelError(
            f"model folder '{folder}' holds a pickle checkpoint ({pickles[0]}), which can run code "
            "when opened; expected *.safetensors: re-save with save_pretrained()"
        )
    raise ModelError(f"model folder '{folder}' holds no weights; expected *.safetensors")


def _check_tokenizer(folder: Path) -> None:
    # transformers makes up an empty vocabulary where there is none: every word would be unknown.
    if folder.is_dir() and not any(
        any(folder.glob(name)) for name in ("tokenizer.json", "vocab.*", "*.model")
    ):
        raise ModelError(f"model folder '{folder}' has no tokenizer; expected tokenizer.json")


def _check_config(source: str, config: Any) -> None:
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


def _load_model(source: str, config: Any, modality: str, dtype: str) -> torch.nn.Module:
    import transformers
    from safetensors import SafetensorError

    named = [name for name in config.architectures or () if name.endswith(HEADS)]
    kind = getattr(transformers, named[0] if named else AUTO[modality], None)
    if kind is None:
        raise ModelError(
            f"model '{source}' is a {named[0]}, which transformers {transformers.__version__} does "
            "not have"
        )
    try:
        model, report = kind.from_pretrained(
            source,
            config=config,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelError(
            f"model '{source}' cannot be loaded: {str(error).splitlines()[0]}"
        ) from error
    misfits = sorted(str(entry[0]) for entry in report["mismatched_keys"])
    if misfits:
        raise ModelError(
            f"model '{source}' saved {misfits[0]} in another shape than its config.json describes; "
            "expected a config.json that fits the weights"
        )
    missing = sorted(report["missing_keys"])
    if missing:
        raise ModelError(
            f"model '{source}' lacks {len(missing)} weights ({', '.join(missing[:3])}), so its "
            "head would be untrained; expected a fine-tuned classifier"
        )
    return model.requires_grad_(False)
