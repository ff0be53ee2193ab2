"""A whole tiny audit of every family, held against hooks written by hand.

The accuracies that each finished audit reports for its top sets, recomputed with transformers'
own model on one unpadded example at a time. Takes about four minutes on one core.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from model.audited import audited, check_effects, check_routes
from model.kinds import KINDS

pytestmark = pytest.mark.proof


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_finished_audit_says_what_hooks_by_hand_give(
    name: str, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    found = audited(name, tmp_path)
    routes = check_routes(found)
    accuracy = found.result.summary["clean"]["accuracy"]["value"]
    assert accuracy == pytest.approx(1.0)
    tell(f"{name}: {check_effects(found)} cells equal; routes {', '.join(sorted(routes))}")
