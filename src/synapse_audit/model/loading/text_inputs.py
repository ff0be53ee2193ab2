"""How texts, or token ids, become batches for a saved model: tokenizer, padding, limits.

In: a checkpoint's folder and its model. Out: :class:`Inputs` that the model can read, with a note
for everything that was decided where tokenizer and model do not agree.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from torch import nn

from synapse_audit.errors import ModelError, first_line
from synapse_audit.model.families.known import Family
from synapse_audit.model.inputs.encoded import Inputs
from synapse_audit.model.inputs.input_format import InputFormat
from synapse_audit.model.inputs.text import Limits, max_length, text_collator, text_encoder
from synapse_audit.model.inputs.token_ids import (
    Known,
    id_collator,
    id_encoder,
    id_examples,
    vocabulary_size,
)
from synapse_audit.model.loading.checkpoints import TOKENIZERS

WITHOUT_FILE = ("ByT5Tokenizer", "CanineTokenizer", "PerceiverTokenizer")
"""Tokenizers of bytes or characters, which save no vocabulary."""

SECOND = "token_type_ids"
"""The feature that marks the second text of a pair."""


def text_inputs(
    source: str, tokenizer: Any, model: Any, family: Family | None, reads: InputFormat
) -> Inputs:
    """The tokenizer as encoder and collator; it is changed where it does not fit the model.

    Raises:
        ModelError: no padding token can be found.
        UsageError: a format that this model cannot read.
    """
    decoder = is_decoder(model, family)
    notes = _agree_on_padding(source, tokenizer, model, decoder=decoder)
    causal = decoder if family is None else family.causal
    if (causal or family is not None) and tokenizer.padding_side != "right":
        tokenizer.padding_side = "right"
        why = "which no token sees" if causal else "so that its head finds what it reads"
        notes.append(f"padded on the right, {why}, though its tokenizer says left")
    notes += _unsent(tokenizer, model)
    most = max_length(model, tokenizer)
    limit, cut = _limit(tokenizer, most, reads)
    limits = Limits(limit, rows_of_embeddings(model), _end_token(model, family))
    encoder = reads.written(text_encoder(tokenizer, limits, reads.window))
    said = [f"cut at {cut}; the model could read {most:,}"] if cut and limit < most else []
    return Inputs(
        encoder,
        text_collator(tokenizer),
        (*notes, *said, *reads.notes),
        _reads(limit, "texts"),
        cut=cut,
    )


def id_inputs(source: str, model: Any, family: Family | None, reads: InputFormat) -> Inputs:
    """Token ids as they are given, padded by the model's own padding token.

    Raises:
        ModelError: the head finds the last token by a padding token that nobody names.
        UsageError: a format that this model cannot read.
    """
    padding = _known(model.config.pad_token_id, rows_of_embeddings(model))
    if padding is None and is_decoder(model, family):
        raise ModelError(
            f"model '{source}' names no padding token, by which its head finds the last token of a "
            "sequence; expected pad_token_id in config.json"
        )
    model.config.pad_token_id = padding
    known = Known(vocabulary_size(model), padding, _end_token(model, family))
    limit = reads.limit(max_length(model), 0)
    encoder = id_encoder(known, limit, reads.window)
    note = "reads token ids as they are given: no special token is added"
    return Inputs(
        encoder,
        id_collator(padding or 0),
        (note,),
        _reads(limit, f"token ids below {known.vocabulary:,}"),
        examples=id_examples(known.vocabulary),
        cut="" if reads.max_tokens is None else f"{limit:,} tokens, as asked for",
    )


def check_tokenizer(folder: Path) -> None:
    """Refuses a folder without one: transformers makes up an empty vocabulary there.

    Raises:
        ModelError: every word would be unknown.
    """
    if not folder.is_dir() or any(any(folder.glob(name)) for name in TOKENIZERS):
        return
    config = folder / "tokenizer_config.json"
    # Whatever else it holds, AutoTokenizer reads it, and has its own words for what is broken.
    if config.is_file() and any(
        name in config.read_text(encoding="utf-8", errors="replace") for name in WITHOUT_FILE
    ):
        return
    raise ModelError(
        f"model folder '{folder}' has no tokenizer; expected tokenizer.json, or --tokens ids "
        "(tokens='ids' in Python) where the data holds token ids"
    )


def is_decoder(model: Any, family: Family | None) -> bool:
    """Whether its head looks for the last token that is no padding."""
    # Without a record: transformers' decoders call their last layer so, and nothing else does.
    return hasattr(model, "score") if family is None else family.position == "last"


def rows_of_embeddings(model: Any) -> int | None:
    """How many tokens a model knows; None where it has no table of them (characters, hashes)."""
    try:
        table = model.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        return None
    return table.num_embeddings if isinstance(table, nn.Embedding) else None


def load_tokenizer(source: str) -> Any:
    """The tokenizer saved beside a model.

    Raises:
        ModelError: it cannot be loaded.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    try:
        return AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except Exception as error:  # the package tokenizers raises nothing narrower
        # transformers 5 writes a name that 4 does not know, of what 4 calls a fast tokenizer.
        if "TokenizersBackend" in str(error):
            return PreTrainedTokenizerFast.from_pretrained(source)
        raise ModelError(
            f"model '{source}': its tokenizer cannot be loaded; expected tokenizer.json as "
            f"save_pretrained() writes it: {first_line(error)}"
        ) from error


def _limit(tokenizer: Any, most: int, reads: InputFormat) -> tuple[int, str]:
    """Tokens at which texts are cut, and who says so, if somebody does.

    ``tokenizer.json`` may hold a truncation of its own, which servers heed and transformers drops.
    """
    own = getattr(getattr(tokenizer, "backend_tokenizer", None), "truncation", None) or {}
    if own.get("direction") in ("Left", "left"):
        tokenizer.truncation_side = "left"
    if reads.max_tokens is not None:
        limit = reads.limit(most, tokenizer.num_special_tokens_to_add())
        return limit, f"{limit:,} tokens, as asked for"
    cut = own.get("max_length")
    if reads.window is None and isinstance(cut, int) and 0 < cut <= most:
        return cut, f"{cut:,} tokens, as its tokenizer.json says"
    return most, ""


def _reads(limit: int, what: str) -> str:
    # Tokenizers and models without a limit name a huge one.
    return what if limit > 10**9 else f"{what}, {limit:,} tokens at most"


def _known(token: Any, rows: int | None) -> int | None:
    """A token number that the model has a row for; None for −1 and others that stand for none."""
    if not isinstance(token, int) or token < 0 or (rows is not None and token >= rows):
        return None
    return token


def _agree_on_padding(source: str, tokenizer: Any, model: Any, *, decoder: bool) -> list[str]:
    """Tokenizer and head must mean the same token: a decoder looks for the last one before it.

    To an encoder padding is hidden, so that any token will do there.
    """
    config, rows = model.config, rows_of_embeddings(model)
    named, own = getattr(config, "pad_token_id", None), tokenizer.pad_token_id
    wanted, there = _known(named, rows), _known(own, rows)
    if wanted is None and there is None and decoder:
        raise ModelError(
            f"model '{source}' names no padding token, by which its head finds the last token of a "
            f"text (pad_token_id is {named} in its configuration, {own} in its tokenizer); "
            f"expected "
            "pad_token_id in config.json or pad_token in its tokenizer"
        )
    if wanted is None and there is not None:
        config.pad_token_id = there
        why = "names none" if named is None else f"names {named}, which is no token"
        return [f"padding token taken from its tokenizer, since its configuration {why}"] * decoder
    token = 0 if wanted is None else wanted
    if own == token or (there is not None and not decoder):
        return []
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(token)
    if wanted is None:
        return [f"padded with token id {token}, since neither its configuration nor tokenizer can"]
    why = "names another" if own is not None else "names none"
    return [f"padding token taken from its configuration, since its tokenizer {why}"]


def _unsent(tokenizer: Any, model: Any) -> list[str]:
    """Keeps back what a tokenizer makes and the model has no place for."""
    known = inspect.signature(model.forward).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in known.values())
    types = getattr(model.config, "type_vocab_size", None)
    notes = []
    for name in tokenizer.model_input_names[1:]:
        if name not in known and (name == SECOND or not takes_all):
            why = "the model does not take them"
        elif name == SECOND and isinstance(types, int) and types < 2:
            why = f"the model has {types} token type{'s' * (types != 1)}"
        else:
            continue
        tokenizer.model_input_names = [n for n in tokenizer.model_input_names if n != name]
        notes.append(f"{name} are not sent: {why}")
    return notes


def _end_token(model: Any, family: Family | None) -> int | None:
    """The token whose last state the head reads; None where it reads another way."""
    encoder_decoder = bool(getattr(model.config, "is_encoder_decoder", False))
    reads_end = encoder_decoder if family is None else family.position == "eos"
    end = getattr(model.config, "eos_token_id", None)
    return end if reads_end and isinstance(end, int) else None
