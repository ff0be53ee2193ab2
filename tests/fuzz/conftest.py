"""What the properties start from: a tiny model and a finished run of a planted one."""

from pathlib import Path

import pytest
from planted import PLANTS

from fuzz.properties import Given
from synapse_audit.config import make_config
from synapse_audit.pipeline.audit import audit

GRID = {
    "fractions": (0.1875,),
    "layer_fractions": (0.5,),
    "draws": 2,
    "operators": ("mean",),
    "rankings": ("probeless",),
    "budgets": (1.0,),
    "constants": (1.0,),
    "temperatures": (),
    "logit_noise": (),
}


@pytest.fixture(scope="session")
def start(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Given:
    """Read only; examples write to ``scratch``."""
    folder = tmp_path_factory.mktemp("fuzz")
    PLANTS["single"]().save(folder)
    options = {"model": str(folder / "model"), "data": str(folder / "rows.csv")}
    settings = {"preset": "quick", "resamples": 100, "exact": True, "grid": GRID}
    audit(make_config(options | settings), folder / "run")
    scratch = folder / "scratch"
    scratch.mkdir()
    return Given(tiny_folder, folder / "run", scratch)
