"""A whole tiny audit of any family, and what plain PyTorch says of some of its cells.

The oracle shares nothing with the library but the tables of the finished audit: it runs the model
that transformers loads on one example at a time, unpadded, and writes into the outputs of blocks
that it names itself.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import transformers
from only_findings import only_findings
from torch import Tensor, nn

from synapse_audit import AuditResult, audit, make_config
from synapse_audit.artifacts import LabelledData
from synapse_audit.pipeline import stages

from .families import own_logits
from .kinds import KINDS
from .saved import Saved, save
from .table import DOCUMENT

GRID = {
    "max_examples": 60,
    "fractions": (0.5,),
    "operators": ("mean", "zero"),
    "layer_fractions": (0.5,),
    "position_fractions": (0.5,),
    "draws": 2,
    "rankings": ("probe",),
    "budgets": (1.0,),
    "columns": (0.5,),
    "constants": (2.0,),
    "temperatures": (),
    "logit_noise": (),
}
DECIDED = 1e-3
"""Margin of logits above which batches of other shapes cannot turn a prediction."""

BLOCKS: dict[str, tuple[str, ...]] = {
    "distilbert": ("distilbert.transformer.layer",),
    "albert": ("albert.encoder.albert_layer_groups",),
    "camembert": ("roberta.encoder.layer",),
    "xlm-roberta": ("roberta.encoder.layer",),
    "deberta-v2": ("deberta.encoder.layer",),
    "modernbert": ("model.layers",),
    "big_bird": ("bert.encoder.layer",),
    "gpt2": ("transformer.h",),
    "gpt_neox": ("gpt_neox.layers",),
    "opt": ("model.decoder.layers",),
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma"), ("model.layers",)),
    "t5": ("transformer.encoder.block", "transformer.decoder.block"),
    "bart": ("model.encoder.layers", "model.decoder.layers"),
    **{name: (f"{name}.layers",) for name in ("vit", "deit", "beit")},
    "swin": ("swin.encoder.layers.0.blocks", "swin.encoder.layers.1.blocks"),
    "clip": ("vision_model.encoder.layers",),
    "wav2vec2": ("wav2vec2.encoder.layers",),
    "hubert": ("hubert.encoder.layers",),
    "audio-spectrogram-transformer": ("audio_spectrogram_transformer.layers",),
    "patchtst": ("model.encoder.layers",),
}
"""Lists of blocks, in the order they run; of the others they are in NAME.encoder.layer."""

LAST = ("gpt2", "gpt_neox", "opt", "llama", "mistral", "qwen2", "qwen3", "gemma", "t5", "bart")
READ: dict[str, slice] = {
    **dict.fromkeys(LAST, slice(-1, None)),
    **dict.fromkeys(("modernbert, mean", "dinov2", "swin", "patchtst"), slice(None)),
    **dict.fromkeys(("wav2vec2", "wav2vec2, stable norm"), slice(None)),
    **dict.fromkeys(("hubert", "hubert, stable norm"), slice(None)),
    **dict.fromkeys(("beit", "clip"), slice(1, None)),
    "audio-spectrogram-transformer": slice(2),
}
"""Which tokens of an unpadded example the head reads; of the others the first."""


class Silenced(NamedTuple):
    """Neurons of one layer, and what is put in their place."""

    neurons: Tensor
    values: Tensor


@dataclass(frozen=True)
class Oracle:
    """A model as transformers loads it, with hooks written by hand."""

    name: str
    model: nn.Module

    @cached_property
    def calls(self) -> list[nn.Module]:
        """The blocks in the order they run, one that runs several times named as often."""
        base = self.name.partition(",")[0]
        lists = BLOCKS.get(base, (f"{base}.encoder.layer",))
        found = [block for path in lists for block in self.model.get_submodule(path).children()]
        return found * KINDS[self.name].layers if base == "albert" else found

    @contextmanager
    def watching(self, see: Callable[[int, Tensor], Tensor | None]) -> Iterator[None]:
        """Calls ``see`` with layer and tokens (tokens, neurons); what it returns is put in."""
        seen = 0

        def hook(_module: object, _inputs: object, output: Any) -> Any:
            nonlocal seen
            seen += 1
            states = output[0] if isinstance(output, tuple) else output
            changed = see(seen, states.reshape(-1, states.shape[-1]))
            if changed is None:
                return None
            changed = changed.reshape(states.shape)
            return (changed, *output[1:]) if isinstance(output, tuple) else changed

        handles = [block.register_forward_hook(hook) for block in dict.fromkeys(self.calls)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
        assert seen == len(self.calls) == KINDS[self.name].layers

    def means(self, batches: list[dict[str, Tensor]]) -> dict[int, Tensor]:
        """Layer → mean over examples of what the head would read there."""
        found: dict[int, list[Tensor]] = {}

        def keep(layer: int, tokens: Tensor) -> None:
            found.setdefault(layer, []).append(tokens[self.read].mean(0))

        for batch in batches:
            with self.watching(keep):
                own_logits(self.model, batch)
        return {layer: torch.stack(rows).mean(0) for layer, rows in found.items()}

    def logits(self, batch: dict[str, Tensor], silenced: Mapping[int, Silenced]) -> Tensor:
        """Of one example with neurons silenced wherever the head reads."""

        def put(layer: int, tokens: Tensor) -> Tensor | None:
            if layer not in silenced:
                return None
            changed = tokens.clone()
            rows = torch.arange(len(tokens))[self.read]
            changed[rows[:, None], silenced[layer].neurons] = silenced[layer].values
            return changed

        with self.watching(put):
            return own_logits(self.model, batch)[0]

    @property
    def read(self) -> slice:
        """The tokens that the head reads."""
        return READ.get(self.name, slice(1))


@dataclass(frozen=True)
class Audited:
    """A finished audit of a tiny model, and the model that it was about."""

    saved: Saved
    result: AuditResult
    data: LabelledData
    oracle: Oracle

    def rows(self, split: str) -> np.ndarray:
        """Examples of a split."""
        found: np.ndarray = np.flatnonzero(self.result.splits["split"] == split)
        return found

    def batches(self, split: str) -> list[dict[str, Tensor]]:
        """The examples of a split, each alone."""
        return [self.saved.alone(self.data.inputs[row]) for row in self.rows(split)]

    def neurons(self, cell: Any) -> dict[int, Tensor]:
        """What a top cell silences, read off ``rankings.parquet``: the best of each layer."""
        ranks = self.result.rankings
        every = ranks["ranked_for"].isna()
        meant = every if pd.isna(cell.ranked_for) else ranks["ranked_for"] == cell.ranked_for
        mine = ranks[(ranks["method"] == cell.ranking) & meant]
        last = int(mine["layer"].max())
        layers = range(1, last + 1) if cell.layers == "all" else [int(cell.layers)]
        chosen = {}
        for layer in layers:
            here = mine[mine["layer"] == layer]
            top = here[here["rank"] <= round(cell.fraction * len(here))]
            chosen[layer] = torch.tensor(top["neuron"].to_numpy())
        return chosen

    def cells(self) -> pd.DataFrame:
        """Mean and zero on top sets of all layers and of each alone, at what the head reads."""
        effects = self.result.effects
        top = effects[(effects["selection"] == "top") & effects["ranked_for"].isna()]
        shown = top[(top["site"] == "block_output") & (top["position"] == "pooled")]
        return shown[shown["layers"] != "0"].drop_duplicates("action")


def digest(model: nn.Module) -> str:
    """sha256 over names and bytes of every weight and buffer."""
    found = hashlib.sha256()
    for name, values in model.state_dict().items():
        found.update(name.encode() + values.detach().contiguous().numpy().tobytes())
    return found.hexdigest()


def audited(name: str, folder: Path) -> Audited:
    """Saves a tiny model with data, audits it, and keeps what the oracle needs."""
    saved = save(name, folder)
    options = {"model": str(saved.model), "data": str(saved.data), "tokens": saved.tokens}
    fixed = {"preset": "quick", "resamples": 100, "exact": True, "grid": GRID}
    config = make_config(options | fixed)
    subject = stages.read_subject(config)
    with only_findings():
        result = audit(config, folder / "run", subject=subject)
    model = getattr(transformers, KINDS[name].model).from_pretrained(saved.model)
    assert digest(subject.classifier.model) == digest(model), "the audit altered the model"
    return Audited(saved, result, subject.data, Oracle(name, model))


def check_routes(found: Audited) -> set[str]:
    """The routes of the effects: those that ``docs/families.md`` grants, and all of those."""
    name, effects = found.saved.name, found.result.effects
    wanted = _granted(name)
    facts = found.result.manifest["routes"]
    assert {route for route, fact in facts.items() if fact["used"]} == wanted - {"full"}, facts
    assert not any(fact["run_with_hooks"] for fact in facts.values()), facts
    taken = set(effects["route"])
    assert taken - {"full"} == set(facts)
    return taken


def check_effects(found: Audited) -> int:
    """Accuracies of the table and margins of each example against the oracle's; how many cells.

    Where the oracle's two best logits are a tie, that example's weight is allowed for.
    """
    fit, rows = found.oracle.means(found.batches("fit")), found.rows("evaluate")
    batches, labels = found.batches("evaluate"), torch.tensor(found.data.labels[rows])
    weights = torch.tensor(found.data.weights[rows])
    outcomes, told, tied = found.result.outcomes, list[float](), 0
    cells = found.cells()
    for cell in cells.itertuples():
        silenced = {
            layer: Silenced(ids, fit[layer][ids] * (cell.operator == "mean"))
            for layer, ids in found.neurons(cell).items()
        }
        logits = torch.stack([found.oracle.logits(batch, silenced) for batch in batches])
        best = logits.topk(2).values
        open_ones = best[:, 0] - best[:, 1] < DECIDED
        right = (logits.argmax(1) == labels).double()
        margins = torch.tensor(outcomes.margin[outcomes.row[cell.action]])
        torch.testing.assert_close(margins, _margins(logits, labels), atol=DECIDED, rtol=DECIDED)
        gap = abs(float((weights * right).sum() / weights.sum()) - cell.accuracy)
        assert gap <= float((weights * open_ones).sum() / weights.sum()) + 1e-9, cell
        told.append(cell.accuracy)
        tied += int(open_ones.sum())
    assert tied < 0.05 * len(rows) * len(cells)
    assert len({round(accuracy, 9) for accuracy in told}) > 2, "cells must differ to mean anything"
    return len(told)


def _margins(logits: Tensor, labels: Tensor) -> Tensor:
    """Logit of the true class minus the largest other one."""
    own = logits.gather(1, labels[:, None])
    return (own - logits.scatter(1, labels[:, None], float("-inf")).amax(1, keepdim=True))[:, 0]


def _granted(name: str) -> set[str]:
    """Routes in a row of ``docs/families.md``."""
    lines = [line.strip("| ").split(" | ") for line in DOCUMENT.read_text("utf-8").splitlines()]
    (header,) = (line for line in lines if line[0] == "model type")
    (row,) = (dict(zip(header, line, strict=True)) for line in lines if line[0] == name)
    fast = {route for route in ("stream", "suffix") if row[route] != "–"}
    return {"full", *fast} | ({"head"} if row["head"] == "yes" else set())
