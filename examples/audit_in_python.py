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
from pathlib import Path

import numpy as np
import pandas as pd

import synapse_audit as sa

pd.set_option("display.width", 120, "display.max_columns", 12)

# %% [markdown]
# ## Model and data
# `Classifier.load` takes any folder or hub id of a fine-tuned sequence classifier. The data is
# split in three: rankings and means come from `fit`, every choice from `select`, every result from
# `evaluate`.

# %%
classifier = sa.Classifier.load(sa.bundled_model())
data = sa.load_data(
    sa.bundled_data(),
    fit_data=sa.bundled_fit_data(),
    classes=classifier.classes,
    max_examples=150,
)
splits = sa.split(data)
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
print("predict", classifier.predict(data.inputs[:3]))
print("widths", found.activations.widths)

# %% [markdown]
# ## Probes: from which layer can the classes be read?

# %%
probes = sa.fit_probes(found.activations, data, splits)
print(sa.probe_table(probes)[["scope", "accuracy", "selectivity", "null_accuracy"]])

# %% [markdown]
# ## Rankings: which neurons?
# A ranking holds one array of scores per layer, for all classes together (`GLOBAL`) and for each.

# %%
context = sa.RankingContext.of(found.activations, data, splits, probes)
ranking = sa.rank("probe", context)
last = classifier.n_layers
best = np.argsort(-ranking.scores["sqli"][last])[:5]
print(f"highest ranked neurons for 'sqli' in layer {last}: {best}")

# %% [markdown]
# ## A plan of many interventions
# The grid says which fractions, operators and controls there are; rankings and statistics over
# `fit` say which neurons that means. Every field of a grid has a meaning and a default of a preset.

# %%
grid = sa.PRESETS["quick"].model_copy(
    update={
        "fractions": (0.5,),
        "layer_fractions": (),
        "draws": 2,
        "rankings": ("probe",),
        "budgets": (0.1, 0.5, 1.0),
        "constants": (2.0,),
    }
)
inputs = sa.PlanInputs.of(classifier, found, context, grid=grid)
cells = sa.build_cells(inputs)

# %% [markdown]
# ## The sweep
# Identical cells run once, each on the cheapest exact route. Per distinct cell and example the
# outcomes hold what the model then says.

# %%
site = sa.Site(inputs.statistics, found.others)
with sa.tapped(classifier) as tap:
    engine = sa.Engine(classifier, site, tap=tap)
    plan = engine.plan(cells)
    outcomes = sa.sweep(engine, encoded, plan, data.labels, rows=splits.evaluate)
print(f"{len(plan.cells)} cells; outcomes (distinct cells, examples): {outcomes.predicted.shape}")

# %% [markdown]
# ## Effects
# Accuracy and its relatives per cell, each with a bootstrap interval, in a data frame: the first
# curve.

# %%
tables = sa.measure(
    plan,
    outcomes,
    predictions=sa.Predictions(data.labels, found.logits).take(splits.evaluate),
    classes=data.classes,
    weights=data.weights[splits.evaluate],
    tests=False,
)
effects = tables.effects
columns = ["operator", "selection", "fraction", "accuracy_drop", "accuracy_drop_low"]
whole = effects[(effects["layers"] == "all") & effects["ranked_for"].isna()]
print(whole[[*columns, "accuracy_drop_high"]].round(3).to_string(index=False))

# %% [markdown]
# ## One intervention by hand
# A cell says what is done. Inside the `with`, every forward pass of the model runs under it;
# afterwards the model is bit for bit as before.

# %%
silence = sa.Cell(
    space="neuron",
    operator="mean",
    site="block_output",
    position="pooled",
    layers=str(last),
    neurons=sa.NeuronSet.of({last: best}),
)
batch = classifier.collate(encoded, splits.evaluate[:16])
clean = classifier.logits(batch)
with sa.intervene(classifier, silence, site):
    silenced = classifier.logits(batch)
print("largest change of a logit:", float((silenced - clean).abs().max()))
assert (classifier.logits(batch) == clean).all()

# %% [markdown]
# ## Or all at once
# `audit` does the same with every finding, keeps each stage in a folder, and resumes there.

# %%
config = sa.make_config(
    {
        "model": str(sa.bundled_model()),
        "data": str(sa.bundled_data()),
        "fit_data": str(sa.bundled_fit_data()),
        "preset": "quick",
        "max_examples": 150,
        "resamples": 200,
        "grid": {"fractions": (0.5,), "layer_fractions": (), "draws": 2},
    }
)
with tempfile.TemporaryDirectory() as folder:
    result = sa.audit(config, Path(folder) / "run")
    (Path(folder) / "report.html").write_text(sa.render(result), encoding="utf-8")
    print(result)
    print(result.summary_frame().head(12).to_string(index=False))
    print(result.table("redundancy.removal").head().round(3).to_string(index=False))
    print("a Plotly figure:", result.figure("removal").layout.title.text)

# %% [markdown]
# ## A ranking of one's own
# Inside the block it is one of `RANKINGS`; a run records the hash of its source.


# %%
def spread(context: sa.RankingContext) -> sa.Ranking:
    """Neurons that vary most over `fit`."""
    fit, layers = context.splits.fit, context.activations.layers
    return sa.Ranking("spread", {sa.GLOBAL: [layer[fit].std(axis=0) for layer in layers]})


with sa.extended(rankings={"spread": spread}):
    scores = sa.rank("spread", context).scores[sa.GLOBAL]
print("varies most in the last layer:", scores[last].argmax())
