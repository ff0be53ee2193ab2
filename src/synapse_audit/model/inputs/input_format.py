"""How a model of texts is given its inputs: as its makers serve it, which no checkpoint says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from synapse_audit.artifacts import TextInput
from synapse_audit.errors import UsageError, choices
from synapse_audit.model.inputs.encoded import Encoded, Encoder
from synapse_audit.model.inputs.windows import Window

TOKENS = ("text", "ids")
"""What a model of texts may be given."""


class InputFormat(NamedTuple):
    """How a model of texts is given its inputs."""

    tokens: str = "text"
    """``text``: by its tokenizer; ``ids``: inputs are token ids already."""
    window: Window | None = None
    """Long inputs become windows; None: they are cut."""
    max_tokens: int | None = None
    """Longer inputs are cut at so many tokens, special tokens included; None: at what tokenizer and
    model allow."""
    text_prefix: str = ""
    """What stands before every text (the first of a pair), such as ``query: ``."""
    lower_case: bool = False
    """Whether texts are written in small letters, after the prefix is put before them."""

    def check(self) -> None:
        """Refuses what contradicts itself.

        Raises:
            UsageError: the message says what was expected.
        """
        if self.tokens not in TOKENS:
            raise UsageError(f"tokens '{self.tokens}' given; {choices(self.tokens, TOKENS)}")
        if self.window is not None and self.max_tokens is not None:
            raise UsageError(
                f"window of {self.window.size} tokens and max tokens {self.max_tokens} given; "
                "expected one of the two: windows are not cut"
            )
        if self.tokens == "ids" and (self.text_prefix or self.lower_case):
            raise UsageError("token ids given with a text prefix or small letters; expected texts")

    def limit(self, most: int, added: int) -> int:
        """Tokens at which inputs are cut.

        Args:
            most: what the model can read.
            added: special tokens in every input.

        Raises:
            UsageError: more than the model can read, or nothing of the input left.
        """
        if self.max_tokens is None:
            return most
        if not added < self.max_tokens <= most:
            raise UsageError(
                f"max tokens {self.max_tokens} given; expected {added + 1} to {most:,} ({added} of "
                "them special tokens), which is what the model can read"
            )
        return self.max_tokens

    def written(self, encoder: Encoder) -> Encoder:
        """The same encoder of texts that are written as asked for."""
        if not self.text_prefix and not self.lower_case:
            return encoder

        def encode(inputs: Sequence[Any]) -> Encoded:
            return encoder([self._write(text) for text in inputs])

        return encode

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of results should know."""
        return (
            *((f"every text begins with {self.text_prefix!r}",) if self.text_prefix else ()),
            *(("texts are read in small letters",) if self.lower_case else ()),
        )

    def _write(self, text: TextInput) -> TextInput:
        parts = [text] if isinstance(text, str) else [*text]
        parts[0] = self.text_prefix + parts[0]
        if self.lower_case:
            parts = [part.lower() for part in parts]
        return parts[0] if isinstance(text, str) else (parts[0], parts[1])
