"""The whole audit on one screen.

Model + data → activations → probes → rankings → plan → outcomes → effects, findings, summary.
Every stage is kept in the run folder as soon as it is done; the same call goes on where an
interrupted one stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from synapse_audit import stages
from synapse_audit.config import AuditConfig
from synapse_audit.data import check_label_map, split
from synapse_audit.probes import layer_statistics
from synapse_audit.progress import Progress, Silent
from synapse_audit.store import AuditResult, RunFolder
from synapse_audit.sweep import Engine, Site, supports_tap, tapped


class Declined(Exception):  # noqa: N818 (a decision of the caller, no error)
    """The plan was shown and the caller did not want it run."""


def audit(
    config: AuditConfig,
    out: str | Path,
    *,
    progress: Progress | None = None,
    approve: Callable[[stages.Prepared], bool] = lambda prepared: True,
) -> AuditResult:
    """Audits a classifier and fills the run folder ``out`` (all but ``report.html``).

    The host model is bit for bit as before when this returns or raises.

    Args:
        config: what to do; see :func:`synapse_audit.config.make_config`.
        out: a new folder, or the folder of the same run, which is resumed.
        progress: who watches; nobody where None.
        approve: is shown the plan and its cost before anything expensive runs.

    Raises:
        AuditError: anything the user can mend; the message is one line.
        Declined: ``approve`` returned False.
    """
    stages.check_names(config)
    run = stages.Run(RunFolder.claim(out), config, progress or Silent())
    classifier = stages.load_classifier(config.model, device=config.device)
    data = stages.read_data(config, classifier)
    splits = split(data, seed=config.seed)
    stages.identify(run, classifier, data, splits)

    tap = tapped(classifier) if supports_tap(classifier) else nullcontext()
    with classifier.unharmed(), tap as engine_tap:
        encoded = classifier.encode(data.inputs)
        with run.timed("clean pass"):
            found = stages.represent(run, classifier, encoded, data, splits)
            check_label_map(data.labels, found.logits.argmax(axis=1), data.classes)
        with run.timed("probes and rankings"):
            probes = stages.probe(run, found.activations, data, splits)
            rankings = stages.rank_all(run, found.activations, probes, data, splits)
            statistics = layer_statistics(found.activations, splits)
        with run.timed("plan"):
            engine = Engine(classifier, Site(statistics, found.others), config.seed, engine_tap)
            source = stages.sources(
                run,
                classifier,
                found,
                rankings,
                statistics=statistics,
                probes=probes,
                splits=splits,
            )
            prepared = stages.prepare(run, engine, encoded, source, data, splits)
        if not approve(prepared):
            raise Declined
        with run.timed("sufficient sets"):
            headline = rankings[config.grid.rankings[0]]
            enough = stages.suffice(run, found.activations, data, splits, headline)
        with run.timed("interventions"):
            prepared, outcomes = stages.run_sweep(run, engine, encoded, prepared, data, splits)

    with run.timed("effects and findings"):
        learned = stages.Learned(probes, enough, statistics)
        stages.conclude(
            run,
            classifier,
            found,
            learned,
            prepared=prepared,
            outcomes=outcomes,
            data=data,
            splits=splits,
        )
    run.folder.update_manifest(status="complete", truncated=encoded.n_truncated)
    return AuditResult.load(run.folder.path)
