"""Tables of the finding ``given`` with the columns that it writes."""

from collections.abc import Sequence

import pandas as pd

SETS = {"block_output": "4:block_output:5,77", "mlp_activation": "3:mlp_activation:0-15"}


def given_tables(classes: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Zeroing two named neurons costs much, as many random ones nothing; the last class most."""
    effects = [
        {"neurons": name, "site": site, "layers": name[0], "k": 2, "operator": operator,
         "strength": float("nan"), "accuracy": 0.96 - drop, "accuracy_low": 0.9,
         "accuracy_high": 0.97, "drop": drop, "drop_low": drop - 0.01, "drop_high": drop + 0.01,
         "random_drop": 0.001, "random_low": 0.0, "random_high": 0.002, "draws": 5,
         "z_random": 9.0, "p_random": 1 / 6, "p_value": 0.001, "flip_rate": drop + 0.02,
         "flip_low": 0.0, "flip_high": 1.0}
        for site, name in SETS.items() for operator, drop in (("mean", 0.011), ("zero", 0.313))
    ]  # fmt: skip
    by_class = [
        {"neurons": row["neurons"], "site": row["site"], "operator": row["operator"],
         "strength": float("nan"), "class": name, "support": 50, "recall": 0.9 - 0.01 * i,
         "recall_low": 0.8, "recall_high": 0.95, "recall_drop": 0.01 * i, "random_drop": 0.001,
         "random_low": 0.0, "random_high": 0.002}
        for row in effects for i, name in enumerate(classes)
    ]  # fmt: skip
    return {"effects": pd.DataFrame(effects), "classes": pd.DataFrame(by_class)}
