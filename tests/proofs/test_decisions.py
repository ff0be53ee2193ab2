"""How often `check` and `compare` decide wrongly where the truth is known.

Audits of one simulated model on fresh samples: outcomes are drawn (no model runs), and figures, run
folders, policies and comparisons are made of them as of any run. A rule whose bound is the truth
itself may be contradicted in at most 2.5 % of the audits, and two audits of one model may differ in
anything in at most 5 % of the pairs, both up to three standard errors of such a share (judging).
Takes about eight minutes on one core.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compare.saved_runs import add_curve, save_run
from findings.evidence import make_evidence, one_hot_logits, silence

from synapse_audit.artifacts import Evidence
from synapse_audit.check import Policy, check, read_policy
from synapse_audit.compare import compare
from synapse_audit.findings.asymmetry import asymmetry
from synapse_audit.findings.redundancy.redundancy import half_point, plateau
from synapse_audit.findings.silenced import silenced
from synapse_audit.pipeline.stages.findings import _clean
from synapse_audit.store import AuditResult

from .judging import AUDITS, Tell, judge

pytestmark = pytest.mark.proof

CLASSES = ("a", "rare")
LABELS = np.repeat([0, 1], [180, 60])
RIGHT = np.array([0.9, 0.75])
"""Chance of a right answer, by class."""
SHARES = (0.1, 0.25, 0.5, 0.8)
KEPT = np.array([1.0, 0.97, 0.7, 0.2])
"""Chance that a right answer stays right, by share silenced; what is lost stays lost."""

RECALL = {name: float(RIGHT[c]) for c, name in enumerate(CLASSES)}
ACCURACY = float(RIGHT @ [0.75, 0.25])
TRUTH = {
    "clean.accuracy": ACCURACY,
    "clean.recall.a": RECALL["a"],
    "clean.recall.rare": RECALL["rare"],
    "silenced.accuracy.'0.25'": ACCURACY * KEPT[1],
    "silenced.accuracy.'0.5'": ACCURACY * KEPT[2],
    "silenced.recall.rare.'0.5'": RECALL["rare"] * KEPT[2],
    "asymmetry.fragility.rare": RECALL["rare"] * float(np.mean(1 - KEPT)),
}
"""Figure → what it is in the population."""


def answers(generator: np.random.Generator) -> list[list[int]]:
    """What the model says untouched and at each share, on a fresh sample."""
    right = generator.random(len(LABELS)) < RIGHT[LABELS]
    when = generator.random(len(LABELS))
    kept = [right & (when < kept) for kept in (1.0, *KEPT)]
    return [np.where(one, LABELS, 1 - LABELS).tolist() for one in kept]


def audited(folder: Path, said: list[list[int]], *, data: str = "d" * 64) -> AuditResult:
    """The run folder of an audit in which the model said so."""
    clean, *afterwards = said
    evidence = make_evidence(
        LABELS.tolist(),
        [(silence("top", f), one) for f, one in zip(SHARES, afterwards, strict=True)],
        logits=one_hot_logits(clean, 2),
        classes=CLASSES,
        resamples=1000,
    )
    options = {"classes": CLASSES, "data": data, "fractions": SHARES}
    made = save_run(folder, LABELS.tolist(), clean, figures=figures(evidence), **options)
    return add_curve(made.folder, dict(zip(SHARES, afterwards, strict=True)))


def figures(evidence: Evidence) -> dict[str, Any]:
    """The summary's figures that rest on the answers alone."""
    curve = {"plateau": plateau(evidence), "half_point": half_point(evidence)}
    found: dict[str, Any] = {"clean": _clean(evidence), "redundancy": curve}
    for finding in (asymmetry, silenced):
        found |= finding(evidence).summary
    return found


def samples(folder: Path, stream: int) -> Iterator[AuditResult]:
    """Audits of the model on samples of their own."""
    for audit in range(AUDITS):
        generator = np.random.default_rng([audit, stream])
        yield audited(folder / f"{stream}-{audit}", answers(generator), data=f"{stream}{audit:063}")


def policy(folder: Path, rules: dict[str, dict[str, float]]) -> Policy:
    lines = []
    for figure, bounds in rules.items():
        for kind, bound in bounds.items():
            lines += ["[[rule]]", f'figure = "{figure}"', f"{kind} = {float(bound)!r}"]
    file = folder / "policy.toml"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_policy(file)


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> list[AuditResult]:
    """One model, audited again and again."""
    return list(samples(tmp_path_factory.mktemp("fresh"), 21))


def test_a_rule_whose_bound_is_the_truth_is_rarely_contradicted_and_rarely_supported(
    fresh: list[AuditResult], tmp_path: Path, tell: Tell
) -> None:
    rules = {name: {"at_least": truth, "at_most": truth} for name, truth in TRUTH.items()}
    found = [check(run, policy(tmp_path, rules)).answers for run in fresh]
    titles = [answer.rule.title for answer in found[0]]
    assert len(titles) == 2 * len(TRUTH)
    for i, title in enumerate(titles):
        for verdict in ("contradicted", "supported"):
            wrong = [answers[i].verdict == verdict for answers in found]
            judge(f"check: {title} (the truth) is {verdict}", wrong, 0.025, tell)


def test_a_policy_made_from_one_audit_is_rarely_contradicted_by_another(
    fresh: list[AuditResult], tmp_path: Path, tell: Tell
) -> None:
    from synapse_audit.check import suggested_policy

    wrong, any_of = [], []
    for one, other in zip(fresh[::2], fresh[1::2], strict=True):
        file = tmp_path / "policy.toml"
        file.write_text(suggested_policy(one), encoding="utf-8")
        answers = check(other, read_policy(file)).answers
        wrong += [answer.verdict == "contradicted" for answer in answers]
        any_of.append(any(answer.verdict == "contradicted" for answer in answers))
    judge("check: a rule suggested by another audit is contradicted", wrong, 0.025, tell)
    judge("check: any rule of a policy suggested by another audit is", any_of, 0.05, tell)


def test_two_audits_of_one_model_on_fresh_samples_rarely_differ(
    fresh: list[AuditResult], tmp_path: Path, tell: Tell
) -> None:
    wrong = []
    for one, other in zip(fresh, samples(tmp_path, 22), strict=True):
        found = compare([one, other])
        assert found.pairs[0].flips == () and len(found.rows) >= len(SHARES)
        wrong.append(any(row.verdict(0) != "not shown" for row in found.rows))
    judge("compare: any figure of one model on two samples differs", wrong, 0.05, tell)


def exchangeable(folder: Path) -> Iterator[tuple[AuditResult, AuditResult]]:
    """Two models that err alike on the same examples, some of which are hard for both."""
    for audit in range(AUDITS):
        generator = np.random.default_rng([audit, 23])
        common, own = answers(generator), [answers(generator) for _ in range(2)]
        shared = generator.random(len(LABELS)) < 0.5
        said = [
            [np.where(shared, one, other).tolist() for one, other in zip(common, mine, strict=True)]
            for mine in own
        ]
        one, other = (audited(folder / f"{audit}-{i}", said[i]) for i in range(2))
        yield one, other


def test_two_models_that_err_alike_rarely_differ_on_the_same_examples(
    tmp_path: Path, tell: Tell
) -> None:
    figures = ("clean.accuracy", "clean.recall.rare", "silenced.accuracy.'0.5'")
    rules = {name: {"max_regression": 0.0} for name in figures}
    rules |= {f"baseline.{name}": {"at_most": 0.0} for name in ("accuracy_drop", "recall_drop.a")}
    worse: list[list[bool]] = []
    differ: dict[str, list[bool]] = {"figure": [], "recall or precision": [], "accuracy": []}
    for one, other in exchangeable(tmp_path):
        found = compare([one, other])
        changes = found.pairs[0].changes
        differ["figure"].append(any(row.verdict(0) != "not shown" for row in found.rows))
        differ["recall or precision"].append(any(c.significant for c in changes if c.name))
        differ["accuracy"].append(any(c.significant for c in changes if c.figure == "accuracy"))
        answers = check(other, policy(tmp_path, rules), one).answers
        worse.append([answer.verdict == "contradicted" for answer in answers])
    titles = [f"{name} no worse by more than 0" for name in figures]
    titles += [name for name in rules if name.startswith("baseline")]
    for title, wrong in zip(titles, zip(*worse, strict=True), strict=True):
        judge(f"check: {title} is contradicted by a model that errs alike", wrong, 0.025, tell)
    for name, some in differ.items():
        # Recalls and precisions are two families, each corrected over its classes.
        nominal = 0.1 if name == "recall or precision" else 0.05
        judge(f"compare: {name} of two models that err alike differs", some, nominal, tell)
