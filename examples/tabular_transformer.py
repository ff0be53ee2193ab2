# %% [markdown]
# # A Transformer of one's own, on a table: which diagnosis breaks first?
#
# Any `torch.nn.Module` can be audited. This one is written by hand, reads 30 measurements of a
# tumour as 30 tokens behind a [CLS] token, and says malignant or benign (Wisconsin breast cancer
# data, shipped with scikit-learn). `Classifier.wrap` finds blocks, embeddings and head by itself.
#
# Runs without a network in less than half a minute: `python examples/tabular_transformer.py`.

# %%
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional

import synapse_audit as sa
from synapse_audit.stages import Subject

SEED = 0
torch.manual_seed(SEED)

# %% [markdown]
# ## The model


# %%
class Block(nn.Module):
    """Attention and MLP, each behind a norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)
        x = x + self.out(mixed)
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class TabularTransformer(nn.Module):
    """Each measurement is a token: its value times a direction of its own, plus a bias."""

    def __init__(self, columns: int, classes: int, width: int = 32, depth: int = 3) -> None:
        super().__init__()
        self.direction = nn.Parameter(torch.randn(columns, width) * 0.3)
        self.bias = nn.Parameter(torch.randn(columns, width) * 0.3)
        self.cls = nn.Parameter(torch.randn(width) * 0.3)
        self.blocks = nn.ModuleList(Block(width, heads=4) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, values: Tensor) -> Tensor:
        tokens = values[..., None] * self.direction + self.bias
        x = torch.cat([self.cls.expand(len(values), 1, -1), tokens], dim=1)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x[:, 0]))
        return logits


# %% [markdown]
# ## Training, on one half of the patients

# %%
table = load_breast_cancer()
x_train, x_held, y_train, y_held = train_test_split(
    table.data, table.target, test_size=0.5, stratify=table.target, random_state=SEED
)
mean, spread = x_train.mean(axis=0), x_train.std(axis=0)
x_train, x_held = (((x - mean) / spread).astype(np.float32) for x in (x_train, x_held))

model = TabularTransformer(columns=x_train.shape[1], classes=2)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
for _ in range(12):
    for rows in torch.randperm(len(x_train)).split(32):
        loss = functional.cross_entropy(
            model(torch.from_numpy(x_train[rows])), torch.from_numpy(y_train[rows])
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
model.requires_grad_(False)

# %% [markdown]
# ## Wrapping it
# The encoder turns inputs into features, the collator features into keyword arguments of `forward`.
# Inputs are texts to the library: here, the number of a patient.


# %%
def encode(inputs: Sequence[Any]) -> sa.Encoded:
    features = tuple({"values": x_held[int(patient)]} for patient in inputs)
    return sa.Encoded(features, np.full(len(inputs), x_held.shape[1] + 1), 0)


def collate(features: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
    return {"values": torch.from_numpy(np.stack([row["values"] for row in features]))}


classifier = sa.Classifier.wrap(
    model,
    classes=[str(name) for name in table.target_names],
    encoder=encode,
    collator=collate,
    examples=["0", "1", "2"],
    name="tabular transformer",
)
print(*classifier.notes, sep="\n")

# %% [markdown]
# ## The audit, on the other half

# %%
data = sa.LabelledData(
    inputs=tuple(str(patient) for patient in range(len(x_held))),
    labels=y_held.astype(np.int64),
    classes=classifier.classes,
    weights=np.ones(len(x_held)),
    origin=np.zeros(len(x_held), dtype=np.int64),
    groups=None,
    sha256=hashlib.sha256(x_held.tobytes() + y_held.tobytes()).hexdigest(),
    source="breast cancer, held-out half",
    n_rows=len(x_held),
    n_repeats=0,
)
subject = Subject(classifier, data, sa.split(data, seed=SEED), classifier.encode(data.inputs))
config = sa.make_config(
    {
        "model": classifier.name,
        "data": data.source,
        "preset": "quick",
        "resamples": 200,
        "grid": {"layer_fractions": (0.5,), "draws": 3, "budgets": (0.5, 1.0, 2.0)},
    }
)
with tempfile.TemporaryDirectory() as folder:
    result = sa.audit(config, Path(folder) / "run", subject=subject)
    summary = result.summary
    print("clean accuracy:", round(summary["clean"]["accuracy"]["value"], 3))
    print("most fragile class:", summary["asymmetry"]["most_fragile"]["value"])
    print("share silenced without harm (2 points):", summary["redundancy"]["plateau"]["value"])
    print("share silenced at half of what it knows:", summary["redundancy"]["half_point"]["value"])
    for budget, rate in summary["vulnerability"]["benign"]["redirect"].items():
        print(f"malignant turned benign, head edited by {budget} of its norm: {rate['value']:.2f}")
