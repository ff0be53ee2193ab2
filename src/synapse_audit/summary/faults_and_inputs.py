"""The catalogue's entries of faults, of attacks on the input and of membership."""

from __future__ import annotations

from synapse_audit.summary.entry import Entry

FAULTS_AND_INPUTS: tuple[Entry, ...] = (
    Entry(
        "faults.halving_bits.<format>",
        "fewest searched bit flips of the head that take half of the accuracy above chance; high: "
        "that surely do",
        "bits",
        "higher",
        "picked",
    ),
    Entry(
        "faults.paper_push",
        "share redirected by the paper's setting of the head push that redirects most",
        "share",
        "lower",
        "picked",
    ),
    Entry(
        "fault_rate.all.<share>",
        "chance that one random bit flip, anywhere in the model, changes more than this share of "
        "the predictions or makes a logit no number; 95 % over which bits were drawn",
        "share",
        "lower",
    ),
    Entry(
        "fault_rate.part.<part>.<share>",
        "the same for a bit of one kind of tensor",
        "share",
        "lower",
    ),
    Entry(
        "fault_rate.bit_kind.<kind>.<share>",
        "the same for one kind of bit",
        "share",
        "lower",
    ),
    Entry(
        "inputs.<attack>.drop.<strength>",
        "accuracy lost under this attack on the input at this strength",
        "difference of shares",
        "lower",
    ),
    Entry(
        "inputs.<attack>.changes_half",
        "smallest strength tried that changes half of the predictions; high: that surely does",
        "size",
        "higher",
        "picked",
    ),
    Entry(
        "inputs.aimed",
        "share redirected by the attack on the input, aimed at one class, that redirects most",
        "share",
        "lower",
        "picked",
    ),
    Entry(
        "typed.any",
        "share of right examples that some kind of typed edit of up to 16 words evades, chosen or "
        "random",
        "share",
        "lower",
    ),
    Entry("typed.class.<class>", "the same of one class", "share", "lower"),
    Entry("typed.attack.<attack>", "the same by one kind of typed edit", "share", "lower"),
    Entry(
        "typed.random.<attack>",
        "the same by random edits of that kind (truncate: of words deleted) and as large",
        "share",
    ),
    Entry(
        "typed.worst",
        "share evaded by the kind of typed edit that succeeds most",
        "share",
        "lower",
        "picked",
    ),
    Entry(
        "typed.worst_class",
        "share of one class evaded by one kind of typed edit, where that is largest",
        "share",
        "lower",
        "picked",
    ),
    Entry(
        "membership.auc.<reads>",
        "chance that a training row scores above a held-out one, by an attacker that reads this "
        "layer, the loss or the inputs alone",
        "share",
        "lower",
    ),
    Entry(
        "membership.tpr.<reads>",
        "share of training rows flagged where 1 % of the held-out ones are",
        "share",
        "lower",
    ),
    Entry(
        "membership.worst",
        "largest of these chances over the layers",
        "share",
        "lower",
        "picked",
    ),
    Entry(
        "membership.silenced_auc.<share>",
        "the same of the last layer with this share of the most telling neurons of every block "
        "silenced and the attacker fitted again",
        "share",
        "lower",
    ),
    Entry(
        "membership.silenced_random.<share>",
        "the same with as many random neurons: mean of the draws, band of one more",
        "share",
        interval="none",
    ),
    Entry(
        "membership.silenced_accuracy.<share>",
        "accuracy on held-out rows with the telling neurons silenced",
        "share",
        "higher",
    ),
)
