"""Loads a sequence classifier from a folder or a hub id, and refuses what cannot be audited.

Safetensors only; remote code is never run; a head that was not trained stops the load, since the
audit of random weights would look like an audit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from synapse_audit.artifacts import TextInput
from synapse_audit.classifier.encoded import Batch, Collator, Encoded, Encoder
from synapse_audit.classifier.family import FAMILIES, Family, family_of
from synapse_audit.errors import ModelError, choices


class Parts(NamedTuple):
    """What a checkpoint holds, before a :class:`Classifier` is made of it."""

    model: torch.nn.Module
    classes: tuple[str, ...]
    encoder: Encoder
    collator: Collator
    family: Family


def load_parts(source: str) -> Parts:
    """Loads model, head and tokenizer from a folder or a hub id.

    Raises:
        ModelError: no such model, no trained head, a pickle checkpoint, an unknown family.
    """
    from transformers import AutoTokenizer

    config = _read_config(source)
    family = _family(config)
    model = _load_model(source)
    tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    return Parts(
        model=model,
        classes=tuple(str(config.id2label[i]) for i in range(config.num_labels)),
        encoder=_make_encoder(tokenizer, _max_length(tokenizer, config)),
        collator=_make_collator(tokenizer),
        family=family,
    )


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
        return _check_tokenizer(folder)
    pickles = sorted(path.name for path in (*folder.glob("*.bin"), *folder.glob("*.pt")))
    if pickles:
        raise ModelError(
            f"model folder '{folder}' holds a pickle checkpoint ({pickles[0]}), which can run code "
            "when opened; expected *.safetensors: re-save with save_pretrained()"
        )
    raise ModelError(f"model folder '{folder}' holds no weights; expected *.safetensors")


def _check_tokenizer(folder: Path) -> None:
    # transformers makes up an empty vocabulary where there is none: every word would be unknown.
    if not any(any(folder.glob(name)) for name in ("tokenizer.json", "vocab.*", "*.model")):
        raise ModelError(f"model folder '{folder}' has no tokenizer; expected tokenizer.json")


def _check_config(source: str, config: Any) -> None:
    problem = getattr(config, "problem_type", None)
    if problem not in (None, "single_label_classification"):
        raise ModelError(
            f"model '{source}' is trained for {problem}; expected single_label_classification "
            "(one label per example)"
        )
    if config.num_labels < 2:
        raise ModelError(
            f"model '{source}' has {config.num_labels} output; expected 2 or more classes"
        )
    names = config.id2label
    if sorted(names) != list(range(len(names))) or len(set(names.values())) < len(names):
        raise ModelError(
            f"model '{source}' has id2label {names}; expected distinct names for 0, 1, 2, ..."
        )
    architectures = list(getattr(config, "architectures", None) or [])
    if architectures and not any(n.endswith("ForSequenceClassification") for n in architectures):
        raise ModelError(
            f"model '{source}' is a {architectures[0]}; expected a ...ForSequenceClassification, "
            "whose classification head is trained"
        )


def _family(config: Any) -> Family:
    family = family_of(config.model_type)
    if family is None:
        known = [name for record in FAMILIES for name in record.model_types]
        raise ModelError(
            f"model type '{config.model_type}' given; {choices(config.model_type, known)}"
        )
    return family


def _load_model(source: str) -> torch.nn.Module:
    from safetensors import SafetensorError
    from transformers import AutoModelForSequenceClassification

    try:
        model, report = AutoModelForSequenceClassification.from_pretrained(
            source,
            dtype=torch.float32,
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


def _max_length(tokenizer: Any, config: Any) -> int:
    """The longest input that both tokenizer and position embeddings allow."""
    limits = [tokenizer.model_max_length]
    places = getattr(config, "max_position_embeddings", None)
    if places is not None:
        # RoBERTa numbers positions from padding_idx + 1 on, so that many rows are never used.
        numbered = config.model_type in ("roberta", "xlm-roberta", "camembert")
        offset = (config.pad_token_id or 0) + 1 if numbered else 0
        limits.append(places - offset)
    return int(min(limits))


def _make_encoder(tokenizer: Any, limit: int) -> Encoder:
    def encode(inputs: Sequence[TextInput]) -> Encoded:
        import numpy as np

        first = [text if isinstance(text, str) else text[0] for text in inputs]
        pairs = None if not inputs or isinstance(inputs[0], str) else [text[1] for text in inputs]
        rows = tokenizer(first, pairs, truncation=False, verbose=False)
        n_truncated = sum(len(row) > limit for row in rows["input_ids"])
        if n_truncated:
            rows = tokenizer(first, pairs, truncation=True, max_length=limit)
        lengths = np.array([len(row) for row in rows["input_ids"]], dtype=np.int64)
        columns = [list(rows[name]) for name in rows]
        features = tuple(dict(zip(rows, row, strict=True)) for row in zip(*columns, strict=True))
        return Encoded(features, lengths, n_truncated)

    return encode


def _make_collator(tokenizer: Any) -> Collator:
    def collate(features: Sequence[Mapping[str, Any]]) -> Batch:
        return dict(
            tokenizer.pad([dict(row) for row in features], padding=True, return_tensors="pt")
        )

    return collate
