"""What two or more audits say beside each other, from their saved folders alone.

| file | content |
|---|---|
| comparable | which runs may be compared in what, and why not in the rest |
| answers, paired, swapping | changes on the same examples, with intervals and tests |
| unpaired | differences of figures that are not paired |
"""

from synapse_audit.compare.answers import Answers
from synapse_audit.compare.comparable import Comparable, comparable
from synapse_audit.compare.paired import Change, changes, flips
from synapse_audit.compare.saved_answers import answers
from synapse_audit.compare.unpaired import difference

__all__ = [
    "Answers",
    "Change",
    "Comparable",
    "answers",
    "changes",
    "comparable",
    "difference",
    "flips",
]
