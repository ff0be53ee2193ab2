"""Every rule of a policy, answered for one run."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from synapse_audit.check.baseline import UNPAIRED, Against
from synapse_audit.check.decide import Verdict, decide
from synapse_audit.check.policy import BASELINE, Policy, Rule
from synapse_audit.errors import UsageError
from synapse_audit.store import AuditResult
from synapse_audit.summary import Figure, Keys, dotted, entry_of, is_choice, walk


class Answer(NamedTuple):
    """What a run says to one rule."""

    rule: Rule
    line: int
    verdict: Verdict
    figure: Figure
    why: str
    fails: bool
    """Whether the check fails for it."""


class Report(NamedTuple):
    """All answers."""

    answers: tuple[Answer, ...]
    policy: Policy
    run: AuditResult

    @property
    def passed(self) -> bool:
        """Whether no rule fails the check."""
        return not any(answer.fails for answer in self.answers)

    def count(self, verdict: Verdict) -> int:
        """How many rules have this answer."""
        return sum(answer.verdict == verdict for answer in self.answers)


def check(run: AuditResult, policy: Policy, baseline: AuditResult | None = None) -> Report:
    """Answers every rule from saved tables alone.

    Raises:
        UsageError: a rule names a figure that there is not, or needs a baseline that is missing.
    """
    against = Against(run, baseline) if baseline is not None else None
    figures = dict(walk(run.summary))
    answers = [
        _answer(rule, line, policy, run, (figures, against))
        for rule, line in zip(policy.rules, policy.lines, strict=True)
    ]
    return Report(tuple(answers), policy, run)


def _answer(
    rule: Rule,
    line: int,
    policy: Policy,
    run: AuditResult,
    known: tuple[dict[Keys, Figure], Against | None],
) -> Answer:
    figures, against = known
    where = f"{policy.path}:{line}"
    figure = _figure(rule, where, figures, against)
    kind, bound = rule.bound
    if rule.tests and not run.manifest["config"]["grid"]["tests"]:
        verdict: Verdict = "not shown"
        why = "the rule asks for tests, and this run has none: audit with --preset standard"
    else:
        entry = None if rule.needs_baseline else entry_of(rule.keys)
        n = int(run.summary["n_evaluate"])
        decision = decide(
            figure,
            entry,
            kind="at_least" if kind == "at_least" else "at_most",
            bound=bound,
            n=n,
            of=_whose(rule, run.summary["classes"]),
        )
        verdict, why = decision.verdict, decision.why + _unpaired(figure)
    fails = verdict == "contradicted" or (
        verdict == "not shown" and policy.fails_when_not_shown(rule)
    )
    return Answer(rule, line, verdict, figure, why, fails)


def _unpaired(figure: Figure) -> str:
    """That an interval is wider than necessary, and why."""
    why = figure.beside.get(UNPAIRED) if figure.bounded else None
    return f"; not paired, so with a wider interval: {why}" if why else ""


def _whose(rule: Rule, classes: Sequence[str]) -> str:
    """`` of cmdi`` where a figure rests on the examples of one class."""
    counted_per_class = any("recall" in key or key == "flip_rate_of" for key in rule.keys)
    name = next((key for key in rule.keys if key in classes), None)
    return f" of {name}" if counted_per_class and name else ""


def _figure(rule: Rule, where: str, figures: dict[Keys, Figure], against: Against | None) -> Figure:
    keys = rule.keys
    if rule.needs_baseline and against is None:
        raise UsageError(
            f"{where}: '{rule.title}' compares with a baseline; expected --baseline RUN"
        )
    if keys[0] != BASELINE:
        _must_exist(keys, where, figures)
        if rule.max_regression is None or against is None:
            return _of_run(keys, figures)
        return against.loss(keys)
    if against is None or (refused := against.why_refused(keys)):
        return Figure.unknown(refused)
    if keys not in against.figures:
        raise UsageError(f"{where}: {_unknown(keys, against.figures)}")
    return against.figures[keys]


def _must_exist(keys: Keys, where: str, figures: dict[Keys, Figure]) -> None:
    if is_choice(keys):
        raise UsageError(f"{where}: '{dotted(keys)}' is a name; expected a figure with a value")
    if keys not in figures and not _unknown_group(keys, figures):
        raise UsageError(f"{where}: {_unknown(keys, figures)}")


def _of_run(keys: Keys, figures: dict[Keys, Figure]) -> Figure:
    return figures[keys] if keys in figures else _unknown_group(keys, figures) or Figure.unknown("")


def _unknown_group(keys: Keys, figures: dict[Keys, Figure]) -> Figure | None:
    """The unknown figure that stands for the group which these keys are of."""
    if entry_of(keys) is None:
        return None
    if not any(one[0] == keys[0] for one in figures):
        return Figure.unknown(f"the run was written before '{keys[0]}' was added: audit again")
    above = (figures.get(keys[:depth]) for depth in range(len(keys) - 1, 0, -1))
    return next((figure for figure in above if figure is not None and not figure.known), None)


def _unknown(keys: Keys, figures: Iterable[Keys]) -> str:
    given = dotted(keys)
    names = [dotted(one) for one in figures]
    close = difflib.get_close_matches(given, names, n=3, cutoff=0.5)
    meant = f"did you mean {' or '.join(close)}?" if close else "see summary.json for their names"
    return f"figure '{given}' given; {meant}"
