"""Whether the parts of a guard fit together: shapes, types and numbers, whoever wrote them.

In: a guard as it was read. Out: the same guard, or a ValueError that says what does not fit.
"""

from __future__ import annotations

import numpy as np

from synapse_audit.guard.parts import SCORES, Guard


def checked(guard: Guard) -> Guard:
    """The guard itself.

    Raises:
        ValueError: shapes, types or numbers do not fit each other.
    """
    _check_vote(guard)
    _check_ranges(guard)
    _check_detector(guard)
    _check_other(guard)
    _check_canaries(guard)
    need(guard.check_every >= 0, "a negative count")
    return guard


def _check_vote(guard: Guard) -> None:
    """The heads: also how many inputs they read."""
    classes, voter = len(guard.classes), guard.vote.voter
    need(voter.ndim == 1 and voter.dtype.kind == "i", "voters that are no numbers")
    need(bool(((voter >= 0) & (voter < guard.vote.n_voters)).all()), "voter")
    for head in (guard.hardened.weight, guard.vote.weight):
        _shape(head, (classes, len(voter)))
    _shape(guard.hardened.bias, (classes,))
    _shape(guard.hardened.centre, (len(voter),))
    _shape(guard.vote.bias, (guard.vote.n_voters, classes))


def _check_ranges(guard: Guard) -> None:
    classes, ranges = len(guard.classes), guard.ranges
    widths = [len(low) for low in ranges.low]
    need(len(widths) >= 2 and widths[-1] == len(guard.vote.voter), "places")
    for i, width in enumerate(widths):
        _check_range(ranges.low[i], ranges.high[i], (width,))
        if ranges.class_low:
            _check_range(ranges.class_low[i], ranges.class_high[i], (classes, width))


def _check_range(low: np.ndarray, high: np.ndarray, shape: tuple[int, ...]) -> None:
    _shape(low, shape)
    _shape(high, shape)
    need(bool((low <= high).all()), "a range that ends before it begins")


def _check_detector(guard: Guard) -> None:
    detector, widths = guard.detector, [len(low) for low in guard.ranges.low]
    for scorer, width in zip(detector.scorers, widths, strict=True):
        _shape(scorer.whitening, (width, width))
        _shape(scorer.spread, (width,), finite=False)
        need(bool((scorer.spread > 0).all()), "a spread that is not positive")
        _shape(scorer.unit, (width,), finite=False)
        need(bool((scorer.unit > 0).all()), "a unit that is not positive")
        need(bool((scorer.unit <= scorer.spread).all()), "a unit larger than the spread")
        _shape(scorer.centres, (len(scorer.centres), width))
        _shape(scorer.bank, (len(scorer.bank), width))
        need(len(scorer.bank) > 0 and len(scorer.centres) > 0, "a detector without states")
    sizes = {(len(scorer.bank), len(scorer.centres)) for scorer in detector.scorers}
    need(len(sizes) == 1, "detectors of several sizes")
    for array in (detector.centre, detector.scale):
        _shape(array, (len(widths), len(SCORES)))
    _shape(detector.tail, (len(SCORES),))
    need(bool((detector.scale > 0).all()), "a scale that is not positive")
    need(bool((detector.tail > 0).all()), "a tail that is not positive")
    _shape(detector.calibration, (len(detector.calibration),))
    need(len(detector.calibration) > 0, "no calibration, so that nothing would ever alarm")
    need(bool((np.diff(detector.calibration) >= 0).all()), "calibration out of order")
    need(0 < detector.false_alarm_rate < 1, "a false-alarm rate outside 0 to 1")
    need(detector.neighbours > 0, "a negative count")


def _check_other(guard: Guard) -> None:
    """What another package's detector is fitted on again."""
    other, widths = guard.other, [len(low) for low in guard.ranges.low]
    if other is None:
        return
    n = len(other.predicted)
    need(other.predicted.ndim == 1 and other.predicted.dtype == np.int64, "classes")
    inside = (other.predicted >= 0) & (other.predicted < len(guard.classes))
    need(n > 0 and bool(inside.all()), "classes of states that there are not")
    for fit, select, width in zip(other.fit, other.select, widths, strict=True):
        _shape(fit, (n, width))
        _shape(select, (len(guard.detector.calibration), width))


def _check_canaries(guard: Guard) -> None:
    canaries = guard.canaries
    need(0 < canaries.tolerance < np.inf, "a tolerance that is no positive number")
    need(len(canaries.logits) > 0, "no canaries")
    _shape(canaries.logits, (len(canaries.logits), len(guard.classes)))
    for ids in canaries.inputs.values():
        need(ids.ndim == 2 and ids.dtype.kind == "i", "canaries that are no token numbers")
        need(len(ids) == len(canaries.logits) and bool((ids >= 0).all()), "canaries")


def _shape(array: np.ndarray, wanted: tuple[int, ...], *, finite: bool = True) -> None:
    need(array.dtype == np.float32, f"type {array.dtype} where float32 is stored")
    need(array.shape == wanted, f"shape {array.shape} where {wanted} fits")
    need(not finite or bool(np.isfinite(array).all()), "a value that is no finite number")


def need(holds: bool, what: str) -> None:
    """Raises ValueError where something does not hold."""
    if not holds:
        raise ValueError(what)
