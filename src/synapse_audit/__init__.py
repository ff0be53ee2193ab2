"""Audit Transformer classifiers: where knowledge sits, what breaks it, what redirects it.

::

    model + data → Activations → Probe → Ranking → Plan → Outcomes → effects → findings → report

``audit(make_config({...}), "runs/mine")`` goes all the way and returns an :class:`AuditResult`;
``examples/audit_in_python.py`` goes stage by stage. The public names are those of
``__init__.pyi``; each is imported when it is first asked for, so that ``import synapse_audit``
stays free of torch.

Three verbs of the API, ``plan``, ``sweep`` and ``audit``, are also names of modules of this
package. As attributes of the package they are always the verbs, whatever was imported before; the
modules are reached by ``from synapse_audit.sweep import ...``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
