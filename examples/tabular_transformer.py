# %% [markdown]
# # A Transformer of one's own, on a table: which diagnosis breaks first?
#
# Any `torch.nn.Module` can be audited. The one in `tabular_model.py` is written by hand, reads 30
# measurements of a tumour, and says malignant or benign. Here it is audited in Python; the command
#
#     synapse-audit run examples/tabular_model.py:classifier --data patients.csv --columns '*'
#
# does the same. Runs without a network in less than half a minute:
# `python examples/tabular_transformer.py`.

# %%
import tempfile
from pathlib import Path

from tabular_model import classifier, held

import synapse_audit as sa

model = classifier()
print(*model.notes, sep="\n")

# %% [markdown]
# ## The audit, on patients that it was not trained on

# %%
with tempfile.TemporaryDirectory() as folder:
    data = sa.load_data(held, classes=model.classes, columns="*")
    subject = sa.subject_of(model, data)
    config = sa.make_config(
        {
            "model": "tabular transformer",
            "data": "breast cancer, held-out half",
            "preset": "quick",
            "resamples": 200,
            "grid": {"layer_fractions": (0.5,), "draws": 3, "budgets": (0.5, 1.0, 2.0)},
        }
    )
    result = sa.audit(config, Path(folder) / "run", subject=subject)
    summary = result.summary
    print("clean accuracy:", round(summary["clean"]["accuracy"]["value"], 3))
    print("most fragile class:", summary["asymmetry"]["most_fragile"]["value"])
    print("share silenced without harm (2 points):", summary["redundancy"]["plateau"]["value"])
    print("share silenced at half of what it knows:", summary["redundancy"]["half_point"]["value"])
    for budget, rate in summary["vulnerability"]["benign"]["redirect"].items():
        print(f"malignant turned benign, head edited by {budget} of its norm: {rate['value']:.2f}")
