# %% [markdown]
# # Malware families by system calls: a model that reads numbers and has no tokenizer
#
# A small BERT, made from a configuration and trained here on traces of Windows API calls, that says
# which family a piece of malware belongs to. Its inputs are token ids, one per call, so that its
# folder holds no tokenizer: `tokens="ids"` says so.
#
# Takes CSV files with the columns `text` (names of calls, with spaces between) and `label`, for
# instance from https://github.com/ocatak/malware_api_class. With 734 traces of 8 families it takes
# about two minutes, most of it training: `python examples/system_calls.py TRACES.csv MORE.csv`.

# %%
import argparse
import itertools
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import BertConfig, BertForSequenceClassification

import synapse_audit as sa

SEED = 0
PAD, CLS, UNKNOWN = 0, 1, 2
LENGTH = 257
"""[CLS] and 256 calls."""

arguments = argparse.ArgumentParser(description="Train on system-call traces, then audit.")
arguments.add_argument("csv", nargs="+", type=Path, help="files with columns text and label")
arguments.add_argument("--out", type=Path, help="keep model, data and report there")
arguments.add_argument("--epochs", type=int, default=20)
given = arguments.parse_args()

torch.manual_seed(SEED)
random = np.random.default_rng(SEED)

# %% [markdown]
# ## From calls to numbers
# A loop calls the same function again and again, so repeats in a row count once. What repeats a
# trace that occurred before is dropped, and 40 % of the rest is held out for the audit. Every call
# that two training traces make gets a number.

# %%
table = pd.concat([pd.read_csv(path) for path in given.csv])
table["calls"] = [tuple(call for call, _ in itertools.groupby(t.split())) for t in table["text"]]
table = table.drop_duplicates("calls")
train, held = train_test_split(table, test_size=0.4, stratify=table["label"], random_state=SEED)
classes = sorted(table["label"].unique())

users = Counter(call for calls in train["calls"] for call in set(calls))
numbers = {call: 3 + i for i, call in enumerate(sorted(c for c in users if users[c] > 1))}


def numbered(calls: Sequence[str]) -> list[int]:
    """Nothing adds special tokens later: [CLS], which the head reads, has to be there."""
    return [CLS, *(numbers.get(call, UNKNOWN) for call in calls)][:LENGTH]


x_train, x_held = ([numbered(calls) for calls in part["calls"]] for part in (train, held))
y_train, y_held = (np.array([classes.index(c) for c in part["label"]]) for part in (train, held))
print(f"{len(x_train)} traces to train on, {len(x_held)} held out, {len(numbers)} calls known")

# %% [markdown]
# ## Training
# Few traces, so every epoch sees each of them thinned at random. Attention starts as a plain mean
# over all calls, with their places hardly counted: a bag of calls, which training then refines.

# %%
model = BertForSequenceClassification(
    BertConfig(
        vocab_size=3 + len(numbers),
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=256,
        max_position_embeddings=LENGTH,
        initializer_range=0.03,
        pad_token_id=PAD,
        id2label=dict(enumerate(classes)),
        label2id={name: i for i, name in enumerate(classes)},
    )
).train()
with torch.no_grad():
    model.bert.embeddings.position_embeddings.weight.mul_(0.05)
    for block in model.bert.encoder.layer:
        block.attention.self.query.weight.zero_()


def thinned(trace: list[int]) -> list[int]:
    share = random.uniform(0.3, 1) * min(1, 48 / len(trace))
    calls = [call for call in trace[1:] if random.random() < share] or trace[1:9]
    return [CLS, *(call if random.random() > 0.1 else UNKNOWN for call in calls)]


def logits_of(traces: Sequence[list[int]]) -> Tensor:
    ids = pad_sequence([torch.tensor(trace) for trace in traces], batch_first=True)
    return model(input_ids=ids, attention_mask=(ids != PAD).long()).logits


targets = torch.from_numpy(y_train)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
steps = given.epochs * -(-len(x_train) // 32)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps, pct_start=0.15)
for _ in range(given.epochs):
    for rows in torch.randperm(len(x_train)).split(32):
        logits = logits_of([thinned(x_train[row]) for row in rows])
        loss = functional.cross_entropy(logits, targets[rows])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()

model.eval()
with torch.no_grad():
    parts = [x_held[i : i + 64] for i in range(0, len(x_held), 64)]
    predicted = torch.cat([logits_of(part).argmax(1) for part in parts]).numpy()
constant = np.full_like(y_held, np.bincount(y_train).argmax())
for name, answer in (("model", predicted), ("always the most frequent family", constant)):
    macro = f1_score(y_held, answer, average="macro", zero_division=0.0)
    print(f"held out, {name}: accuracy {(answer == y_held).mean():.3f}, macro-F1 {macro:.3f}")

# %% [markdown]
# ## The audit, on the held-out traces
# A folder with `config.json` and `model.safetensors`, and one line of JSON per trace. The command:
# `synapse-audit run FOLDER/model --data FOLDER/held.jsonl --tokens ids --preset quick`

# %%
with tempfile.TemporaryDirectory() as temporary:
    folder = given.out or Path(temporary)
    model.save_pretrained(folder / "model")
    with (folder / "held.jsonl").open("w", encoding="utf-8") as lines:
        for trace, family in zip(x_held, held["label"], strict=True):
            lines.write(json.dumps({"text": trace, "label": family}) + "\n")
    config = sa.make_config(
        {
            "model": str(folder / "model"),
            "data": str(folder / "held.jsonl"),
            "tokens": "ids",
            "preset": "quick",
        }
    )
    result = sa.audit(config, folder / "run")
    (folder / "run" / "report.html").write_text(sa.render(result), encoding="utf-8")
    summary = result.summary
    print("evaluated on", summary["n_evaluate"], "traces, cut:", result.manifest["truncated"])
    for name in ("accuracy", "macro_f1"):
        figure = summary["clean"][name]
        print(f"clean {name}: {figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})")
    print("most fragile family:", summary["asymmetry"]["most_fragile"]["value"])
    print("share silenced without harm (2 points):", summary["redundancy"]["plateau"]["value"])
