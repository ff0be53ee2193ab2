"""Heads, directions and token means in a whole run: the tables are what arithmetic says."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from only_findings import only_findings
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from synapse_audit import AuditResult, audit, make_config
from synapse_audit.errors import UsageError
from synapse_audit.pipeline.forecast import forecast
from synapse_audit.pipeline.stages import check_names, read_subject

pytestmark = pytest.mark.unchecked

GRID = {
    "fractions": (0.5,),
    "layer_fractions": (),
    "rankings": ("probe",),
    "draws": 3,
    "budgets": (1.0,),
    "columns": (1.0,),
    "constants": (1.0,),
    "max_examples": 200,
    "temperatures": (),
    "logit_noise": (),
    "edits": (),
    "sites": ("attention_head",),
    "site_fractions": (0.5,),
    "directions": ("mean_difference", "probe", "leace"),
    "token_means": True,
}
READ = ("attention", "directions", "token_means")
LAYERS, HEADS, CLASSES, DRAWS = 3, 4, 4, 3


def config(folder: Path, data: Path):
    options = {"model": str(folder), "data": str(data), "preset": "quick", "grid": GRID}
    return make_config({**options, "exact": True, "resamples": 100})


@pytest.fixture(scope="module")
def run(tiny_folder: Path, tiny_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> AuditResult:
    with only_findings(*READ):
        return audit(config(tiny_folder, tiny_csv), tmp_path_factory.mktemp("units") / "run")


def test_every_group_has_the_cells_that_it_is_to_have(run: AuditResult) -> None:
    counts = run.effects["group"].value_counts()
    assert counts["attention_head"] == LAYERS * HEADS
    # Mean and zero: top, bottom and draws; each class's own top (mean).
    assert counts["attention_set"] == 2 * (2 + DRAWS) + CLASSES
    # Per method itself and draws of its variance, and shared draws of each rank.
    whole, single = LAYERS * 3 * (1 + DRAWS), CLASSES * 3 * (1 + DRAWS)
    assert counts["direction"] == whole + LAYERS * DRAWS + single + DRAWS


def test_the_forecast_counts_the_same(run: AuditResult, tiny_folder: Path, tiny_csv: Path) -> None:
    groups = forecast(config(tiny_folder, tiny_csv)).groups
    for name in ("attention_head", "attention_set", "direction"):
        assert groups[name] == (run.effects["group"] == name).sum()


def test_random_directions_remove_as_much_as_what_they_stand_beside(run: AuditResult) -> None:
    table = pd.read_parquet(run.folder / "directions.parquet")
    keys = ["layer", "method", "ranked_for"]
    own = table[table["selection"] == "direction"]
    same = table[table["selection"] == "equal_variance"]
    both = same.merge(own, on=keys, suffixes=("", "_own"))
    assert len(both) == len(same) == DRAWS * len(own)
    assert both["variance"].to_numpy() == pytest.approx(both["variance_own"], rel=1e-3)
    assert (both["rank"] == both["rank_own"]).all()
    least = own.pivot_table(index="layer", columns="method", values="variance")
    assert (least["leace"] < least["mean_difference"]).all()
    uniform = table[(table["selection"] == "random") & (table["rank"] == CLASSES - 1)]
    assert uniform["variance"].mean() == pytest.approx((CLASSES - 1) / 32, rel=0.6)


def test_without_its_directions_the_last_layer_tells_the_head_hardly_anything(
    run: AuditResult,
) -> None:
    table = run.findings["directions"]["layers"].set_index(["layer", "method"])
    clean = run.summary["clean"]["accuracy"]["value"]
    left = clean - table.loc[(LAYERS, "leace"), "drop"]
    assert clean > 0.7 and left < 0.5, "four classes: chance is a quarter"
    assert table.loc[(LAYERS, "leace"), "random_drop"] < 0.3


def test_token_means_are_those_of_transformers(
    run: AuditResult, tiny_folder: Path, tiny_csv: Path
) -> None:
    subject = read_subject(config(tiny_folder, tiny_csv))
    texts = list(subject.data.inputs)
    model = AutoModelForSequenceClassification.from_pretrained(tiny_folder).eval()
    batch = AutoTokenizer.from_pretrained(tiny_folder)(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        states = model(**batch, output_hidden_states=True).hidden_states
    mask = batch["attention_mask"][..., None].float()
    for layer in range(LAYERS + 1):
        expected = (states[layer] * mask).sum(1) / mask.sum(1)
        found = np.load(run.folder / f"activations/token_mean_{layer:02d}.npy")
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
    probes = run.findings["token_means"]["probes"].set_index("layer")
    mine = run.probes.set_index("scope")["accuracy"]
    for layer in range(LAYERS + 1):
        assert probes.loc[layer, "pooled_accuracy"] == pytest.approx(mine[str(layer)], abs=1e-6)
    assert probes.loc[0, "gain"] > 0.3, "the [CLS] embedding says nothing, the words do"


def test_unknown_directions_are_refused(tiny_folder: Path, tiny_csv: Path) -> None:
    grid = {**GRID, "directions": ("lease",)}
    options = {"model": str(tiny_folder), "data": str(tiny_csv), "preset": "quick", "grid": grid}
    with pytest.raises(UsageError, match="direction 'lease' given"):
        check_names(make_config(options))
