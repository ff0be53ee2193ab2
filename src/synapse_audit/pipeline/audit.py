"""The whole audit on one screen.

Model + data → activations → probes → rankings → plan → outcomes → effects, findings, summary.
Every stage is kept in the run folder as soon as it is done; the same call goes on where an
interrupted one stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from synapse_audit.config import AuditConfig
from synapse_audit.pipeline import stages
from synapse_audit.progress import Progress, Silent
from synapse_audit.store import AuditResult, RunFolder
from synapse_audit.sweep import tapped


class Declined(Exception):  # noqa: N818 (a decision of the caller, no error)
    """The plan was shown and the caller did not want it run."""


def audit(
    config: AuditConfig,
    out: str | Path,
    *,
    progress: Progress | None = None,
    approve: Callable[[stages.Prepared], bool] = lambda prepared: True,
    subject: stages.Subject | None = None,
) -> AuditResult:
    """Audits a classifier and fills the run folder ``out`` (all but ``report.html``).

    The host model is bit for bit as before when this returns or raises.

    Args:
        config: what to do; see :func:`synapse_audit.config.make_config`.
        out: a new folder, or the folder of the same run, which is resumed.
        progress: who watches; nobody where None.
        approve: is shown the plan and its cost before anything expensive runs.
        subject: what is audited, where it is no saved model on a file of texts: a classifier made
            by ``Classifier.wrap`` with its data; ``config`` then names both for the reader only.

    Raises:
        AuditError: anything the user can fix; the message is one line.
        Declined: ``approve`` returned False.
    """
    stages.check_names(config)
    folder = RunFolder.claim(out)
    with folder.locked():
        _fill(stages.Run(folder, config, progress or Silent()), subject, approve)
    return AuditResult.load(folder.path)


def _fill(
    run: stages.Run,
    subject: stages.Subject | None,
    approve: Callable[[stages.Prepared], bool],
) -> None:
    config = run.config
    subject = subject or stages.read_subject(config)
    if subject.several:
        config = run.config = stages.for_several(config)
    stages.check_options(config, subject)
    stages.identify(run, subject)
    if subject.several and not run.folder.finished:
        run.leave_out(stages.not_covered())
    if run.folder.finished:
        run.progress.note("already finished: nothing is run again")
        return
    run.folder.update_manifest(status="running")

    classifier = subject.classifier
    with classifier.unharmed(), tapped(classifier) as tap:
        with run.timed("clean pass"):
            found = stages.represent(run, subject)
        with run.timed("probes and rankings"):
            learned = stages.score_neurons(run, subject, found)
        with run.timed("plan"):
            engine = stages.engine_of(run, subject, found, learned.statistics, tap)
            source = stages.sources(run, subject, found, learned)
            prepared = stages.prepare(run, subject, engine, source, found.logits)
        if not approve(prepared):
            raise Declined
        with run.timed("sufficient sets and stability"):
            examined = stages.find_sufficient_sets(run, subject, found, learned)
        with run.timed("interventions"):
            prepared, outcomes = stages.run_sweep(run, subject, engine, prepared)
        with run.timed("typed edits"):
            typed = stages.attack_texts(run, subject, engine, found)
        with run.timed("membership"):
            membership = stages.audit_membership(run, subject, engine, found)

    with run.timed("effects and findings"):
        stages.write_findings(
            run,
            subject,
            found,
            learned,
            examined=examined,
            prepared=prepared,
            outcomes=outcomes,
            typed=typed,
            membership=membership,
        )
