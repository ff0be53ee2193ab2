"""Figures of runs with several labels per example."""

from __future__ import annotations

from synapse_audit.summary.entry import Entry

HEADLINE = "(mean silencing, headline ranking, all blocks)"

LABEL_SETS: tuple[Entry, ...] = (
    Entry("labels.micro_f1", "F1 over all pairs of example and label", "share", "higher"),
    Entry("labels.macro_f1", "mean of the labels' F1", "share", "higher"),
    Entry("labels.sample_f1", "mean over examples of the F1 of its labels", "share", "higher"),
    Entry("labels.subset_accuracy", "examples whose whole set is right", "share", "higher"),
    Entry("labels.hamming_loss", "pairs of example and label decided wrongly", "share", "lower"),
    Entry(
        "labels.auc",
        "mean over labels of the chance that an example with it scores above one without",
        "share",
        "higher",
    ),
    Entry("labels.best", "F1 of the label of the highest", "share", "higher", "picked"),
    Entry("labels.worst", "F1 of the label of the lowest", "share", "higher", "picked"),
    Entry("labels.f1.<label>", "F1 of the label", "share", "higher"),
    Entry(
        "labels.gap.<label>",
        "mean probability of the label minus the share of examples that have it",
        "difference of shares",
    ),
    Entry(
        "label_removal.plateau",
        "largest share of neurons whose mean silencing costs at most 2 points of micro F1, at this "
        "and every smaller share tried",
        "share",
        "higher",
    ),
    Entry(
        "label_removal.half_point",
        "share of neurons whose mean silencing takes half of the micro F1 above that of the best "
        "constant answer: known between two shares that were tried, which the interval holds",
        "share",
        "higher",
    ),
    Entry(
        "label_removal.costliest_layer",
        "micro F1 lost with the top neurons of the costliest single layer silenced",
        "difference of shares",
        "lower",
        "picked",
    ),
    Entry(
        "label_removal.micro_f1.<share>",
        f"micro F1 with this share of neurons silenced {HEADLINE}",
        "share",
        "higher",
    ),
    Entry(
        "label_removal.hamming_loss.<share>",
        f"Hamming loss with this share of neurons silenced {HEADLINE}",
        "share",
        "lower",
    ),
    Entry(
        "label_fragility.most_fragile",
        "F1 lost by the label that loses most, mean over the headline curve; null where several "
        "are indistinguishable",
        "difference of shares",
        "lower",
        "none",
    ),
    Entry(
        "label_fragility.least_fragile",
        "F1 lost by the label that loses least; null where several are indistinguishable",
        "difference of shares",
        "lower",
        "none",
    ),
    Entry(
        "label_fragility.gap",
        "F1 lost by the most fragile label minus that of the least fragile one",
        "difference of shares",
        "lower",
        "picked",
    ),
    Entry(
        "label_fragility.fragility.<label>",
        "F1 that the label loses, mean over the headline curve",
        "difference of shares",
        "lower",
    ),
    Entry(
        "label_fragility.own",
        "labels that lose more F1 to the neurons ranked for them than to one more random set, each "
        "at 95 %",
        "count",
        "neither",
        "none",
    ),
    Entry(
        "switching.on",
        "smallest push of a label's row that gives it to half of the examples said not to have it, "
        "over all labels",
        "relative norm",
        "higher",
        "picked",
    ),
    Entry(
        "switching.off",
        "smallest push of a label's row that takes it away from half of the examples said to have "
        "it, over all labels",
        "relative norm",
        "higher",
        "picked",
    ),
    Entry(
        "label_certificates.l2.<label>",
        "right decisions on the label that stay under every edit of its row whose norm is a tenth "
        "of the row's, or that beside the figure",
        "share",
        "higher",
    ),
    Entry(
        "label_certificates.on.<label>",
        "of the examples rightly said to have the label, those that keep it under every edit of "
        "its row whose norm is a tenth of the row's, or that beside the figure",
        "share",
        "higher",
    ),
)
