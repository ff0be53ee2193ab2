"""The whole audit on planted classifiers, where every answer is known by arithmetic."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from planted import CLASSES, LAYERS, PLANTS, Planted, block_neurons
from transformers.utils.logging import disable_progress_bar

from synapse_audit import AuditResult, Classifier, NeuronSet, audit, make_config, render
from synapse_audit.config import AuditConfig
from synapse_audit.findings import FINDINGS
from synapse_audit.progress import Advance
from synapse_audit.tables import TABLES

CARRIED = CLASSES[1:]
"""The classes that live in neurons."""

OWN = {"single": 0.0625, "leaning": 0.0625, "redundant": 1 / 12}
"""Share of a layer's neurons that carry one class; three times that carry all of them."""

FILES = {
    # the contract
    *("manifest.json", "splits.parquet", "probes.parquet", "rankings.parquet", "effects.parquet"),
    *("class_effects.parquet", "predictions.parquet", "summary.json"),
    *(f"activations/layer_0{layer}.npy" for layer in range(LAYERS + 1)),
    *(f"outcomes/{name}.npy" for name in ("predicted", "probability", "margin", "kl")),
    # added
    "outcomes/confidence.npy",
    *("activations/head_input.npy", "activations/logits.npy", "activations/others.npz"),
    *("outcomes/actions.parquet", "probes.npz", "sufficiency.parquet"),
}

EFFECTS = """cell group space operator strength site position layers ranking ranked_for selection
fraction k draw source target parameter setting addresses used part format bit_kind unit steps
weight bit budget_l2 budget_linf n_changed n
accuracy accuracy_low accuracy_high accuracy_drop accuracy_drop_low accuracy_drop_high
macro_f1 macro_f1_low macro_f1_high weighted_f1 weighted_f1_low weighted_f1_high
flip_rate flip_rate_low flip_rate_high redirect_rate redirect_rate_low redirect_rate_high
collateral collateral_low collateral_high mean_kl p_value p_adjusted z_random p_random
route n_exact direct_drop""".split()  # noqa: SIM905

COLUMNS = {
    "splits": ["example", "split", "label"],
    "probes": """scope accuracy macro_f1 majority_accuracy fit_accuracy control_accuracy selectivity
null_accuracy strength""".split(),  # noqa: SIM905
    "rankings": ["method", "ranked_for", "layer", "neuron", "score", "rank"],
    "effects": EFFECTS,
    "class_effects": """cell class support recall recall_low recall_high precision f1
recall_drop""".split(),  # noqa: SIM905
    "predictions": ["example", "label", "predicted", "probability", "margin"],
}

SUMMARY = {
    "": {"model", "classes", "n_evaluate", "clean", "redundancy", "asymmetry", "vulnerability"}
    | {"load_bearing", "cost"},
    "clean": {"accuracy", "macro_f1"},
    "redundancy": {"plateau", "half_point", "sufficient_k", "disjoint_sets"},
    "asymmetry": {"most_fragile", "least_fragile", "gap"},
    "vulnerability": set(CLASSES),
}

DECIDED = 1e-3
"""Logit margin (float64 arithmetic) above which float32 cannot turn the prediction."""


def _config(folder: Path, own: float = 0.0625, **options: Any) -> AuditConfig:
    grid = {
        "fractions": (own, 3 * own, 0.5),
        "layer_fractions": (own, 3 * own),
        "draws": 2,
        "budgets": (1.0,),
        "constants": (1.0,),
    }
    named = {"model": str(folder / "model"), "data": str(folder / "rows.csv")}
    small = {"preset": "quick", "resamples": 100, "grid": grid, "exact": True, "batch_size": 32}
    return make_config(named | small | options)


@dataclass(frozen=True)
class Audited:
    """A planted classifier and its finished run."""

    planted: Planted
    folder: Path
    """Holds ``model`` and ``rows.csv``."""
    result: AuditResult

    @property
    def own(self) -> float:
        return OWN[self.planted.name]

    @property
    def evaluate(self) -> np.ndarray:
        """Examples of the ``evaluate`` split, ascending."""
        return np.flatnonzero(self.result.splits["split"] == "evaluate")

    def chosen(self, cell: Any) -> NeuronSet:
        """The neurons of a top or keep_top cell, read off ``rankings.parquet``."""
        ranks = self.result.rankings
        every = pd.isna(cell.ranked_for)
        meant = ranks["ranked_for"].isna() if every else ranks["ranked_for"] == cell.ranked_for
        mine = ranks[(ranks["method"] == cell.ranking) & meant]
        layers = range(1, LAYERS + 1) if cell.layers == "all" else [int(cell.layers)]
        widths = [self.planted.layout.width] * (LAYERS + 1)
        best = mine[mine["rank"] <= round(cell.fraction * widths[0])]
        top = NeuronSet.of({m: best.loc[best["layer"] == m, "neuron"] for m in layers})
        return top if cell.selection == "top" else top.complement(widths, layers)

    def cells(self, **wanted: object) -> pd.DataFrame:
        """Rows of the effects with these values."""
        effects = self.result.effects
        for column, value in wanted.items():
            effects = effects[effects[column] == value]
        assert len(effects)
        return effects

    def predicted(self, cell: Any) -> np.ndarray:
        """What the audit saw the model say under a cell."""
        outcomes = self.result.outcomes
        return outcomes.predicted[outcomes.row[cell.action]].astype(np.int64)

    def recalls(self, cell: str) -> dict[str, float]:
        table = self.result.class_effects
        mine = table[table["cell"] == cell]
        return dict(zip(mine["class"], mine["recall"], strict=True))


@pytest.fixture(scope="module", autouse=True)
def quiet() -> None:
    disable_progress_bar()


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Audited]:
    """Gives the audit of a planted classifier by name, run once; leave it as you found it."""
    known: dict[str, Audited] = {}

    def get(name: str) -> Audited:
        if name not in known:
            planted = PLANTS[name]()
            folder = planted.save(tmp_path_factory.mktemp(name))
            config = _config(folder, OWN[name])
            known[name] = Audited(planted, folder, audit(config, folder / "run"))
        return known[name]

    return get


@pytest.fixture
def single(audited: Callable[[str], Audited]) -> Audited:
    return audited("single")


@pytest.fixture(scope="module")
def estimated(
    audited: Callable[[str], Audited], tmp_path_factory: pytest.TempPathFactory
) -> AuditResult:
    """The run of ``single`` with two-phase estimates allowed; read only."""
    config = _config(audited("single").folder, exact=False)
    return audit(config, tmp_path_factory.mktemp("estimated") / "run")


@pytest.fixture(params=sorted(OWN))
def each(request: pytest.FixtureRequest, audited: Callable[[str], Audited]) -> Audited:
    return audited(request.param)


# What was planted is what the tables say.


def test_clean_predictions_are_all_right(each: Audited) -> None:
    predictions = each.result.predictions
    assert (predictions["predicted"] == each.planted.labels).all()
    assert each.result.summary["clean"]["accuracy"]["value"] == pytest.approx(1.0)


def test_rankings_put_the_planted_neurons_first(each: Audited) -> None:
    for name in CARRIED:
        cell = next(each.cells(ranked_for=name, selection="top", fraction=each.own).itertuples())
        pairs = each.planted.layout.pairs[name]
        assert each.chosen(cell) == block_neurons(each.planted.layout, pairs)


def _decided(logits: np.ndarray, shaken: np.ndarray) -> np.ndarray:
    """Examples whose prediction float32 cannot turn.

    Where silencing leaves a state of zeros, LayerNorm divides rounding errors by their own norm:
    there the arithmetic with states shaken by 1e-6 gives other logits.
    """
    best = np.sort(logits, axis=1)
    clear = best[:, -1] - best[:, -2] > DECIDED
    return clear & (np.abs(logits - shaken).max(axis=1) < DECIDED)


def test_silencing_does_exactly_what_arithmetic_says(each: Audited) -> None:
    states, evaluate = each.planted.states, each.evaluate
    noise = np.random.default_rng(0).normal(scale=1e-6, size=states.shape)
    shaken = replace(each.planted, states=states + noise)
    fit = np.flatnonzero(each.result.splits["split"] == "fit")
    fill = {"zero": None, "mean": states[fit].mean(axis=0)}
    effects = each.result.effects
    known = effects[effects["selection"].isin(["top", "keep_top"]) & (effects["layers"] != "0")]
    known = known[known["space"] == "neuron"]
    assert len(known) > 50
    shares: list[float] = []
    for cell in known.itertuples():
        chosen, values = each.chosen(cell), fill[str(cell.operator)]
        logits = each.planted.logits(chosen, values)[evaluate]
        decided = _decided(logits, shaken.logits(chosen, values)[evaluate])
        shares.append(decided.mean())
        expected = logits.argmax(axis=1)
        np.testing.assert_array_equal(each.predicted(cell)[decided], expected[decided])
    assert np.mean(shares) > 0.9


@pytest.mark.parametrize("operator", ["mean", "zero"])
@pytest.mark.parametrize("victim", CARRIED)
def test_a_class_without_its_neurons_is_lost_alone(
    single: Audited, victim: str, operator: str
) -> None:
    cells = single.cells(
        ranked_for=victim, selection="top", fraction=single.own, operator=operator, layers="all"
    )
    (cell,) = cells["cell"]
    assert single.recalls(cell) == {name: float(name != victim) for name in CLASSES}
    assert cells["accuracy_drop"].item() == pytest.approx(0.25)


def test_silencing_everything_else_changes_nothing(single: Audited) -> None:
    kept = single.cells(selection="keep_top", fraction=3 * single.own, ranking="probe")
    assert len(kept) == 2
    assert (kept[["accuracy_drop", "flip_rate"]] == 0).all(axis=None)
    gone = single.cells(selection="top", fraction=3 * single.own, layers="all", ranking="probe")
    np.testing.assert_allclose(gone["accuracy"], 0.25)


def test_load_bearing_lists_the_planted_constant_and_no_other(
    audited: Callable[[str], Audited],
) -> None:
    leaning = audited("leaning")
    found = leaning.result.summary["load_bearing"]
    assert {entry["neuron"] for entry in found} == {leaning.planted.layout.constant}
    for entry in found:
        assert entry["zero_drop"]["low"] > 0.5
        assert entry["mean_drop"]["value"] == 0
    for other in ("single", "redundant"):
        assert audited(other).result.summary["load_bearing"] == []


# The run folder is the contract's.


def _files(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_the_folder_holds_the_files_of_the_contract(single: Audited) -> None:
    files = set(_files(single.result.folder))
    tables = {name for name in files if name.startswith("findings/")}
    assert files - tables == FILES
    named = {Path(name).name.partition(".")[0] for name in tables}
    # The paper's tables need its preset; "silenced" only quotes figures of the tables of effects;
    # advice is drawn from all findings.
    assert named == {*FINDINGS, "advice"} - {"paper", "silenced"}


@pytest.mark.parametrize("table", sorted(COLUMNS))
def test_tables_start_with_the_columns_of_the_contract(single: Audited, table: str) -> None:
    columns = list(pd.read_parquet(single.result.folder / f"{table}.parquet").columns)
    assert columns[: len(COLUMNS[table])] == COLUMNS[table]


def test_every_saved_table_has_the_declared_columns(single: Audited) -> None:
    folder = single.result.folder
    files = [file.relative_to(folder) for file in folder.rglob("*.parquet")]
    assert len(files) > 40
    for file in files:
        table, declared = pd.read_parquet(folder / file), TABLES[file.with_suffix("").as_posix()]
        some = [re.sub(r"<\w+>", ".+", column.name) for column in declared.optional]
        optional = re.compile("|".join(some) or "(?!)")
        assert [c for c in table if not optional.fullmatch(c)] == declared.names, file
        assert declared.problem(table) == "", file


def test_scopes_of_the_probes(single: Audited) -> None:
    assert set(single.result.probes["scope"]) == {"0", "1", "2", "3", "joint", "head_input"}


def test_summary_has_the_keys_of_the_contract(single: Audited) -> None:
    summary = single.result.summary
    assert set(summary) >= SUMMARY[""]
    for key in set(SUMMARY) - {""}:
        assert set(summary[key]) >= SUMMARY[key]
    for name in SUMMARY["clean"] | SUMMARY["redundancy"]:
        figure = (summary["clean"] | summary["redundancy"])[name]
        assert {"value", "low", "high"} <= set(figure)


def test_the_manifest_says_where_all_this_comes_from(single: Audited) -> None:
    manifest = single.result.manifest
    keys = {"schema", "config", "seed", "versions", "device", "label_map", "splits", "times"}
    assert keys <= set(manifest)
    assert manifest["status"] == "complete"
    assert manifest["label_map"] == {str(i): name for i, name in enumerate(CLASSES)}
    assert sum(manifest["splits"].values()) == len(single.planted.labels)
    weights = Classifier.load(single.folder / "model").fingerprint()
    assert manifest["model"]["sha256"] == weights
    assert len(manifest["data"]["sha256"]) == 64


def test_what_does_not_apply_is_null(single: Audited) -> None:
    effects = single.result.effects
    neuron, logit = effects["space"] == "neuron", effects["space"] == "logit"
    assert effects.loc[neuron, ["target", "budget_l2", "redirect_rate"]].isna().all(axis=None)
    assert effects.loc[logit, ["k", "fraction", "ranking", "position"]].isna().all(axis=None)
    assert effects["p_adjusted"].isna().all(), "two draws allow no test"


# The same command gives the same bytes, however often it was interrupted.


def _comparable(folder: Path) -> dict[str, bytes]:
    """Everything but the manifest, which holds times."""
    return {name: data for name, data in _files(folder).items() if name != "manifest.json"}


def _differing(one: Path, other: Path) -> list[str]:
    first, second = _comparable(one), _comparable(other)
    assert set(first) == set(second)
    return [name for name, data in first.items() if data != second[name]]


class Stop(NamedTuple):
    """Where a run is stopped, and by what."""

    stage: str
    after: int
    """Finished pieces of that stage."""
    by: type[BaseException] = KeyboardInterrupt


@dataclass
class Stopper:
    """Stops the run in a stage; remembers which stages began."""

    stop: Stop | None
    began: list[str]

    @contextmanager
    def stage(self, title: str, total: int | float) -> Iterator[Advance]:
        self.began.append(title)
        done = 0

        def advance(work: float) -> None:
            nonlocal done
            done += 1
            if self.stop is not None and (title, done) == (self.stop.stage, self.stop.after):
                raise self.stop.by("stopped by a test")

        yield advance

    def note(self, text: str) -> None:
        pass


def _stop(config: AuditConfig, out: Path, stop: Stop) -> list[str]:
    watcher = Stopper(stop, [])
    with pytest.raises(stop.by):
        audit(config, out, progress=watcher)
    return watcher.began


def _stamps(folder: Path, pattern: str) -> dict[str, tuple[int, int]]:
    """File → (inode, time of change): writing a file again changes both."""
    stats = {path.name: path.stat() for path in folder.glob(pattern)}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats.items()}


@pytest.mark.unchecked
def test_an_interrupted_run_goes_on_where_it_stopped(single: Audited, tmp_path: Path) -> None:
    config, broken = _config(single.folder), tmp_path / "broken"
    _stop(config, broken, Stop("clean pass", 2))
    assert not (broken / "predictions.parquet").exists()
    _stop(config, broken, Stop("probes", 1))
    clean = _stamps(broken, "activations/*.np[yz]")
    assert len(clean) == LAYERS + 4

    began = _stop(config, broken, Stop("interventions", 3))
    assert "clean pass" not in began
    assert "probes" not in began
    units = _stamps(broken, "outcomes/units/*.npz")
    assert len(units) >= 2

    _stop(config, broken, Stop("interventions", 6))
    later = _stamps(broken, "outcomes/units/*.npz")
    assert len(later) > len(units)
    assert {name: later[name] for name in units} == units, "a finished unit was run again"

    result = audit(config, broken)
    assert result.manifest["status"] == "complete"
    assert _stamps(broken, "activations/*.np[yz]") == clean
    assert _differing(single.result.folder, broken) == []


@pytest.mark.unchecked
def test_two_phase_estimates_are_the_same_after_interruptions(
    estimated: AuditResult, single: Audited, tmp_path: Path
) -> None:
    assert "two-phase" in set(estimated.effects["route"])
    config, out = _config(single.folder, exact=False), tmp_path / "run"
    for stage in ("exact cells", "first phase", "pilot", "second phase"):
        _stop(config, out, Stop(stage, 1))
    audit(config, out)
    assert _differing(estimated.folder, out) == []


@pytest.mark.unchecked
@pytest.mark.parametrize("stage", ["effects", "findings"])
def test_a_run_stopped_after_the_sweep_runs_no_intervention_again(
    single: Audited, tmp_path: Path, stage: str
) -> None:
    out = shutil.copytree(single.result.folder, tmp_path / "run")
    for name in ("summary.json", "effects.parquet", "class_effects.parquet"):
        (out / name).unlink()
    for by in (KeyboardInterrupt, RuntimeError):
        began = _stop(_config(single.folder), out, Stop(stage, 1, by))
        assert not set(began) & {"clean pass", "probes", "interventions", "sufficient sets"}
    audit(_config(single.folder), out)
    assert _differing(single.result.folder, out) == []


# The host model is unharmed.


def _hooks(model: torch.nn.Module) -> int:
    return sum(
        len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks)
        for m in model.modules()
    )


class State(NamedTuple):
    """What must not change."""

    weights: str
    hooks: int
    attention: str
    training: bool
    logits: bytes


def _state(classifier: Classifier) -> State:
    encoded = classifier.encode(["up3 alpha-0 down4", "beta-0", "down9 gamma-0"])
    logits = classifier.logits(classifier.collate(encoded, [0, 1, 2]))
    model: Any = classifier.model
    return State(
        classifier.fingerprint(),
        _hooks(model),
        str(model.config._attn_implementation),
        model.training,
        logits.numpy().tobytes(),
    )


STOPS = {
    "clean pass": Stop("clean pass", 1, RuntimeError),
    "checking routes": Stop("checking routes", 1, RuntimeError),
    "crash in the sweep": Stop("interventions", 1, RuntimeError),
    "Ctrl-C in the sweep": Stop("interventions", 2),
    "crash in the findings": Stop("findings", 1, RuntimeError),
}


@pytest.fixture
def loaded(single: Audited, monkeypatch: pytest.MonkeyPatch) -> Classifier:
    """The host model of the test's audits."""
    classifier = Classifier.load(single.folder / "model")
    monkeypatch.setattr(Classifier, "load", lambda *_, **__: classifier)
    return classifier


@pytest.mark.unchecked
def test_the_same_command_twice_gives_the_same_bytes_and_leaves_the_model_as_before(
    single: Audited, loaded: Classifier, tmp_path: Path
) -> None:
    before = _state(loaded)
    audit(_config(single.folder), tmp_path / "again")
    assert _state(loaded) == before
    assert _differing(single.result.folder, tmp_path / "again") == []


@pytest.mark.unchecked
@pytest.mark.parametrize("when", sorted(STOPS))
def test_the_model_is_as_before_when_the_run_is_stopped(
    single: Audited, loaded: Classifier, tmp_path: Path, when: str
) -> None:
    before = _state(loaded)
    _stop(_config(single.folder), tmp_path / "run", STOPS[when])
    assert _state(loaded) == before


# A finished run needs no model.


def test_a_run_renders_without_its_model(single: Audited, tmp_path: Path) -> None:
    copy = shutil.copytree(single.result.folder, tmp_path / "run")
    page = render(single.result)
    assert render(AuditResult.load(copy)) == page
    assert len(page) > 10_000


def test_summary_is_plain_json_without_nan(single: Audited) -> None:
    text = (single.result.folder / "summary.json").read_text(encoding="utf-8")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} in summary.json")

    json.loads(text, parse_constant=refuse)
