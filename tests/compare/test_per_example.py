"""Figures read example by example from run folders: paired, or not and why, or task-free."""

from pathlib import Path

import numpy as np
import pytest
from cli.calling import CommandLine

from synapse_audit.compare import compare, sentences
from synapse_audit.compare.figures import paired_differences
from synapse_audit.compare.per_example import Examples, NotPaired, contribution
from synapse_audit.compare.task_free import task_free
from synapse_audit.errors import RunFolderError
from synapse_audit.store import AuditResult, finished
from synapse_audit.summary import Figure, dotted

from .saved_runs import add_curve, save_run

LABELS = np.repeat([0, 1], 100)
HALF = ("silenced", "accuracy", "0.5")
HALF_POINT = ("redundancy", "half_point")


def wrong(n: int) -> np.ndarray:
    """The first n of the 200 answers are wrong."""
    answers = LABELS.copy()
    answers[:n] = 1
    return answers


def saved(
    folder: Path, *, lost: int, clean: int = 0, said: float | None = None, **more: Figure
) -> AuditResult:
    """A model that is wrong on ``clean`` examples, and on ``lost`` with half its neurons silenced;
    the best constant answer is right on half."""
    held = 1 - lost / 200 if said is None else said
    figures = {
        "redundancy": {"chance": Figure(0.5), **more},
        "certificates": {"fewest_silenced": {"mean": Figure(3.0, 2.0, 4.0)}},
        "silenced": {"accuracy": {"0.5": Figure(held, held - 0.05, held + 0.05)}},
        "clean": {"accuracy": Figure(1 - clean / 200), "macro_f1": Figure(0.9)},
    }
    made = save_run(
        folder, LABELS.tolist(), wrong(clean).tolist(), classes=("a", "b"), figures=figures
    )
    return add_curve(made.folder, {0.5: wrong(lost).tolist()})


def test_what_both_folders_hold_is_paired(tmp_path: Path) -> None:
    one, other = saved(tmp_path / "one", lost=20), saved(tmp_path / "two", lost=60)
    found = paired_differences(one, other, [HALF])
    assert found.why_not == {}
    # The 40 examples lost more are 0.2 of all, and none is won.
    assert found.paired[HALF].value == pytest.approx(-0.2)
    assert found.paired[HALF].high < -0.1


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("effects.parquet", "a run folder has no effects.parquet"),
        ("outcomes/predicted.npy", "a run folder has no outcomes/predicted.npy"),
    ],
)
def test_without_its_files_a_figure_is_not_paired_and_the_output_says_so(
    tmp_path: Path, file: str, reason: str
) -> None:
    one, other = saved(tmp_path / "one", lost=20), saved(tmp_path / "two", lost=60)
    (other.folder / file).unlink()
    found = compare([one, finished(other.folder)])
    rows = {dotted(row.keys): row.unpaired for row in found.rows}
    assert rows['silenced.accuracy."0.5"'] == (reason,)
    assert any(f'silenced.accuracy."0.5" ({reason})' in text for text in sentences(found))


def test_a_figure_that_no_folder_holds_says_so(tmp_path: Path) -> None:
    one, other = saved(tmp_path / "one", lost=20), saved(tmp_path / "two", lost=60)
    said = " ".join(sentences(compare([one, other])))
    assert "1 of them is paired example by example" in said
    assert "certificates.fewest_silenced.mean (runs do not hold it example by example)" in said


def halved(folder: Path, *lost: int) -> AuditResult:
    """A curve at shares .2, .4 and .8 with so many of 200 lost; chance is .5, so half is 50."""
    shares = (0.2, 0.4, 0.8)
    at = float(np.interp(50, [0, *lost], [0.0, *shares]))
    figures = {"redundancy": {"half_point": Figure(at, 0.0, 0.8)}}
    made = save_run(folder, LABELS.tolist(), LABELS.tolist(), classes=("a", "b"), figures=figures)
    return add_curve(made.folder, {s: wrong(n).tolist() for s, n in zip(shares, lost, strict=True)})


def test_half_points_are_paired_up_to_the_gaps_of_the_grid(tmp_path: Path) -> None:
    """.2 + .2 · 40/80 = .3, and .4 + .4 · 40/80 = .6: the truth lies in (.2, .4] and (.4, .8]."""
    one, other = halved(tmp_path / "one", 10, 90, 100), halved(tmp_path / "two", 0, 10, 90)
    found = paired_differences(one, other, [HALF_POINT])
    assert found.why_not == {}
    difference = found.paired[HALF_POINT]
    assert difference.value == pytest.approx(0.3)
    # The smallest difference that the grid allows is 0, the largest .6; resamples widen that.
    assert -0.1 < difference.low <= 0.0 and 0.6 <= difference.high < 0.75


def test_half_that_is_lost_nowhere_is_lost_once_all_is_silenced(tmp_path: Path) -> None:
    lost_late = contribution(Examples(halved(tmp_path / "one", 0, 10, 20)), HALF_POINT)
    weighted = np.ones(200) @ lost_late.columns
    assert lost_late.value(weighted[:, None]).tolist() == [1.0]
    assert (lost_late.gap, lost_late.below) == (0.0, pytest.approx(0.2))


def test_tables_that_contradict_the_summary_are_not_used(tmp_path: Path) -> None:
    one, other = saved(tmp_path / "one", lost=20), saved(tmp_path / "two", lost=60, said=0.9)
    found = paired_differences(one, other, [HALF])
    assert found.paired == {}
    assert "a run's tables give 0.7 where its summary says 0.9" in found.why_not[HALF]


def test_a_damaged_file_is_an_error_and_no_reason_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = saved(tmp_path / "one", lost=20), saved(tmp_path / "two", lost=60)
    (other.folder / "outcomes" / "predicted.npy").write_bytes(b"nothing")
    with pytest.raises(RunFolderError, match=r"predicted\.npy"):
        contribution(Examples(other), HALF)
    called = CommandLine(monkeypatch, capsys)("compare", one.folder, other.folder)
    assert called.code == 2 and len(called.errors) == 1


def test_what_is_wrong_in_the_code_is_not_taken_for_a_missing_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = saved(tmp_path / "one", lost=20)

    def broken(self: Examples) -> np.ndarray:
        raise ValueError("a mistake")

    monkeypatch.setattr(Examples, "silenced", property(broken))
    with pytest.raises(ValueError, match="a mistake"):
        contribution(Examples(one), HALF)


def test_sizes_and_classes_that_a_run_lacks(tmp_path: Path) -> None:
    one = Examples(saved(tmp_path / "one", lost=20))
    for keys, said in [
        (("silenced", "accuracy", "0.7"), "no experiment of size 0.7"),
        (("asymmetry", "fragility", "c"), "no class 'c'"),
        (("detection", "missed_alarm"), "no benign class"),
        (("certificates", "l2", "0.1"), "no activations/head_input.npy"),
        (("sites", "mlp_output", "largest_drop"), "example by example"),
    ]:
        with pytest.raises(NotPaired, match=said):
            contribution(one, keys)


# ---- other tasks ---------------------------------------------------------------------------------


def test_what_is_left_of_the_way_from_chance(tmp_path: Path) -> None:
    """Clean .9, silenced .7, chance .5: half of the .4 above chance is left."""
    found = task_free(saved(tmp_path / "one", lost=60, clean=20))
    figure, entry = found["task_free", "above_chance_left", "0.5"]
    assert figure.value == pytest.approx(0.5)
    assert entry.better == "higher"
    # 40 of 200 lost: Wald's half width of that paired loss is .055, of the share 1/.4 as much.
    assert figure.value - figure.low == pytest.approx(0.055 / 0.4, abs=0.04)
    assert figure.low < 0.5 < figure.high


def test_a_model_that_loses_nothing_keeps_an_interval(tmp_path: Path) -> None:
    figure, _ = task_free(saved(tmp_path / "one", lost=0))["task_free", "above_chance_left", "0.5"]
    assert figure.value == 1.0 and figure.low < 0.99 and figure.high > 1.01


def test_other_classes_are_compared_by_what_is_free_of_the_task(tmp_path: Path) -> None:
    one = saved(tmp_path / "one", lost=0, half_point=Figure(0.5, 0.4, 0.6))
    figures = {"redundancy": {"chance": Figure(0.5)}}
    labels = LABELS.tolist()
    made = save_run(tmp_path / "two", labels, labels, classes=("k", "l"), figures=figures)
    other = add_curve(made.folder, {0.5: wrong(100).tolist()})
    found = compare([one, other])
    rows = {dotted(row.keys): row.verdict(0) for row in found.rows}
    assert rows == {'task_free.above_chance_left."0.5"': "worse"}
    assert any("half_point not compared, as two has none" in note for note in found.notes)
