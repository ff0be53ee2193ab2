# %% [markdown]
# # A vision Transformer on handwritten digits: which digit breaks first?
#
# A small ViT of `transformers`, made from a configuration and trained here on scikit-learn's
# digits: 8 x 8 pixels, patches of 2 x 2, so 16 tokens and [CLS]. No folder, no processor: arrays go
# in by an encoder of one's own, and `Classifier.wrap` finds the parts by itself.
#
# Runs without a network in less than half a minute: `python examples/digits_vit.py`.

# %%
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn import functional
from transformers import ViTConfig, ViTForImageClassification

import synapse_audit as sa

SEED = 0
torch.manual_seed(SEED)

# %% [markdown]
# ## Training, on one half of the images

# %%
digits = load_digits()
images = (digits.images[:, None] / 8 - 1).astype(np.float32)
x_train, x_held, y_train, y_held = train_test_split(
    images, digits.target, test_size=0.5, stratify=digits.target, random_state=SEED
)

model = ViTForImageClassification(
    ViTConfig(
        image_size=8,
        patch_size=2,
        num_channels=1,
        hidden_size=48,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=96,
        num_labels=10,
        initializer_range=0.1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
).train()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
for _ in range(12):
    for rows in torch.randperm(len(x_train)).split(64):
        logits = model(pixel_values=torch.from_numpy(x_train[rows])).logits
        loss = functional.cross_entropy(logits, torch.from_numpy(y_train[rows]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
model.requires_grad_(False)

# %% [markdown]
# ## Wrapping it
# The encoder turns inputs into features, the collator features into keyword arguments of `forward`.
# Inputs are texts to the library: here, the number of an image.


# %%
def encode(inputs: Sequence[Any]) -> sa.Encoded:
    features = tuple({"pixel_values": x_held[int(image)]} for image in inputs)
    return sa.Encoded(features, np.full(len(inputs), 17), 0)


def collate(features: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
    return {"pixel_values": torch.from_numpy(np.stack([row["pixel_values"] for row in features]))}


classifier = sa.Classifier.wrap(
    model,
    classes=[str(digit) for digit in range(10)],
    encoder=encode,
    collator=collate,
    examples=["0", "1", "2"],
    name="digits ViT",
)
print(*classifier.notes, sep="\n")

# %% [markdown]
# ## The audit, on the other half

# %%
data = sa.LabelledData(
    inputs=tuple(str(image) for image in range(len(x_held))),
    labels=y_held.astype(np.int64),
    classes=classifier.classes,
    weights=np.ones(len(x_held)),
    origin=np.zeros(len(x_held), dtype=np.int64),
    groups=None,
    sha256=hashlib.sha256(x_held.tobytes() + y_held.tobytes()).hexdigest(),
    source="digits, held-out half",
    n_rows=len(x_held),
    n_repeats=0,
)
subject = sa.subject_of(classifier, data)
config = sa.make_config(
    {
        "model": classifier.name,
        "data": data.source,
        "preset": "quick",
        "max_examples": 400,
        "resamples": 100,
        "grid": {"layer_fractions": (0.5,), "draws": 3, "budgets": (0.5, 1.0)},
    }
)
with tempfile.TemporaryDirectory() as folder:
    result = sa.audit(config, Path(folder) / "run", subject=subject)
    summary = result.summary
    print("clean accuracy:", round(summary["clean"]["accuracy"]["value"], 3))
    print("most fragile class:", summary["asymmetry"]["most_fragile"]["value"])
    print("share silenced without harm (2 points):", summary["redundancy"]["plateau"]["value"])
    print("share silenced at half of what it knows:", summary["redundancy"]["half_point"]["value"])
    for budget, rate in summary["vulnerability"]["3"]["redirect"].items():
        print(f"other digits turned 3, head edited by {budget} of its norm: {rate['value']:.2f}")
