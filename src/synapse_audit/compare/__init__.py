"""What two or more audits say beside each other, from their saved folders alone.

| file | content |
|---|---|
| comparable | what runs have in common, and what is not compared for that reason |
| answers, paired, swapping | changes on the same examples, with intervals and tests |
| per_example, joint | other figures as sums over examples, resampled and swapped together |
| unpaired | differences where examples are not the same or not stored |
| figures | rows of figures, paired where they can be |
| comparison | all of it for several runs |
| sentences, figure_sentences, tables, texts, page | the same for readers and programs |
"""

from synapse_audit.compare.answers import Answers
from synapse_audit.compare.comparable import Comparable, comparable
from synapse_audit.compare.comparison import Comparison, compare
from synapse_audit.compare.page import page
from synapse_audit.compare.paired import Change, Flips, changes, flips
from synapse_audit.compare.saved_answers import answers
from synapse_audit.compare.sentences import sentences
from synapse_audit.compare.texts import as_json, markdown
from synapse_audit.compare.unpaired import difference

__all__ = [
    "Answers",
    "Change",
    "Comparable",
    "Comparison",
    "Flips",
    "answers",
    "as_json",
    "changes",
    "comparable",
    "compare",
    "difference",
    "flips",
    "markdown",
    "page",
    "sentences",
]
