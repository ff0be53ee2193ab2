# %% [markdown]
# # A Transformer of one's own that reads a table
#
# Written by hand, like any `torch.nn.Module`: 30 measurements of a tumour become 30 tokens behind a
# [CLS] token, and the answer is malignant or benign (Wisconsin breast cancer data, shipped with
# scikit-learn). `classifier()` trains it on one half of the patients, in seconds and the same way
# every time; the other half is for the audit:
#
#     python examples/tabular_model.py > patients.csv
#     synapse-audit inspect examples/tabular_model.py:classifier
#     synapse-audit run examples/tabular_model.py:classifier --data patients.csv --columns '*'

# %%
import sys

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional

import synapse_audit as sa

SEED = 0


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
    """Each measurement, scaled, is a token: a direction of its own times the value, plus a bias."""

    def __init__(self, mean: Tensor, spread: Tensor, width: int = 32, depth: int = 3) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)
        self.direction = nn.Parameter(torch.randn(len(mean), width) * 0.3)
        self.bias = nn.Parameter(torch.randn(len(mean), width) * 0.3)
        self.cls = nn.Parameter(torch.randn(width) * 0.3)
        self.blocks = nn.ModuleList(Block(width, heads=4) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 2)

    def forward(self, values: Tensor) -> Tensor:
        scaled = (values - self.mean) / self.spread
        tokens = scaled[..., None] * self.direction + self.bias
        x = torch.cat([self.cls.expand(len(values), 1, -1), tokens], dim=1)
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.head(self.norm(x[:, 0]))
        return logits


# %% [markdown]
# ## Two halves, one to train on, one to audit on

# %%
CLASSES = ["malignant", "benign"]
table = load_breast_cancer(as_frame=True).frame
table["target"] = table["target"].map(dict(enumerate(CLASSES)))
train, held = train_test_split(table, test_size=0.5, stratify=table["target"], random_state=SEED)


def trained() -> TabularTransformer:
    values = torch.tensor(train.drop(columns="target").to_numpy(), dtype=torch.float32)
    targets = torch.tensor([CLASSES.index(name) for name in train["target"]])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = TabularTransformer(values.mean(0), values.std(0))
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
        for _ in range(12):
            for rows in torch.randperm(len(values)).split(32):
                loss = functional.cross_entropy(model(values[rows]), targets[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return model


# %% [markdown]
# ## Wrapping it
# `Classifier.wrap` finds blocks, embeddings and head by itself; `table_inputs` hands it the rows.


# %%
def classifier() -> sa.Classifier:
    return sa.Classifier.wrap(
        trained(), classes=CLASSES, inputs=sa.table_inputs(30, argument="values")
    )


if __name__ == "__main__":
    held.to_csv(sys.stdout, index=False)
