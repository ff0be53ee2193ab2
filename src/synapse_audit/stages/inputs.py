"""What an audit starts from: names that exist, the classifier, the labelled data."""

from __future__ import annotations

from synapse_audit.artifacts import LabelledData
from synapse_audit.classifier import Classifier
from synapse_audit.config import AuditConfig
from synapse_audit.data import load_data
from synapse_audit.engines import check as check_engine
from synapse_audit.errors import UsageError, choices
from synapse_audit.operators import OPERATORS
from synapse_audit.rankings import RANKINGS


def check_names(config: AuditConfig) -> None:
    """Refuses operators, rankings and engines that cannot be had, before anything is computed.

    Raises:
        UsageError: the message names the choices.
    """
    check_engine(config)
    for kind, names, table in (
        ("operator", config.grid.operators, OPERATORS),
        ("ranking", config.grid.rankings, RANKINGS),
    ):
        unknown = [name for name in names if name not in table]
        if unknown:
            raise UsageError(f"{kind} '{unknown[0]}' given; {choices(unknown[0], table)}")


def load_classifier(model: str, *, device: str) -> Classifier:
    """The classifier on the device asked for.

    Raises:
        ModelError: it cannot be audited.
        UsageError: this machine has no such device.
    """
    classifier = Classifier.load(model)
    try:
        return classifier.to(device)
    except (RuntimeError, AssertionError) as error:  # torch has no narrower class for this
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"device '{device}' given; expected one this machine has (cpu, cuda, cuda:1, mps): "
            f"{reason}"
        ) from error


def read_data(config: AuditConfig, classifier: Classifier) -> LabelledData:
    """The labelled data that a configuration names, in the classifier's own class order."""
    return load_data(
        config.data,
        classes=classifier.classes,
        fit_data=config.fit_data,
        text_column=config.text_column,
        text_pair_column=config.text_pair_column,
        label_column=config.label_column,
        group_column=config.group_column,
        max_examples=config.grid.max_examples,
        seed=config.seed,
    )
