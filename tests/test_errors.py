"""Every error is an AuditError, and choices come with the closest one first."""

import pytest

from synapse_audit import errors
from synapse_audit.errors import AuditError, choices


@pytest.mark.parametrize("name", ["UsageError", "DataError", "ModelError", "RunFolderError"])
def test_every_error_can_be_caught_as_one(name: str) -> None:
    assert issubclass(getattr(errors, name), AuditError)


def test_a_close_name_is_suggested() -> None:
    assert choices("zer0", ["mean", "zero"]) == "did you mean 'zero'? choices: mean, zero"


def test_nothing_is_suggested_where_nothing_is_close() -> None:
    assert choices("qqqq", ["mean", "zero"]) == "choices: mean, zero"


def test_choices_may_be_any_iterable() -> None:
    assert choices("a", (name for name in ("alpha", "beta"))) == "choices: alpha, beta"
