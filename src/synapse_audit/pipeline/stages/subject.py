"""What an audit starts from: names that exist, the classifier, the labelled data."""

from __future__ import annotations

from dataclasses import replace

from synapse_audit.artifacts import LabelledData
from synapse_audit.config import AuditConfig
from synapse_audit.data import OneOf, load_data, split, split_weights
from synapse_audit.errors import UsageError, choices
from synapse_audit.extending import extensions
from synapse_audit.guard.audited import guarded_classifier
from synapse_audit.interventions.edits import FORMATS
from synapse_audit.interventions.operators import AIMED, OPERATORS
from synapse_audit.model import (
    SITES,
    Classifier,
    InputFormat,
    Window,
    open_classifier,
    vocabulary_size,
)
from synapse_audit.pipeline.stages.directions import METHODS
from synapse_audit.pipeline.stages.run import Subject
from synapse_audit.pipeline.stages.several import for_several
from synapse_audit.pipeline.stages.tokenizer_check import check_tokenizer
from synapse_audit.pipeline.stages.windows import by_window
from synapse_audit.plan import TRIMMED_FIRST, check_classes
from synapse_audit.plan.inputs import BUILDERS
from synapse_audit.plan.weights import WEIGHT_CELLS
from synapse_audit.rankings import RANKINGS
from synapse_audit.sweep.executors import check as check_engine


def check_names(config: AuditConfig) -> None:
    """Refuses operators, rankings and engines that cannot be had, before anything is computed.

    Raises:
        UsageError: the message names the choices.
    """
    check_engine(config)
    for kind, names, table in (
        ("operator", config.grid.operators, OPERATORS),
        ("ranking", (*config.grid.rankings, *config.grid.compared), RANKINGS),
        ("operator", config.grid.other_operators, OPERATORS),
        ("site", config.grid.sites, SITES[1:]),
        ("direction", config.grid.directions, METHODS),
        ("edit", config.grid.edits, WEIGHT_CELLS),
        ("attack", config.grid.attacks, BUILDERS),
        ("bit format", config.grid.bit_formats, FORMATS),
        ("experiments to leave out", config.grid.without, TRIMMED_FIRST),
    ):
        unknown = [name for name in names if name not in table]
        if unknown:
            raise UsageError(f"{kind} '{unknown[0]}' given; {choices(unknown[0], table)}")
    added = extensions()
    if added and config.engine != "local":
        raise UsageError(
            f"engine '{config.engine}' given with {', '.join(added)} of your own, which its "
            "workers do not have; expected engine local"
        )
    if config.stride is not None and config.window is None:
        raise UsageError(f"stride {config.stride} given without a window; expected both or neither")
    aimed = [name for name in config.grid.operators if name in AIMED]
    if aimed:
        raise UsageError(
            f"operators: '{aimed[0]}' given, which needs a class to aim at; expected it in "
            "other_operators, which are run toward every class"
        )


def benign_index(name: str | None, classifier: Classifier) -> int | None:
    """Output index of the class that means no alarm; None where none is named.

    Raises:
        UsageError: the classifier has no such class.
    """
    if name is None:
        return None
    if name not in classifier.classes:
        raise UsageError(f"benign class '{name}' given; {choices(name, classifier.classes)}")
    return classifier.classes.index(name)


def read_subject(config: AuditConfig) -> Subject:
    """The classifier, its labelled data, and who is in which split.

    Raises:
        ModelError, DataError, UsageError: the message is one line.
    """
    classifier = read_classifier(config)
    if not any(classifier.decision.unnamed):  # else the labels may name them
        check_named_classes(config, classifier)  # before the data is read
    if classifier.decision.several:
        for_several(config)  # refuses what does not carry over
    rows = read_data(config, classifier)
    classifier = check_named_classes(config, replace(classifier, classes=rows.classes))
    return subject_of(classifier, rows, seed=config.seed, benign=config.benign)


def check_named_classes(config: AuditConfig, classifier: Classifier) -> Classifier:
    """The classifier at its thresholds, once every class that options name is known to exist.

    Raises:
        UsageError: one of them does not exist, or a threshold is none.
    """
    benign_index(config.benign, classifier)
    return classifier.at_threshold(config.threshold)


def subject_of(
    classifier: Classifier, rows: LabelledData, *, seed: int = 0, benign: str | None = None
) -> Subject:
    """A classifier on labelled data that are both in memory, for ``audit(subject=...)``.

    Args:
        rows: from :func:`load_data` with the classifier's own classes, or put together by hand.
        seed: of the splits; that of the configuration.
        benign: the class that means no alarm, as in the configuration.

    Raises:
        UsageError: data of other classes than the classifier's, or of another order.
        DataError: too few rows of a class.
    """
    check_classes(classifier, rows.classes)
    _check_sets(classifier, rows)
    read = classifier.encode(rows.inputs)
    check = check_tokenizer(rows.inputs, read)
    data, encoded = by_window(rows, read)
    notes = (*classifier.notes, *encoded.notes, *filter(None, [check.note]))
    noted = replace(classifier, notes=notes)
    splits = split(data, seed=seed)
    data = replace(data, weights=split_weights(data, splits))
    return Subject(noted, data, splits, encoded, benign_index(benign, classifier), check)


def _check_sets(classifier: Classifier, rows: LabelledData) -> None:
    several = classifier.decision.several
    if several != (rows.sets is not None):
        given, wanted = (
            ("one class", "several labels") if several else ("several labels", "one class")
        )
        raise UsageError(
            f"data with {given} per example given; '{classifier.name}' decides {wanted}; expected "
            f"load_data(…, several={several})"
        )


def read_classifier(config: AuditConfig) -> Classifier:
    """The classifier that a configuration names.

    Raises:
        ModelError, UsageError: the message is one line.
    """
    window = None if config.window is None else Window(config.window, config.stride)
    reads = InputFormat(
        config.tokens, window, config.max_tokens, config.text_prefix, config.lower_case
    )
    classifier = open_classifier(config.model, config.loading, reads)
    if config.guard is not None:
        classifier = guarded_classifier(classifier, config.guard)
    columns = config.reading.columns
    if columns and classifier.modality == "text" and classifier.reads:
        raise UsageError(
            f"columns {', '.join(columns[:3])} given; model '{config.model}' reads "
            f"{classifier.reads}; expected --text-column"
        )
    return _with_names(classifier, config.class_names)


def _with_names(classifier: Classifier, names: tuple[str, ...]) -> Classifier:
    """The classifier with its two classes as the user calls them.

    Raises:
        UsageError: it has other names of its own (a guard keeps those of the run it is made from).
    """
    named = not any(classifier.decision.unnamed)
    if not names or (named and names == classifier.classes):
        return classifier
    if named:
        raise UsageError(
            f"class names {', '.join(names)} given; '{classifier.name}' has its own: "
            f"{', '.join(classifier.classes)}; expected them for a model with one output only"
        )
    decision = replace(classifier.decision, unnamed=())
    return replace(classifier, classes=names, decision=decision)


def check_placed(config: AuditConfig, classifier: Classifier) -> None:
    """Refuses an engine that would copy a model from several devices to workers with one each.

    Raises:
        UsageError: the message names the engine to take.
    """
    if config.engine != "local" and len(classifier.devices) > 1:
        raise UsageError(
            f"engine '{config.engine}' given; '{classifier.name}' is on "
            f"{', '.join(classifier.devices)}, and a worker has one device; expected engine local"
        )


def read_data(config: AuditConfig, classifier: Classifier) -> LabelledData:
    """The labelled data that a configuration names, in the classifier's own class order."""
    return load_data(
        config.data,
        config.reading,
        classes=classifier.classes,
        fit_data=config.fit_data,
        max_examples=config.grid.max_examples,
        seed=config.seed,
        vocabulary=vocabulary_size(classifier.model) if config.tokens == "ids" else None,
        modality=classifier.modality,
        one_of=one_of(classifier),
        several=classifier.decision.several,
        unnamed=classifier.decision.unnamed,
    )


def one_of(classifier: Classifier) -> OneOf | None:
    """The label that is read of rows with several; None where each has one."""
    decision = classifier.decision
    return OneOf(decision.label, decision.labels) if decision.label else None
