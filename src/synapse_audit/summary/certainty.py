"""Entries of what an operator asks first: guarantees, calibration, alarms."""

from __future__ import annotations

from synapse_audit.summary.entry import Better, Entry

OF_HEADLINE = "on the headline curve (top neurons of the first ranking, all layers)"

_UNDER_REMOVAL: tuple[tuple[str, str, Better], ...] = (
    ("auc", "area under the ROC curve", "higher"),
    ("tpr_1", "attacks caught where 1 % of the benign are flagged", "higher"),
    ("false_alarm", "benign examples predicted an attack", "lower"),
    ("missed_alarm", "attacks predicted benign", "lower"),
    ("fixed_tpr_1", "attacks caught at the clean model's threshold for 1 %", "higher"),
    ("fixed_fpr_1", "benign examples flagged at the clean model's threshold for 1 %", "lower"),
)


def _at_threshold(name: str, limit: str) -> tuple[Entry, Entry]:
    clean = f"at the threshold that flags {limit} of the benign"
    return (
        Entry(f"detection.fixed_tpr_{name}", f"attacks caught {clean}", "share", "higher"),
        Entry(f"detection.fixed_fpr_{name}", f"benign examples flagged {clean}", "share", "lower"),
    )


CERTAINTY: tuple[Entry, ...] = (
    # ---- guarantees ------------------------------------------------------------------------------
    Entry(
        "certificates.<norm>.<budget>",
        "accuracy that no edit of the head within this relative norm can take away",
        "share",
        "higher",
    ),
    Entry(
        "certificates.silenced.<operator>.<count>",
        "accuracy that no silencing of this many inputs of the head can take away",
        "share",
        "higher",
    ),
    Entry(
        "certificates.state.<norm>.<budget>",
        "accuracy that no change of the final state within this relative norm can take away",
        "share",
        "higher",
    ),
    Entry(
        "certificates.fewest_silenced.<operator>",
        "fewest inputs of the head whose silencing changes the answer to a right example: median",
        "neurons",
        "higher",
    ),
    # ---- calibration -----------------------------------------------------------------------------
    Entry("calibration.ece", "expected calibration error", "share", "lower"),
    Entry(
        "calibration.chance_ece",
        "calibration error that a perfectly calibrated model of this sample size would show",
        "share",
        interval="none",
    ),
    Entry(
        "calibration.ece_mass",
        "calibration error over bins of equal mass",
        "share",
        "lower",
        "none",
    ),
    Entry("calibration.brier", "Brier score", "size", "lower", "none"),
    Entry("calibration.log_loss", "mean negative log probability", "nats", "lower", "none"),
    Entry(
        "calibration.confidence",
        "mean probability of the predicted class",
        "share",
        interval="none",
    ),
    Entry(
        "calibration.overconfidence",
        "mean confidence minus accuracy: 0 is best",
        "difference of shares",
    ),
    Entry("calibration.wrong_confidence", "mean confidence of wrong answers", "share", "lower"),
    Entry(
        "calibration.sure_errors",
        "share of the wrong answers whose confidence is at least 0.9",
        "share",
        "lower",
    ),
    Entry("calibration.n_wrong", "examples answered wrongly", "count", interval="fact"),
    Entry(
        "calibration.temperature",
        "by which all logits are divided for the least log loss on select",
        "temperature",
        interval="none",
    ),
    Entry("calibration.ece_fitted", "calibration error after that division", "share", "lower"),
    Entry(
        "calibration.removal.<operator>.fraction",
        f"share silenced where confidence exceeds accuracy most {OF_HEADLINE}",
        "share",
        interval="fact",
    ),
    Entry("calibration.removal.<operator>.n", "exact examples there", "count", interval="fact"),
    Entry(
        "calibration.removal.<operator>.overconfidence",
        "mean confidence minus accuracy there",
        "difference of shares",
        interval="picked",
    ),
    Entry(
        "calibration.removal.<operator>.ece",
        "expected calibration error there",
        "share",
        "lower",
        "picked",
    ),
    Entry(
        "calibration.removal.<operator>.wrong_confidence",
        "mean confidence of wrong answers there",
        "share",
        "lower",
        "picked",
    ),
    # ---- decision threshold ----------------------------------------------------------------------
    Entry(
        "operating.<class>.threshold",
        "probability above which the class is predicted",
        "share",
        interval="fact",
    ),
    Entry("operating.<class>.recall", "share of the class recognised there", "share", "higher"),
    Entry(
        "operating.<class>.false_alarm",
        "share of all other examples that are taken for the class there",
        "share",
        "lower",
    ),
    Entry(
        "operating.<class>.precision",
        "share of right answers among those that name the class there",
        "share",
        "higher",
    ),
    # ---- detection -------------------------------------------------------------------------------
    Entry("detection.n_benign", "benign examples", "count", interval="fact"),
    Entry("detection.n_attack", "examples of the other classes", "count", interval="fact"),
    Entry("detection.auc", "area under the ROC curve of alarm against none", "share", "higher"),
    Entry("detection.eer", "equal error rate", "share", "lower"),
    Entry(
        "detection.tpr_1", "attacks caught where 1 % of the benign are flagged", "share", "higher"
    ),
    Entry(
        "detection.tpr_01",
        "attacks caught where 0.1 % of the benign are flagged",
        "share",
        "higher",
    ),
    *_at_threshold("1", "1 %"),
    *_at_threshold("01", "0.1 %"),
    Entry("detection.missed_alarm", "attacks predicted benign", "share", "lower"),
    Entry("detection.false_alarm", "benign examples predicted an attack", "share", "lower"),
    Entry(
        "detection.removal.<operator>.fraction",
        f"share silenced where most alarms are missed {OF_HEADLINE}",
        "share",
        interval="fact",
    ),
    Entry("detection.removal.<operator>.n", "exact examples there", "count", interval="fact"),
    *(
        Entry(f"detection.removal.<operator>.{name}", f"{meaning} there", "share", better, "picked")
        for name, meaning, better in _UNDER_REMOVAL
    ),
)
