"""What a source turns out to be: a whole model, or an adapter with its base model elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from synapse_audit.config import Loading
from synapse_audit.errors import ModelError, UsageError
from synapse_audit.model.loading.adapters import CONFIG, Adapter, find_adapter
from synapse_audit.model.loading.hub import Found, locate

TOKENIZERS = ("tokenizer.json", "vocab.*", "*.model")
"""Files of which a saved tokenizer has one."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was found."""

    source: Found
    """What the user named."""
    base: Found
    """Where the model's configuration and weights are: the same, unless that is an adapter."""
    adapter: Adapter | None = None

    @property
    def folder(self) -> Path:
        """Where the model's configuration and weights are."""
        return self.base.folder

    @property
    def tokens(self) -> Path:
        """Where its tokenizer is: an adapter may bring one."""
        own = any(any(self.source.folder.glob(name)) for name in TOKENIZERS)
        return self.source.folder if own else self.folder

    def origin(self, loading: Loading) -> dict[str, str]:
        """Where all of it came from and how it was loaded, for the manifest."""
        facts = {
            "revision": loading.revision,
            "commit": self.source.commit,
            "dtype": loading.dtype,
            "device_map": loading.device_map,
            "quantization": loading.quantization,
        }
        if self.adapter is not None:
            facts |= {
                "adapter": f"{self.adapter.kind}, {'merged' if loading.merges else 'unmerged'}",
                "base_model": self.adapter.base,
                "base_revision": self.adapter.base_revision,
                "base_commit": self.base.commit,
            }
        return {name: fact for name, fact in facts.items() if fact is not None}

    def notes(self, loading: Loading) -> tuple[str, ...]:
        """What a reader of results should know of how it was loaded."""
        notes = []
        if loading.quantization is not None:
            notes.append(
                f"weights inside blocks quantised to {loading.quantization}: faults and flipped "
                "bits fall on the head and on norms only"
            )
        if loading.quantization == "8bit":
            notes.append("8-bit products round by what else is in the batch, so logits do too")
        if self.adapter is not None:
            how = "merged into" if loading.merges else "kept beside the weights of"
            notes.append(f"{self.adapter.kind} adapter {how} base model {self.adapter.base}")
            if loading.merge_adapter and not loading.merges:
                notes.append("not merged, since quantised weights would round it away")
        return tuple(notes)


def find_checkpoint(source: str, loading: Loading) -> Checkpoint:
    """Finds a model or an adapter with its base model.

    Raises:
        ModelError: one of them is not there, or the adapter cannot be used.
        UsageError: a base model is given for a source that is no adapter.
    """
    found = locate(source, loading.revision)
    adapter = find_adapter(found.folder, loading)
    if adapter is not None:
        base = locate(adapter.base, adapter.base_revision)
        if (base.folder / CONFIG).is_file():
            raise ModelError(
                f"base model '{adapter.base}' of adapter '{source}' is an adapter itself; expected "
                "a whole model"
            )
        return Checkpoint(found, base, adapter)
    if loading.base_model is not None:
        raise UsageError(
            f"base model '{loading.base_model}' given; model '{source}' is no adapter; expected a "
            f"folder with {CONFIG}"
        )
    return Checkpoint(found, found)
