"""The same audit under several seeds: how much of every figure is luck of splits and draws.

Each seed repeats everything that is random: which rows are kept, the splits, the probes, the random
random controls and the noise. The model does not change. The intervals of one run say what other
*examples* would do to its figures; the spread over seeds adds what other splits, rankings and draws
do.

Each further seed is a whole run of its own in ``seeds/SEED`` below the run folder, resumable like
any other; the run folder itself holds the first one, and the spread as ``findings/seeds.*``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from synapse_audit.config import AuditConfig
from synapse_audit.neurons import count
from synapse_audit.pipeline import stages
from synapse_audit.pipeline.audit import audit
from synapse_audit.progress import Progress, Silent
from synapse_audit.rankings.stability import TOP, shared
from synapse_audit.store import AuditResult, RunFolder
from synapse_audit.summary import dotted, walk
from synapse_audit.tables.seeds import MEASURES, NAMES, PURPOSE, RANKINGS

EXPERIMENT = [column.name for column in PURPOSE]
"""Columns in which cells of different seeds are the same; their draws are averaged first."""

LAYER = ["method", "ranked_for", "layer"]
"""What names one layer's scores."""


def audit_seeds(
    config: AuditConfig,
    out: str | Path,
    *,
    progress: Progress | None = None,
    approve: Callable[[stages.Prepared], bool] = lambda prepared: True,
) -> AuditResult:
    """Audits under ``config.seeds`` consecutive seeds, the configuration's own first.

    The plan of the first one is shown for approval. Raises what
    :func:`~synapse_audit.pipeline.audit.audit` raises.
    """
    stages.check_names(config)
    folder = RunFolder.claim(out)
    with folder.locked():
        first = audit(config, out, progress=progress, approve=approve)
        if config.seeds == 1:
            return first
        results = [first]
        for seed in range(config.seed + 1, config.seed + config.seeds):
            (progress or Silent()).note(f"seed {seed - config.seed + 1} of {config.seeds}")
            again = config.model_copy(update={"seed": seed, "seeds": 1})
            results.append(audit(again, folder.path / "seeds" / str(seed), progress=progress))
        for name, table in spread(results).items():
            folder.write_table(f"findings/seeds.{name}", table)
        folder.update_manifest(seeds=[result.manifest["seed"] for result in results])
    return AuditResult.load(out)


def spread(results: Sequence[AuditResult]) -> dict[str, pd.DataFrame]:
    """The tables ``figures``, ``names``, ``effects`` and ``rankings``."""
    summaries = [result.summary for result in results]
    return {
        "figures": figures_table(summaries),
        "names": names_table(summaries),
        "effects": effects_table([result.effects for result in results]),
        "rankings": rankings_table([result.rankings for result in results]),
    }


def figures_table(summaries: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Every figure of the summary over seeds, as ``tables.seeds.FIGURES`` has it."""
    rows = [
        {"figure": dotted(keys), "value": figure.value, "half_width": figure.half_width}
        for summary in summaries
        for keys, figure in walk(summary)
        if figure.known
    ]
    table = pd.DataFrame(rows, columns=["figure", "value", "half_width"])
    table = table.astype({"value": "float64", "half_width": "float64"})
    found = table.groupby("figure", sort=False).agg(
        seeds=("value", "size"),
        mean=("value", "mean"),
        sd=("value", "std"),
        low=("value", "min"),
        high=("value", "max"),
        half_width=("half_width", "mean"),
    )
    return found.reset_index()


def names_table(summaries: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Answers that are names (the most fragile class): figure, name, seeds that gave it."""
    counts = Counter(pair for summary in summaries for pair in _names(summary))
    rows = [(path, name, n) for (path, name), n in counts.most_common()]
    return pd.DataFrame(rows, columns=NAMES.names)


def effects_table(effects: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Every experiment over seeds: for each measure its mean, sd, smallest and largest value.

    Random draws of one seed are averaged first, so that the spread is one over seeds.
    """
    parts = [_by_purpose(table).assign(seed=i) for i, table in enumerate(effects)]
    every = pd.concat(parts, ignore_index=True)
    groups = every.groupby(EXPERIMENT, dropna=False, sort=False)
    table = groups.size().rename("seeds").to_frame()
    for measure in MEASURES:
        for name, how in (("", "mean"), ("_sd", "std"), ("_min", "min"), ("_max", "max")):
            table[f"{measure}{name}"] = groups[measure].agg(how)
    return table.reset_index()


def rankings_table(rankings: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """How far the rankings of two seeds agree, per method, class and layer, over all pairs.

    ``overlap`` is |A ∩ B| / k, A and B the top tenths (``TOP``) of the layer. A layer whose scores
    are all equal is ranked by nothing and left out, as is the random ranking. Limits: two seeds
    share most rows of a small file, so they agree more than two fresh samples would.
    """
    ranked = [table[table["method"] != "random"] for table in rankings]
    parts = [_by_layer(table) for table in ranked]
    rows = [
        (*key, *_pairs([part[key].sort_values("neuron")["score"].to_numpy() for part in parts]))
        for key in parts[0]
        if all(key in part and part[key]["score"].nunique() > 1 for part in parts)
    ]
    return pd.DataFrame(rows, columns=RANKINGS.names).astype({"ranked_for": "str"})


def _by_layer(table: pd.DataFrame) -> dict[tuple[object, ...], pd.DataFrame]:
    """The scores of each layer; a ``ranked_for`` of None (NaN equals nothing) is all classes."""
    groups = table.groupby(LAYER, sort=False, dropna=False)
    return {tuple(None if pd.isna(x) else x for x in key): part for key, part in groups}  # type: ignore[call-overload]


def _pairs(scores: Sequence[Float[np.ndarray, " neurons"]]) -> tuple[object, ...]:
    """One layer's scores under every seed → the figures of a row, from ``pairs`` on."""
    width = len(scores[0])
    k = max(1, count(TOP, width))
    shares = [shared(one, other, k) for one, other in combinations(scores, 2)]
    order = pd.DataFrame(dict(enumerate(scores))).corr(method="spearman").to_numpy()
    spearman = float(np.mean(order[np.triu_indices(len(scores), k=1)]))
    spread = float(np.mean(shares)), min(shares), max(shares)
    return len(shares), TOP, k, *spread, spearman, k / width


def _by_purpose(effects: pd.DataFrame) -> pd.DataFrame:
    # The size of a set that covers a share of weight mass is a result, not a purpose.
    by_mass = effects["selection"] == "exclusive_mass"
    effects = effects.assign(fraction=effects["fraction"].mask(by_mass))
    return effects.groupby(EXPERIMENT, dropna=False, sort=False)[[*MEASURES]].mean().reset_index()


def _names(tree: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Leaves that are text, with their dotted path; the model's own name is none."""
    for name, node in tree.items():
        here = (*above, name)
        if isinstance(node, Mapping):
            yield from _names(node, here)
        elif isinstance(node, str) and here != ("model",) and name not in ("reason", "ranking"):
            yield dotted(above if name == "value" else here), node
