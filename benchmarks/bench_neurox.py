"""The paper's probe and ranking against NeuroX, whose functions the published code builds on.

Pooled states of all blocks of the bundled classifier, and drawn ones of BERT-base's size:

1. *Same start, same batches*: NeuroX's ``train_logistic_regression_probe`` is given our start and
   our order of examples; weights and rankings should then be equal up to rounding.
2. *As it stands*: with its own start, and batches in the order of the file. What is left of the
   agreement is set beside that of our own probe under another seed: luck of the start.
3. *Sets by mass*: ``get_top_neurons`` on the same weights against our ``mass_across``.
4. *Time* of both, and of the same objective solved to the end.

NeuroX pins versions of 2021; it runs with newer ones if installed without its dependencies
(``pip install --no-deps neurox imbalanced-learn sklearn-compat``). Without it nothing is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from harness import Spent, machine, save, show, timed
from scipy.stats import spearmanr

from synapse_audit import demo
from synapse_audit.data import load_data
from synapse_audit.model import Classifier
from synapse_audit.model.activations import extract
from synapse_audit.neurons import mass_across
from synapse_audit.probes.elastic import solve_elastic
from synapse_audit.probes.paper import BATCH, EPOCHS, PENALTY, fit_published
from synapse_audit.probes.solver import Coefficients

MASSES = (0.05, 0.1, 0.25, 0.5)


class Problem(NamedTuple):
    """Features that are not standardised, and labels."""

    name: str
    features: np.ndarray
    labels: np.ndarray

    @property
    def classes(self) -> int:
        """How many there are."""
        return int(self.labels.max()) + 1


def bundled(rows: int = 1000) -> Problem:
    """All blocks of the bundled classifier."""
    classifier = Classifier.load(demo.bundled_model())
    data = load_data(str(demo.bundled_data()), classes=classifier.classes, max_examples=rows)
    found = extract(classifier, classifier.encode(data.inputs), fit=np.arange(0)).activations
    features = np.concatenate([found.layers[m] for m in found.blocks], axis=1)
    return Problem("bundled", features.astype(np.float32), data.labels)


def bert_base(rows: int = 1000, classes: int = 6) -> Problem:
    """Twelve blocks of 768 neurons, with a class signal in one neuron of eight."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, classes, rows)
    features = generator.normal(size=(rows, 12 * 768)) * generator.gamma(2.0, 0.3, 12 * 768)
    features[:, ::8] += 0.3 * generator.normal(size=(classes, 12 * 96))[labels]
    return Problem("bert-base size, drawn", features.astype(np.float32), labels)


# ---- NeuroX --------------------------------------------------------------------------------------


def neurox_module() -> Any:
    """Its linear probe module, or None."""
    try:
        from neurox.interpretation import linear_probe
    except ImportError as error:
        print(f"NeuroX cannot be imported ({error}); nothing to compare with")
        return None
    return linear_probe


def neurox_probe(module: Any, problem: Problem) -> Any:
    """Its probe at the paper's settings; its printing is swallowed."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return module.train_logistic_regression_probe(
            problem.features,
            problem.labels.astype(np.int64),
            lambda_l1=PENALTY,
            lambda_l2=PENALTY,
            num_epochs=EPOCHS,
            batch_size=BATCH,
            learning_rate=0.001,
        )


@contextlib.contextmanager
def our_start_and_batches(module: Any, problem: Problem, seed: int) -> Iterator[None]:
    """NeuroX's functions with our start and our order; both are put back afterwards."""
    generator = torch.Generator().manual_seed(seed)
    reach = problem.features.shape[1] ** -0.5
    shapes = ((problem.classes, problem.features.shape[1]), (problem.classes,))
    start = [(2 * torch.rand(shape, generator=generator) - 1) * reach for shape in shapes]

    def started(layer: torch.nn.Linear) -> None:
        with torch.no_grad():
            for parameter, values in zip(layer.parameters(), start, strict=True):
                parameter.copy_(values)

    def batches(x: Any, y: Any, batch_size: int) -> Iterator[tuple[Any, Any]]:
        for rows in torch.split(torch.randperm(len(y), generator=generator), batch_size):
            yield x[rows], y[rows]

    linear = torch.nn.Linear
    before = linear.reset_parameters, module.utils.batch_generator
    linear.reset_parameters, module.utils.batch_generator = started, batches  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        linear.reset_parameters, module.utils.batch_generator = before  # type: ignore[method-assign]


def weights_of(probe: Any) -> np.ndarray:
    """(classes, neurons) of a NeuroX probe."""
    return next(iter(probe.parameters())).detach().cpu().numpy().astype(np.float64)


# ---- comparisons ---------------------------------------------------------------------------------


def ranks_agree(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman of Σ_c |W_cj| over all neurons."""
    return float(spearmanr(np.abs(one).sum(axis=0), np.abs(other).sum(axis=0)).statistic)


def mass_sets_differ(module: Any, probe: Any) -> int:
    """Neurons in which the sets by mass differ, over all classes and shares."""
    weights = weights_of(probe)
    names = {str(c): c for c in range(len(weights))}
    differ = 0
    for share in MASSES:
        theirs = module.get_top_neurons(probe, share, names)[1]
        for name, c in names.items():
            ours = mass_across([np.abs(weights[c])], share, [0]).by_layer[0].tolist()
            differ += len(set(ours) ^ set(theirs[name].tolist()))
    return differ


def compare(module: Any, problem: Problem) -> dict[str, Any]:
    """One row of the table."""
    ours, our_time = timed(lambda: _fit(problem, 0))
    other = _fit(problem, 1)
    with our_start_and_batches(module, problem, seed=0):
        same = neurox_probe(module, problem)
    torch.manual_seed(99)  # not ours: from the same seed it would draw the same start
    free, their_time = timed(lambda: neurox_probe(module, problem))
    targets = np.eye(problem.classes)[problem.labels]
    solved, solved_time = timed(
        lambda: solve_elastic(problem.features, targets, penalty=PENALTY, tolerance=1e-2)
    )
    minimum = solved.coefficients.weights
    return {
        "problem": problem.name,
        "neurons": problem.features.shape[1],
        "largest_gap_same_start": float(np.abs(ours.weights - weights_of(same)).max()),
        "spearman_same_start": ranks_agree(ours.weights, weights_of(same)),
        "spearman_as_it_stands": ranks_agree(ours.weights, weights_of(free)),
        "spearman_other_seed": ranks_agree(ours.weights, other.weights),
        "spearman_minimum": ranks_agree(ours.weights, minimum),
        "weights_kept_at_minimum": int((minimum != 0).any(axis=0).sum()),
        "mass_sets_differ": mass_sets_differ(module, same),
        **_times(ours=our_time, neurox=their_time, solved=solved_time),
    }


def _fit(problem: Problem, seed: int) -> Coefficients:
    return fit_published(problem.features, problem.labels, problem.classes, seed=seed)


def _times(**spent: Spent) -> dict[str, float]:
    return {f"{name}_cpu_s": one.cpu for name, one in spent.items()}


def main() -> None:
    """Measures, shows and saves."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, default=1000)
    rows = parser.parse_args().rows
    module, at_start = neurox_module(), machine()
    if module is None:
        return
    results = [compare(module, problem) for problem in (bundled(rows), bert_base(rows))]
    show("The paper's probe against NeuroX", results)
    save("neurox", at_start=at_start, results={"problems": results})


if __name__ == "__main__":
    main()
