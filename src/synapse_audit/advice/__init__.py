"""What to do about the findings: one recommendation per rule that fires, with its measured gain.

In: the summary, the findings' tables, and a guard's evaluation where there is one. Out:
recommendations for report, ``summary.json`` and terminal. A new rule is one function and one line
of ``RULES``.
"""

from synapse_audit.advice.recommendation import Recommendation, Saved, as_summary, as_table
from synapse_audit.advice.rules import RULES

__all__ = ["RULES", "Recommendation", "Saved", "advise", "as_summary", "as_table"]


def advise(saved: Saved) -> list[Recommendation]:
    """Every recommendation whose finding is shown, in the order of ``RULES``."""
    found = (rule(saved) for rule in RULES.values())
    return [one for one in found if one is not None]
