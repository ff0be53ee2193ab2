"""Which figures speak to which clause, and what no figure here says anything about.

A table for a reader who knows the documents. What a clause asks is paraphrased; figures are
evidence toward it, never proof that it is met.
"""

from __future__ import annotations

from typing import NamedTuple


class Clause(NamedTuple):
    """One thing that a document asks about."""

    document: str
    asks: str
    figures: tuple[str, ...]
    """Paths of entries; empty = not covered."""
    limits: str
    """What the figures do not say."""


CLAUSES: tuple[Clause, ...] = (
    Clause(
        "ISO/IEC 24029 (robustness of neural networks)",
        "robustness as the loss of performance under changes of the network",
        ("redundancy.plateau", "redundancy.half_point", "silenced.accuracy.<share>"),
        "changes are those of internal neurons, not of the operating environment",
    ),
    Clause(
        "ISO/IEC 24029 (robustness of neural networks)",
        "response to targeted perturbations",
        ("vulnerability.<class>.redirect.<budget>", "inputs.<attack>.drop.<strength>"),
        "input attacks need the preset standard; adaptive attackers are not modelled",
    ),
    Clause(
        "ISO/IEC 24029-2 (formal methods)",
        "guaranteed stability within a domain",
        ("certificates.<norm>.<budget>", "certificates.silenced.<operator>.<count>"),
        "guarantees are for edits of the head and its input alone, not for inputs of the model",
    ),
    Clause(
        "ISO/IEC 24029-2 (formal methods)",
        "relevance and reachability properties",
        (),
        "no figure speaks to them",
    ),
    Clause(
        "AI Act, Article 15(4)",
        "resilience to errors and faults inside the system",
        ("faults.halving_bits.<format>", "redundancy.plateau", "silenced.recall.<class>.<share>"),
        "bit flips need the preset standard; faults of hardware and pipeline are not covered",
    ),
    Clause(
        "AI Act, Article 15(4)",
        "technical redundancy, backup and fail-safe plans",
        (),
        "redundant neurons are not a technical redundancy solution",
    ),
    Clause(
        "AI Act, Article 15(4)",
        "feedback loops of systems that learn after deployment",
        (),
        "one fixed model is audited",
    ),
    Clause(
        "AI Act, Article 15(5)",
        "resilience against manipulation of the model",
        ("vulnerability.<class>.redirect.<budget>", "certificates.<norm>.<budget>"),
        "what an edit of the head can do, not who could make one",
    ),
    Clause(
        "AI Act, Article 15(5)",
        "adversarial examples",
        ("inputs.<attack>.drop.<strength>", "inputs.<attack>.changes_half"),
        "attacks on embeddings and deletions; no search over texts",
    ),
    Clause("AI Act, Article 15(5)", "data poisoning", (), "training data are not examined"),
    Clause("AI Act, Article 15(5)", "confidentiality attacks", (), "not examined"),
    Clause(
        "NIST AI RMF, MEASURE 2.6 (safety)",
        "reliability, and how the system fails",
        (
            *("clean.accuracy", "clean.recall.<class>", "calibration.ece"),
            *("calibration.sure_errors", "detection.missed_alarm"),
        ),
        "risk tolerance, residual risk and monitoring in operation are the user's",
    ),
    Clause(
        "NIST AI RMF, MEASURE 2.7 (security and resilience)",
        "evaluated resilience against tampering and evasion",
        (
            *("vulnerability.<class>.redirect.<budget>", "certificates.<norm>.<budget>"),
            "inputs.<attack>.drop.<strength>",
        ),
        "access control, supply chain and incident response are not covered",
    ),
)
"""In the order of the documents."""
