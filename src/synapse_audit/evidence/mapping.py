"""Which figures speak to which clause, and what no figure here says anything about.

A table for a reader who knows the documents. What a clause asks is paraphrased, and the output says
so; figures are evidence toward it, never proof that it is met.
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


PARAPHRASED = (
    "What a document asks is paraphrased here in a few words; only the document itself says what "
    "it asks. Paragraphs and terms were compared with public copies of the AI Act and of the NIST "
    "AI RMF 1.0; of the ISO/IEC documents only contents and summaries are public."
)
"""Stands above the table wherever it is shown."""

STATISTICAL = "ISO/IEC DIS 24029-3 (robustness of neural networks, statistical methods; a draft)"
FORMAL = "ISO/IEC 24029-2:2023 (robustness of neural networks, formal methods)"

CLAUSES: tuple[Clause, ...] = (
    Clause(
        STATISTICAL,
        "robustness as a drop of performance",
        ("redundancy.plateau", "redundancy.half_point", "silenced.accuracy.<share>"),
        "changes are those of internal neurons, not of the operating environment",
    ),
    Clause(
        STATISTICAL,
        "targeted assessment of the response to a perturbation",
        ("vulnerability.<class>.redirect.<budget>", "inputs.<attack>.drop.<strength>"),
        "input attacks need the preset standard; adaptive attackers are not modelled",
    ),
    Clause(
        STATISTICAL,
        "separability, statistical reliability, curvature",
        (),
        "margins of the logits are measured, none of these as the draft names them",
    ),
    Clause(
        FORMAL,
        "stability within a domain, proved",
        ("certificates.<norm>.<budget>", "certificates.silenced.<operator>.<count>"),
        "guarantees are for edits of the head and its input alone, not for inputs of the model",
    ),
    Clause(FORMAL, "sensitivity, relevance, reachability", (), "no figure speaks to them"),
    Clause(
        "AI Act, Article 15(4)",
        "resilience to errors, faults and inconsistencies within the system",
        ("faults.halving_bits.<format>", "redundancy.plateau", "silenced.recall.<class>.<share>"),
        "bit flips need the preset standard; faults of hardware and pipeline are not covered",
    ),
    Clause(
        "AI Act, Article 15(4)",
        "the same in the environment, in particular with persons and other systems",
        (),
        "one model is audited on one file; --slice-columns shows parts of that file",
    ),
    Clause(
        "AI Act, Article 15(4)",
        "technical redundancy, such as backup or fail-safe plans",
        (),
        "redundant neurons are not a technical redundancy solution",
    ),
    Clause(
        "AI Act, Article 15(4)",
        "feedback loops of systems that go on learning in service",
        (),
        "one fixed model is audited",
    ),
    Clause(
        "AI Act, Article 15(5)",
        "third parties that alter use, outputs or performance through vulnerabilities",
        ("vulnerability.<class>.redirect.<budget>", "certificates.<norm>.<budget>"),
        "what an edit of the head can do, not who could make one",
    ),
    Clause(
        "AI Act, Article 15(5)",
        "adversarial examples, model evasion",
        (
            *("inputs.<attack>.drop.<strength>", "inputs.<attack>.changes_half"),
            *("typed.any", "typed.attack.<attack>"),
        ),
        "attacks on embeddings and deletions need the preset standard, typed edits --attack text; "
        "the search over texts is greedy, so a stronger one may find more",
    ),
    Clause(
        "AI Act, Article 15(5)",
        "poisoning of training data or of components trained before",
        (),
        "neither training data nor the origin of weights is examined",
    ),
    Clause(
        "AI Act, Article 15(5)",
        "attacks on confidentiality",
        ("membership.auc.<reads>", "membership.worst"),
        "only whether rows were trained on, with --membership; nothing that recovers their content",
    ),
    Clause(
        "NIST AI RMF 1.0, MEASURE 2.6",
        "safety: residual risk within tolerance, failing safely; metrics that reflect reliability "
        "and robustness",
        (
            *("clean.accuracy", "clean.recall.<class>", "calibration.ece"),
            *("calibration.sure_errors", "detection.missed_alarm"),
        ),
        "risk tolerance, residual risk, fail-safe behaviour, monitoring and response times are the "
        "user's",
    ),
    Clause(
        "NIST AI RMF 1.0, MEASURE 2.7",
        "security and resilience, as identified when risks were mapped, evaluated and documented",
        (
            *("vulnerability.<class>.redirect.<budget>", "certificates.<norm>.<budget>"),
            "inputs.<attack>.drop.<strength>",
        ),
        "access control, supply chain and incident response are not covered",
    ),
)
"""In the order of the documents."""
