"""Tables of faults from cells whose predictions are written down."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import numpy as np
import pandas as pd
import pytest

from synapse_audit.artifacts import Cell, Evidence, HeadEdit, ParameterChange, ParameterEdit
from synapse_audit.findings.faults import faults

from .evidence import Trial, make_evidence

LABELS = [0] * 20 + [1] * 20
_fresh = count()


def flip(bits: int, names: str = "fp32 any head", *, after: float = 1.0, **changes: object) -> Cell:
    """A bit-flip cell of the head that no other cell equals."""
    index, before = np.array([next(_fresh)]), np.array([0.5], dtype=np.float32)
    new = np.array([after], dtype=np.float32)
    edit = ParameterEdit((ParameterChange("w", index, before, new),), None, bits=bits)
    wanted = {"selection": "searched", "strength": float(bits), **changes}
    format, kind, part = names.split()
    return replace(
        Cell("weight", "bit_flip", "head_weight", edit=edit),
        format=format,
        bit_kind=kind,
        part=part,
        **wanted,  # type: ignore[arg-type]
    )


def wrong(n: int) -> list[int]:
    """Predictions of which the first ``n`` of each class are wrong: balanced accuracy."""
    half = n // 2
    return [1] * half + [0] * (20 - half) + [0] * (n - half) + [1] * (20 - n + half)


def tables(trials: Sequence[Trial]) -> dict[str, pd.DataFrame]:
    return dict(faults(make_evidence(LABELS, trials)).tables)


def test_halving_is_the_first_number_of_bits_that_was_enough() -> None:
    """Clean 1, chance 0.5: half is lost at 0.75, that is at 10 of 40 wrong."""
    trials = [(flip(n), wrong(w)) for n, w in ((1, 1), (2, 2), (3, 30), (4, 30))]
    (row,) = tables(trials)["halving"].to_dict("records")
    assert (row["bits"], row["low"], row["high"], row["most"]) == (3.0, 3.0, 3.0, 4.0)
    assert (row["format"], row["kind"], row["part"]) == ("fp32", "any", "head")


def test_halving_that_never_comes_is_null_and_says_how_far_was_tried() -> None:
    trials = [(flip(n, "int8 any head"), wrong(2)) for n in (1, 2, 5)]
    evidence = make_evidence(LABELS, trials)
    finding = faults(evidence)
    (row,) = finding.tables["halving"].to_dict("records")
    assert np.isnan(row["bits"]) and row["most"] == 5
    figure = finding.summary["faults"]["halving_bits"]["int8"]
    assert not figure.known
    assert figure.reason == "not within the 5 bits that the search took"


def test_an_uncertain_halving_has_a_range() -> None:
    trials = [(flip(n), wrong(w)) for n, w in ((1, 9), (2, 11), (3, 40))]
    (row,) = tables(trials)["halving"].to_dict("records")
    assert row["bits"] == 2 and row["low"] == 1 and row["high"] == 3


def test_random_bits_are_judged_by_the_mean_over_draws() -> None:
    random = {"selection": "random"}
    trials = [
        (flip(n, "fp32 sign head", draw=draw, **random), wrong(w))
        for n, ws in ((1, (0, 10)), (2, (0, 40)))
        for draw, w in enumerate(ws)
    ]
    found = tables(trials)
    assert found["halving"]["bits"].tolist() == [2.0]  # means lose 0.125, then 0.5
    first = found["flips"].to_dict("records")[0]
    assert first["drop"] == pytest.approx(0.125) and first["draws"] == 2
    assert (first["drop_low"], first["drop_high"]) == (-1.0, 1.0), "two draws say little"


def test_targeted_searches_count_redirects_and_not_halvings() -> None:
    found = tables([(flip(1, target="b"), [1] * 40)])
    assert found["halving"].empty
    (row,) = found["flips"].to_dict("records")
    assert row["target"] == "b" and row["redirect"] == 1.0


def test_overflown_weights_are_counted() -> None:
    cells = [flip(1, after=after, selection="random", draw=i)
             for i, after in enumerate((1.0, np.inf, np.nan, 2.0))]  # fmt: skip
    (row,) = tables([(cell, wrong(0)) for cell in cells])["flips"].to_dict("records")
    assert row["overflowed"] == 0.5


def crashing(share: float) -> Evidence:
    """All classes tie on the first ``share`` of the examples."""
    evidence = make_evidence(LABELS, [(flip(1), wrong(0))])
    ties = np.arange(len(LABELS)) < share * len(LABELS)
    probability = np.where(ties, 0.5, 0.9).astype(np.float32)[None]
    margin = np.where(ties, 0.0, 2.0).astype(np.float32)[None]
    outcomes = replace(evidence.outcomes, probability=probability, margin=margin)
    return replace(evidence, outcomes=outcomes)


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_examples_without_numbers_are_counted(share: float) -> None:
    (row,) = faults(crashing(share)).tables["flips"].to_dict("records")
    assert row["crashed"] == share


def push(operator: str, size: float, **names: object) -> Cell:
    weight = np.zeros((2, 2), dtype=np.float32)
    weight[0, 0] = size
    base = Cell("weight", operator, "head_weight", strength=size, target="b")
    edit = HeadEdit(weight, np.zeros(2, dtype=np.float32))
    return replace(base, edit=edit, **names)  # type: ignore[arg-type]


def test_pushes_are_measured_against_the_heads_norm() -> None:
    """The evidence's head is 2 × 2 ones: norm 2."""
    cells = [push("balanced", 1.0, selection="top", fraction=0.25)]
    cells += [push("paper_push", 0.5, setting="paper malware c")]
    rows = tables([(cell, [1] * 40) for cell in cells])["pushes"].to_dict("records")
    assert [(r["operator"], r["budget"], r["redirect"]) for r in rows] == [
        ("balanced", 0.5, 1.0), ("paper_push", 0.25, 1.0),
    ]  # fmt: skip
    assert pd.isna(rows[0]["setting"]) and rows[1]["setting"] == "paper malware c"


def test_rows_gains_and_noise_have_their_own_tables() -> None:
    drawn = {"selection": "random", "draw": 0}
    cells = [
        push("row_swap", 1.0, source="a", strength=None),
        push("gain", 2.0, target=None, layers="4", selection="top", fraction=0.5, strength=0.0),
        push("gaussian_fault", 3.0, target=None, part="head", unit="absolute", **drawn),
        push("gaussian_fault", 4.0, target=None, part="mlp", layers="1", **drawn),
    ]
    found = tables([(cell, wrong(4)) for cell in cells])
    (row,) = found["rows"].to_dict("records")
    assert (row["operator"], row["source"], row["target"]) == ("row_swap", "a", "b")
    (gain,) = found["gains"].to_dict("records")
    assert (gain["layer"], gain["factor"], gain["share"]) == (4.0, 0.0, 0.5)
    noise = found["noise"].sort_values("part").to_dict("records")
    assert [(r["setting"], r["part"]) for r in noise] == [("paper", "head"), ("relative", "mlp")]
    assert noise[0]["drop"] == pytest.approx(0.1)


def test_no_fault_says_so() -> None:
    finding = faults(make_evidence(LABELS))
    assert all(table.empty for table in finding.tables.values())
    reason = finding.summary["faults"]["halving_bits"].reason
    assert reason.startswith("no bits were searched for")
