"""Probes per scope: standardise on ``fit``, choose the strength on ``select``, report.

In: activations, labelled data, splits. Out: one :class:`~synapse_audit.artifacts.Probe` per scope
(each layer, ``joint``, ``head_input``) and the table of the contract.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from sklearn.metrics import accuracy_score, f1_score

from synapse_audit.artifacts import Activations, LabelledData, Probe, Splits
from synapse_audit.artifacts.label_sets import decoded, encoded
from synapse_audit.errors import DataError
from synapse_audit.memory import Allocate, in_memory, release_memory
from synapse_audit.probes.design import Design
from synapse_audit.probes.solver import Coefficients, Reduced, reduce, solve
from synapse_audit.tables.run import PROBES

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Candidates for scikit-learn's C, from strongly to weakly regularised."""
ABSENT_BIAS = -1000.0
"""Bias of a class without a ``fit`` example: finite, and so low that it is never predicted."""
SEARCH, CONTROL, FINAL = 1e-2, 1e-3, 1e-6
"""Tolerances: while a strength is chosen, for the control task, for the probe reported."""


class Task(NamedTuple):
    """Labels and weights of all examples, and which classes ``fit`` holds."""

    labels: Int[np.ndarray, " examples"]
    weights: Float[np.ndarray, " examples"]
    classes: int
    present: Int[np.ndarray, " present"]
    """Classes with at least one ``fit`` example, ascending."""

    independent: bool = False
    """Whether ``labels`` are sets, and every class a label that is read by itself."""

    @classmethod
    def of(cls, data: LabelledData, splits: Splits) -> Task:
        """Reads the labels.

        Raises:
            DataError: ``fit`` holds fewer than two classes, or no label that some examples have
                and others have not.
        """
        if data.sets is not None:
            return cls._of_sets(data, splits)
        present = np.unique(data.labels[splits.fit])
        if len(present) < 2:
            raise DataError(
                f"the fit split holds {len(present)} of {len(data.classes)} classes; "
                "a probe needs examples of at least 2"
            )
        return cls(data.labels, data.weights, len(data.classes), present)

    @classmethod
    def _of_sets(cls, data: LabelledData, splits: Splits) -> Task:
        rows = decoded(data.truth[splits.fit], len(data.classes)).mean(axis=0)
        present = np.flatnonzero((rows > 0) & (rows < 1))
        if not len(present):
            raise DataError(
                "the fit split holds no label that some of its examples have and others have not; "
                "a probe needs one"
            )
        return cls(data.truth, data.weights, len(data.classes), present, independent=True)

    def targets(self, labels: Int[np.ndarray, " chosen"]) -> Float[np.ndarray, "chosen present"]:
        """One-hot rows over the classes present; of sets 1 for every label that is there."""
        if self.independent:
            return decoded(labels, self.classes)[:, self.present].astype(np.float64)
        return (labels[:, None] == self.present).astype(np.float64)

    def complete(self, solution: Coefficients) -> Coefficients:
        """Rows for all classes, centred over those present; see :data:`ABSENT_BIAS`.

        Rows of labels are not centred: each decides by itself.
        """
        weights = np.zeros((self.classes, solution.weights.shape[1]))
        bias = np.full(self.classes, ABSENT_BIAS)
        center = not self.independent
        weights[self.present] = solution.weights - center * solution.weights.mean(axis=0)
        bias[self.present] = solution.bias - center * solution.bias.mean()
        return Coefficients(weights, bias)

    def predict(self, solution: Coefficients, design: Design) -> Int[np.ndarray, " chosen"]:
        """The class of each example of a design, or its set of labels."""

        def said(features: Float[np.ndarray, "block features"]) -> Int[np.ndarray, " block"]:
            if self.independent:
                return encoded(features @ solution.weights.T + solution.bias > 0)
            return solution.predict(features)

        return np.asarray(design.map(said))

    def quality(self, solution: Coefficients, design: Design) -> float:
        """By what a strength is chosen: weighted accuracy, or of labels minus the log loss.

        Most labels are rare: many strengths predict none of them at a probability of 1/2, and
        would be equally accurate.
        """
        if not self.independent:
            return self.accuracy(self.predict(solution, design), design.rows)
        logits = np.asarray(design.map(lambda part: part @ solution.weights.T + solution.bias))
        signs = np.where(decoded(self.labels[design.rows], self.classes), 1.0, -1.0)
        loss = np.logaddexp(0.0, -signs * logits)[:, self.present].sum(axis=1)
        return -float(np.average(loss, weights=self.weights[design.rows]))

    def accuracy(
        self, predicted: Int[np.ndarray, " chosen"], rows: Int[np.ndarray, " chosen"]
    ) -> float:
        """Weighted accuracy on some examples."""
        return float(accuracy_score(self.labels[rows], predicted, sample_weight=self.weights[rows]))

    def majority(self, rows: Int[np.ndarray, " chosen"]) -> float:
        """Weighted accuracy of the best constant predictor on some examples."""
        labels = self.labels[rows]
        if self.independent:
            labels = np.unique(labels, return_inverse=True)[1].reshape(-1)
        mass = np.bincount(labels, self.weights[rows], self.classes)
        return float(mass.max() / mass.sum())


def fit_probes(
    activations: Activations,
    data: LabelledData,
    splits: Splits,
    *,
    seed: int = 0,
    allocate: Allocate = in_memory,
) -> tuple[Probe, ...]:
    """Probes of scopes ``"0"`` to ``"L"``, ``joint`` and ``head_input``, in this order.

    The loss counts every ``fit`` example once, so rare classes keep their voice after a stratified
    cap; every accuracy is weighted back to the data's own class shares. The control task permutes
    the labels over inputs by the same seeded permutation in every scope.

    Args:
        allocate: where the principal coordinates of the ``fit`` examples lie.

    Raises:
        DataError: ``fit`` holds fewer than two classes.
    """
    found = []
    for scope, arrays in _scopes(activations):
        design = Design.fitted(arrays, splits.fit)
        found.append(_fit_scope(scope, design, data, splits, seed, allocate))
        release_memory()
    return tuple(found)


def fit_probe(
    scope: str,
    features: Float[np.ndarray, "examples features"],
    data: LabelledData,
    splits: Splits,
    *,
    seed: int,
) -> Probe:
    """One probe, on any features; ``scope`` is only its name. Otherwise as :func:`fit_probes`."""
    return _fit_scope(scope, Design.fitted([features], splits.fit), data, splits, seed, in_memory)


def _fit_scope(
    scope: str, design: Design, data: LabelledData, splits: Splits, seed: int, allocate: Allocate
) -> Probe:
    task, fit, evaluate = Task.of(data, splits), splits.fit, splits.evaluate
    reduced = reduce(design, allocate)
    chosen = choose_strength(reduced, task, splits, design.on(splits.select))
    solution = _fitted(reduced, task, fit, strength=chosen.strength, start=chosen.solution)
    order = np.random.default_rng(np.random.SeedSequence([seed, 0])).permutation(fit)
    null = _fitted(reduced, task, order, strength=chosen.strength, start=None)
    held_out = design.on(evaluate)
    predicted = task.predict(solution, held_out)
    scaler = design.scaler
    return Probe(
        scope=scope,
        weights=solution.weights,
        bias=solution.bias,
        mean=scaler.mean,
        scale=scaler.scale,
        strength=chosen.strength,
        accuracy=task.accuracy(predicted, evaluate),
        macro_f1=macro_f1(task, predicted, evaluate),
        majority_accuracy=task.majority(evaluate),
        fit_accuracy=task.accuracy(task.predict(solution, design), fit),
        # Weights restore class shares, so they are permuted together with the labels.
        control_accuracy=task.accuracy(task.predict(null, design), order),
        null_accuracy=task.accuracy(task.predict(null, held_out), evaluate),
    )


class Choice(NamedTuple):
    """A strength chosen on ``select``."""

    strength: float
    accuracy: float
    """Weighted, on ``select``, of the solution at search tolerance; see :meth:`Task.quality`."""
    solution: Coefficients
    """In principal coordinates, at search tolerance."""


def choose_strength(
    reduced: Reduced,
    task: Task,
    splits: Splits,
    select: Design,
) -> Choice:
    """The strength of :data:`STRENGTHS` most accurate on ``select``; ties: the most regularised.

    The path runs from strong to weak regularisation, each solution starting the next one.
    """
    targets, solution, choices = task.targets(task.labels[splits.fit]), None, []
    for strength in STRENGTHS:
        solution = solve(
            reduced,
            targets,
            strength=strength,
            tolerance=SEARCH,
            start=solution,
            independent=task.independent,
        )
        quality = task.quality(task.complete(reduced.lift(solution)), select)
        choices.append(Choice(strength, quality, solution))
    return max(choices, key=lambda choice: choice.accuracy)


def probe_table(probes: Sequence[Probe]) -> pd.DataFrame:
    """``probes.parquet``: one row per scope, columns as the contract orders them."""
    rows = [[getattr(probe, name) for name in PROBES.names] for probe in probes]
    return pd.DataFrame(rows, columns=PROBES.names)


def _scopes(activations: Activations) -> Iterator[tuple[str, list[np.ndarray]]]:
    for layer, features in enumerate(activations.layers):
        yield str(layer), [features]
    yield "joint", [activations.layers[m] for m in activations.blocks]
    yield "head_input", [activations.head_input]


def _fitted(
    reduced: Reduced,
    task: Task,
    labelled: Int[np.ndarray, " fit"],
    *,
    strength: float,
    start: Coefficients | None,
) -> Coefficients:
    """The probe on all features; row i of ``reduced`` gets the label of example labelled[i]."""
    tolerance = CONTROL if start is None else FINAL
    found = solve(
        reduced,
        task.targets(task.labels[labelled]),
        strength=strength,
        tolerance=tolerance,
        start=start,
        independent=task.independent,
    )
    return task.complete(reduced.lift(found))


def macro_f1(
    task: Task, predicted: Int[np.ndarray, " chosen"], rows: Int[np.ndarray, " chosen"]
) -> float:
    """Weighted macro F1 on some examples."""
    if task.independent:
        true, said = (decoded(sets, task.classes) for sets in (task.labels[rows], predicted))
        return float(
            f1_score(
                true,
                said,
                labels=np.flatnonzero(true.any(axis=0)),
                average="macro",
                sample_weight=task.weights[rows],
                zero_division=0.0,
            )
        )
    # A class without an example here has no recall; it is left out rather than counted as 0.
    return float(
        f1_score(
            task.labels[rows],
            predicted,
            labels=np.unique(task.labels[rows]),
            average="macro",
            sample_weight=task.weights[rows],
            zero_division=0.0,
        )
    )
