# %% [markdown]
# # An audit in Python, stage by stage
#
# model + data → activations → probes → rankings → plan → outcomes → effects → findings
#
# Runs on the bundled classifier and its bundled data, without a network, in less than a minute.
# Each `# %%` starts a cell: open the file in VS Code, PyCharm or Jupyter (jupytext), or run it
# with `python examples/audit_in_python.py`.

# %%
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd

import synapse_audit as sa

SEED = 0
pd.set_option("display.width", 120, "display.max_columns", 12)

# %% [markdown]
# ## Model and data
# `Classifier.load` takes any folder or hub id of a fine-tuned sequence classifier. The data is
# split in three: rankings and means come from `fit`, every choice from `select`, every result from
# `evaluate`.

# %%
classifier = sa.Classifier.load(sa.bundled_model())
data = sa.load_data(
    str(sa.bundled_data()),
    fit_data=str(sa.bundled_fit_data()),
    classes=classifier.classes,
    max_examples=300,
    seed=SEED,
)
splits = sa.split(data, seed=SEED)
print(f"{classifier.n_layers} blocks, classes {classifier.classes}, {len(data)} examples")

# %% [markdown]
# ## Activations
# One clean pass gives the logits and, per layer, an array (examples, neurons): the state of the
# token that the head reads.

# %%
encoded = classifier.encode(data.inputs)
found = sa.extract(classifier, encoded, fit=splits.fit)
predicted = found.logits.argmax(axis=1)
print("accuracy", (predicted == data.labels)[splits.evaluate].mean())
print("widths", found.activations.widths)

# %% [markdown]
# ## Probes: which layer knows the classes?

# %%
probes = sa.fit_probes(found.activations, data, splits, seed=SEED)
print(sa.probe_table(probes)[["scope", "accuracy", "selectivity", "null_accuracy"]])

# %% [markdown]
# ## Rankings: which neurons?
# A ranking holds one array of scores per layer, for all classes together (`global`) and for each.

# %%
context = sa.RankingContext(
    activations=found.activations,
    labels=data.labels,
    classes=data.classes,
    splits=splits,
    probes=probes,
    seed=SEED,
    weights=data.weights,
)
rankings = {name: sa.rank(name, context) for name in ("probe", "probeless", "iou")}
last = classifier.n_layers
best = np.argsort(-rankings["probe"].scores["sqli"][last])[:5]
print(f"most telling neurons for 'sqli' in layer {last}: {best}")

# %% [markdown]
# ## One intervention by hand
# A cell says what is done. Inside the `with`, every forward pass of the model runs under it;
# afterwards the model is bit for bit as before.

# %%
statistics = sa.layer_statistics(found.activations, splits)
site = sa.Site(statistics, found.others)
silence = sa.Cell(
    space="neuron",
    operator="mean",
    site="block_output",
    position="pooled",
    layers=str(last),
    neurons=sa.NeuronSet.of({last: best}),
)
rows = splits.evaluate[:16]
batch = classifier.collate(encoded, rows)
clean = classifier.logits(batch)
with sa.intervene(classifier, silence, site, seed=SEED):
    silenced = classifier.logits(batch)
print("largest change of a logit:", float((silenced - clean).abs().max()))
assert (classifier.logits(batch) == clean).all()

# %% [markdown]
# ## A plan of many interventions
# The grid says which fractions, operators and controls; identical cells are run once.

# %%
config = sa.make_config(
    {
        "model": str(sa.bundled_model()),
        "data": str(sa.bundled_data()),
        "fit_data": str(sa.bundled_fit_data()),
        "preset": "quick",
        "max_examples": 300,
        "resamples": 200,
        "grid": {
            "fractions": (0.1, 0.5),
            "layer_fractions": (),
            "draws": 2,
            "rankings": ("probe",),
            "budgets": (0.1, 0.5, 1.0),
            "constants": (2.0,),
        },
    }
)
head_probe = next(probe for probe in probes if probe.scope == "head_input")
sources = sa.Sources(
    grid=config.grid,
    rankings=rankings,
    statistics=statistics,
    head=sa.HeadView(
        weight=classifier.head_weight,
        head_input=found.activations.head_input[splits.fit],
        predicted=predicted[splits.fit],
    ),
    column_scores={
        name: [np.abs(head_probe.weights[c]).astype(np.float64)]
        for c, name in enumerate(data.classes)
    },
    classes=data.classes,
    seed=SEED,
)
cells = sa.build_cells(sources)
fast = frozenset({"stream", "suffix"}) if sa.supports_tap(classifier) else frozenset()
plan = sa.plan(cells, classifier.n_layers, fast)
print(f"{len(plan.cells)} cells, {len(plan.actions)} distinct")

# %% [markdown]
# ## The sweep
# Per distinct cell and example: what the model then says. A shelf keeps finished units; this one
# forgets them, a run folder's shelf lets an interrupted sweep go on.


# %%
class NoShelf:
    def load(self, name: str) -> Mapping[str, np.ndarray] | None:
        return None

    def save(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        pass


with sa.tapped(classifier) if sa.supports_tap(classifier) else nullcontext() as tap:
    engine = sa.Engine(classifier, site, SEED, tap)
    outcomes = sa.sweep(engine, encoded, plan, data.labels, rows=splits.evaluate, shelf=NoShelf())
print("outcomes (cells, examples):", outcomes.predicted.shape)

# %% [markdown]
# ## Effects
# Accuracy and its relatives per cell, each with a bootstrap interval, in a data frame.

# %%
clean_predictions = sa.Predictions(data.labels, found.logits).take(splits.evaluate)
weights = data.weights[splits.evaluate]
tables = sa.measure(
    plan,
    outcomes,
    predictions=clean_predictions,
    weights=weights,
    resampled=sa.resampled_weights(clean_predictions.labels, weights, resamples=200, seed=SEED),
    classes=data.classes,
    tests=False,
)
effects = tables.effects
columns = ["operator", "selection", "fraction", "accuracy_drop", "accuracy_drop_low"]
whole = effects[(effects["layers"] == "all") & (effects["ranked_for"].fillna("global") == "global")]
print(whole[[*columns, "accuracy_drop_high"]].round(3).to_string(index=False))

# %% [markdown]
# ## Or all at once
# `audit` does the same with every finding, keeps each stage in a folder, and resumes there.

# %%
with tempfile.TemporaryDirectory() as folder:
    result = sa.audit(config, Path(folder) / "run")
    (Path(folder) / "report.html").write_text(sa.render(result), encoding="utf-8")
    fragile = result.summary["asymmetry"]["most_fragile"]
    print("most fragile class:", fragile["value"])
    print("redirected to 'norm':", result.summary["vulnerability"]["norm"]["redirect"])
    print(result.findings["redundancy"]["removal"].head().round(3).to_string(index=False))
