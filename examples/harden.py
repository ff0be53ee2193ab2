"""Trains an audited classifier again so that no few neurons carry it, and its head has margins.

For those who can retrain; `synapse-audit guard` needs no training. Three things that the audit
names, together or each alone:

- targeted dropout: in each step a random half of the top-ranked neurons of each layer is held at
  its mean over the batch, at the token that the head reads;
- noise at the audited layers, relative to each neuron's spread in the batch;
- a margin loss at the head: logits on inputs and weights of length 1 must leave a gap.

    synapse-audit run MODEL --data test.csv --out runs/before
    python examples/harden.py runs/before --data train.csv --out hardened
    synapse-audit run hardened --against runs/before --out runs/after
    synapse-audit compare runs/before runs/after

Whether it helped is for the last two commands to say, on rows that were not trained on: the file
given here must hold none of those that were audited. It stops where it does.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoTokenizer

import synapse_audit as sa
from synapse_audit.model.hooks import hook_at_points

BATCH = 16


def parsed() -> argparse.Namespace:
    """Options, with defaults that suit some hundred to some thousand rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", help="run folder of the audited model")
    parser.add_argument("--data", required=True, help="labelled rows to train on")
    parser.add_argument("--out", required=True, help="new folder of the hardened model")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rows", type=int, default=2000, help="rows used at most")
    parser.add_argument("--rate", type=float, default=5e-5)
    parser.add_argument("--top", type=float, default=0.25, help="share of neurons aimed at")
    parser.add_argument("--dropout", type=float, default=0.5, help="chance that one is dropped")
    parser.add_argument("--noise", type=float, default=0.1, help="in spreads of the batch")
    parser.add_argument("--margin", type=float, default=0.3, help="cosine gap; 0: no margin loss")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def top_neurons(result: sa.AuditResult, share: float) -> dict[int, Tensor]:
    """Layer → the neurons that the headline ranking puts first over all classes."""
    table = result.rankings
    method = result.manifest["config"]["grid"]["rankings"][0]
    table = table[(table["method"] == method) & table["ranked_for"].isna()]
    if table.empty:  # folders that name it
        table = result.rankings.query("method == @method and ranked_for == 'global'")
    found = {}
    for layer, rows in table[table["layer"] > 0].groupby("layer"):
        kept = rows[rows["rank"] <= max(1, round(share * len(rows)))]
        found[int(layer)] = torch.from_numpy(kept["neuron"].to_numpy(dtype=np.int64, copy=True))
    return found


def disturbed(
    classifier: sa.Classifier, neurons: dict[int, Tensor], options: argparse.Namespace
) -> Callable[[dict[str, Tensor]], object]:
    """Batch → a ``with`` under which the named neurons drop out and all are noisy."""

    @contextmanager
    def inside(batch: dict[str, Tensor]) -> Iterator[None]:
        pooling = classifier.pooling(batch)

        def at(index: Tensor) -> Callable[[Tensor], Tensor]:
            def hook(states: Tensor) -> Tensor:
                row = pooling.gather(states)
                new = row + options.noise * row.detach().std(dim=0) * torch.randn_like(row)
                dropped = torch.zeros_like(row, dtype=torch.bool)
                dropped[:, index] = torch.rand(len(row), len(index)) < options.dropout
                new = torch.where(dropped, row.mean(dim=0).detach().expand_as(row), new)
                tokens = pooling.tokens(states).clone()
                if pooling.single:
                    tokens[torch.arange(len(tokens)), pooling.place] = new
                else:
                    tokens = (
                        tokens + pooling.read(tokens.shape[1])[..., None] * (new - row)[:, None]
                    )
                return tokens.reshape(states.shape)

            return hook

        points = [(classifier.point("block_output", m), at(i)) for m, i in neurons.items()]
        with hook_at_points(points, root=classifier.model):
            yield

    return inside


def margin_loss(head: nn.Linear, inputs: Tensor, labels: Tensor, gap: float) -> Tensor:
    """How much the cosine of the label's row falls short of the next one's plus ``gap``."""
    cosine = functional.normalize(inputs, dim=1) @ functional.normalize(head.weight, dim=1).T
    own = cosine.gather(1, labels[:, None])[:, 0]
    others = cosine.scatter(1, labels[:, None], -torch.inf).amax(dim=1)
    return (gap - own + others).clamp_min(0).mean()


def train(
    classifier: sa.Classifier, data: sa.LabelledData, neurons: dict[int, Tensor],
    options: argparse.Namespace,
) -> None:  # fmt: skip
    """Cross-entropy under disturbance, and the margin loss; every weight learns."""
    torch.manual_seed(options.seed)
    encoded, model = classifier.encode(data.inputs), classifier.model
    labels = torch.from_numpy(data.labels)
    weights = [p.requires_grad_() for p in model.parameters() if p.is_floating_point()]
    optimizer = torch.optim.AdamW(weights, lr=options.rate, weight_decay=0.01)
    under = disturbed(classifier, neurons, options)
    seen: list[Tensor] = []
    keep = classifier.output_layer.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    model.train()
    for epoch in range(options.epochs):
        total = 0.0
        for rows in torch.randperm(len(data)).split(BATCH):
            batch = dict(classifier.collate(encoded, rows.numpy()))
            seen.clear()
            with under(batch):
                logits = model(**batch).logits
            loss = functional.cross_entropy(logits, labels[rows])
            if options.margin > 0 and seen[-1].ndim == 2:
                loss = loss + margin_loss(
                    classifier.output_layer, seen[-1], labels[rows], options.margin
                )
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            total += float(loss.detach()) * len(rows)
        print(f"epoch {epoch + 1}: loss {total / len(data):.4f}")
    keep.remove()
    model.eval()


def training_rows(
    path: str, result: sa.AuditResult, options: argparse.Namespace, classes: Sequence[str]
) -> sa.LabelledData:
    """The rows to train on; refuses those that were audited."""
    config = result.manifest["config"]
    reading = {name: config.get(name) for name in ("text_column", "label_column")}
    data = sa.load_data(
        path, classes=tuple(classes), max_examples=options.rows, seed=options.seed, **reading
    )
    audited = sa.load_data(config["data"], classes=tuple(classes), **reading)
    common = {*data.inputs} & {*audited.inputs}
    if common:
        raise SystemExit(
            f"{len(common)} rows of {path} were audited; expected others: what is trained on "
            "cannot show what training gained"
        )
    return data


def main() -> None:
    """Reads the audit, trains, saves."""
    options = parsed()
    result = sa.AuditResult.load(options.run)
    name = result.manifest["config"]["model"]
    classifier = sa.Classifier.load(name)
    data = training_rows(options.data, result, options, classifier.classes)
    neurons = top_neurons(result, options.top)
    print(f"{name}: {len(data)} rows, {sum(map(len, neurons.values()))} neurons aimed at")
    train(classifier, data, neurons, options)
    classifier.model.save_pretrained(options.out)
    AutoTokenizer.from_pretrained(name).save_pretrained(options.out)
    print(f"audit it: synapse-audit run {options.out} --against {options.run}")


if __name__ == "__main__":
    main()
