"""Every figure of ``summary.json``: what it means, in which unit, and which way is better.

One entry each; ``<class>`` and the like stand for names that differ between runs. The JSON schema,
the docs, policies and comparisons are made from this table.
"""

from __future__ import annotations

from synapse_audit.summary.certainty import CERTAINTY, OF_HEADLINE
from synapse_audit.summary.entry import Entry
from synapse_audit.summary.faults_and_inputs import FAULTS_AND_INPUTS
from synapse_audit.summary.label_sets import LABEL_SETS
from synapse_audit.summary.slices import SLICES
from synapse_audit.summary.units import UNITS

SCHEMA = 3
"""Number of the layout of ``summary.json``; 1 had no number."""

CHOICES = {
    "asymmetry.most_fragile": "class that loses most recall while neurons are silenced",
    "asymmetry.least_fragile": "class that loses least recall while neurons are silenced",
}
"""Answers that are names."""

CATALOGUE: tuple[Entry, ...] = (
    # ---- clean -----------------------------------------------------------------------------------
    Entry("clean.accuracy", "accuracy of the untouched model", "share", "higher"),
    Entry("clean.macro_f1", "mean of the classes' F1 of the untouched model", "share", "higher"),
    Entry(
        "clean.margin",
        "mean over examples of the true class's logit minus the largest other logit",
        "logits",
        "higher",
    ),
    Entry("clean.recall.<class>", "share of the class that is recognised", "share", "higher"),
    Entry(
        "clean.precision.<class>",
        "share of right answers among those that name the class",
        "share",
        "higher",
    ),
    Entry(
        "silenced.accuracy.<share>",
        f"accuracy with this share of neurons silenced {OF_HEADLINE}",
        "share",
        "higher",
    ),
    Entry(
        "silenced.recall.<class>.<share>",
        f"recall of the class with this share of neurons silenced {OF_HEADLINE}",
        "share",
        "higher",
    ),
    # ---- redundancy ------------------------------------------------------------------------------
    Entry(
        "redundancy.plateau",
        "largest share of neurons whose mean silencing costs at most 2 points of accuracy, at this "
        "and every smaller share tried",
        "share",
        "higher",
    ),
    Entry(
        "redundancy.half_point",
        "share of neurons whose mean silencing takes half of the accuracy above chance: known "
        "between two shares that were tried, which the interval holds",
        "share",
        "higher",
    ),
    Entry(
        "redundancy.sufficient_k",
        "fewest neurons found on which a probe is within a point of the probe on all; range over "
        "resamples of select",
        "neurons",
    ),
    Entry("redundancy.sufficient_k.accuracy", "accuracy of the probe on those neurons", "share"),
    Entry(
        "redundancy.sufficient_k.random",
        "accuracy of probes on as many random neurons: mean of the draws, band of one more",
        "share",
        interval="none",
    ),
    Entry(
        "redundancy.costliest_layer",
        "accuracy lost with the top neurons of the costliest single layer silenced",
        "difference of shares",
        "lower",
        "picked",
    ),
    Entry(
        "redundancy.disjoint_sets",
        "sets without a common neuron that each suffice for a probe on evaluate: a lower bound",
        "count",
        "higher",
        "none",
    ),
    Entry("redundancy.chance", "accuracy of the best constant prediction", "share"),
    # ---- pathways and sites ----------------------------------------------------------------------
    Entry(
        "pathways.<operator>.largest_indirect",
        f"largest accuracy lost through other tokens {OF_HEADLINE}",
        "difference of shares",
        interval="picked",
    ),
    Entry(
        "pathways.<operator>.largest_disagreement",
        f"largest share of examples on which the stream and the exact route differ {OF_HEADLINE}",
        "share",
        interval="picked",
    ),
    Entry(
        "sites.<site>.largest_drop",
        "accuracy lost with the costliest single sublayer silenced",
        "difference of shares",
        "lower",
        "picked",
    ),
    *UNITS,
    Entry(
        "steering.<operator>.redirect",
        "share redirected to the easiest target by moving neurons toward it",
        "share",
        "lower",
        "picked",
    ),
    Entry(
        "steering.<operator>.random",
        "the same with random neurons: mean over draws",
        "share",
        interval="none",
    ),
    Entry(
        "given.<site>.<operator>.drop",
        "accuracy lost with the neurons of --neurons silenced",
        "difference of shares",
        "lower",
    ),
    Entry(
        "given.<site>.<operator>.random",
        "the same with as many random neurons: mean of the draws, band of one more",
        "difference of shares",
        interval="none",
    ),
    # ---- classes ---------------------------------------------------------------------------------
    Entry(
        "asymmetry.gap",
        "recall lost by the most fragile class minus that of the least fragile",
        "difference of shares",
        "lower",
        "picked",
    ),
    Entry(
        "asymmetry.fragility.<class>",
        "recall that the class loses, mean over the shares silenced of the headline curve",
        "difference of shares",
        "lower",
    ),
    Entry(
        "asymmetry.fraction",
        "share of neurons silenced for the per-class figures",
        "share",
        interval="fact",
    ),
    # ---- targeted edits --------------------------------------------------------------------------
    Entry(
        "vulnerability.<class>.redirect.<budget>",
        "share of the other examples sent to this class by an edit of the head's weights whose "
        "norm is this share of theirs",
        "share",
        "lower",
    ),
    Entry(
        "vulnerability.<class>.collateral.<budget>",
        "share of right examples outside this class that the same edit makes wrong",
        "share",
        "lower",
    ),
    Entry(
        "vulnerability.<class>.columns",
        "share of the head's inputs that those edits may use",
        "share",
        interval="fact",
    ),
    Entry(
        "vulnerability.<class>.constants.<share>",
        "constant on this class's logit that redirects 10, 50 or 90 % of the other examples",
        "logits",
        "higher",
    ),
    Entry(
        "head_edit",
        "smallest edit of the head found that redirects half of the other examples to some class; "
        "low: the largest size with which none can, toward any class",
        "relative norm",
        "higher",
        "picked",
    ),
    Entry(
        "head_edit.rate",
        "share of the other examples that this edit redirects",
        "share",
        "lower",
        "picked",
    ),
    Entry(
        "weakest.<space>.halves",
        "smallest size tried, in this space, that takes half of the accuracy above chance",
        "size",
        "higher",
        "picked",
    ),
    Entry(
        "weakest.<space>.redirects",
        "smallest size tried, in this space, that redirects half of the others to some class",
        "size",
        "higher",
        "picked",
    ),
    Entry(
        "weakest.<space>.largest_drop",
        "largest accuracy lost to an experiment of this space",
        "difference of shares",
        "lower",
        "picked",
    ),
    Entry(
        "weakest.<space>.missed",
        "most attacks predicted benign under an experiment of this space",
        "share",
        "lower",
        "picked",
    ),
    Entry(
        "profile.reach.<class>.<space>.<share>",
        "smallest size tried, in this space, that redirects 10 or 50 % to this class; high: that "
        "surely does",
        "size",
        "higher",
        "picked",
    ),
    Entry(
        "profile.agreement.<role>.<spaces>",
        "rank correlation over classes of how weak they are in two spaces",
        "correlation",
    ),
    # ---- rankings --------------------------------------------------------------------------------
    Entry(
        "agreement.spearman",
        "rank correlation of two rankings: mean over pairs and blocks",
        "correlation",
        interval="none",
    ),
    Entry("agreement.closest", "the pair that agrees most", "correlation", interval="picked"),
    Entry("agreement.furthest", "the pair that agrees least", "correlation", interval="picked"),
    Entry(
        "agreement.most_agreed",
        "share of votes for the top neurons of the ranking most agreed with",
        "share",
        interval="picked",
    ),
    Entry(
        "agreement.most_effective",
        "accuracy lost beyond random sets by the top neurons of the ranking that costs most",
        "difference of shares",
        interval="picked",
    ),
    Entry(
        "agreement.steadiest",
        "overlap with itself over resamples of fit: the steadiest ranking",
        "share",
        interval="picked",
    ),
    Entry(
        "agreement.least_steady",
        "overlap with itself over resamples of fit: the least steady ranking",
        "share",
        interval="picked",
    ),
    Entry(
        "agreement.readable_used",
        "rank correlation of what is readable and what is used",
        "correlation",
        interval="none",
    ),
    Entry(
        "agreement.dissociated.<kind>",
        "accuracy lost beyond random sets by neurons that only one kind of ranking names",
        "difference of shares",
    ),
    *FAULTS_AND_INPUTS,
    # ---- the paper's experiments -----------------------------------------------------------------
    Entry("paper.clean", "weighted F1 of the untouched model", "share", "higher"),
    Entry(
        "paper.<operator>.plateau",
        "largest share silenced in the paper's order at a loss of at most 2 points",
        "share",
        "higher",
    ),
    Entry(
        "paper.<operator>.half_point",
        "share silenced in the paper's order at which half of the accuracy above chance is gone",
        "share",
        "higher",
    ),
    Entry("paper.<operator>.f1_at_half", "weighted F1 with half silenced", "share", "higher"),
    Entry(
        "paper.<operator>.random_f1_at_half",
        "weighted F1 with a random half silenced: mean of the draws, band of one more",
        "share",
        interval="none",
    ),
    Entry(
        "paper.<operator>.z_matched",
        "drop of the ranked half minus the mean of random sets with as many neurons in each layer, "
        "over their standard deviation",
        "standard deviations",
        interval="none",
    ),
    Entry(
        "paper.<operator>.z_published",
        "the same beside random sets drawn over all blocks together, the authors' own control",
        "standard deviations",
        interval="none",
    ),
    Entry(
        "paper.last_blocks",
        "share of the top 2.5 % of the paper's ranking in the last three blocks",
        "share",
        interval="fact",
    ),
    Entry(
        "paper.class_sets.<end>",
        "weighted F1 with the half ranked for one class set to 0: the class with the least and "
        "the one with the most",
        "share",
        "higher",
        "picked",
    ),
    Entry(
        "paper.exclusive",
        "largest accuracy lost with a tenth of one class's weight mass, its alone, set to 0",
        "difference of shares",
        "lower",
        "picked",
    ),
    Entry(
        "paper.redirects.<space>",
        "share redirected by the published head push, or logit constant, that redirects most",
        "share",
        "lower",
        "picked",
    ),
    *CERTAINTY,
    *SLICES,
    *LABEL_SETS,
)
"""Every figure, in the order of the summary."""
