"""Five hundred inputs from outside: done, or one line, never a traceback."""

import os
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.properties import FUZZED, Given

CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
TIMES = int(os.environ.get("FUZZ_TIMES", "40"))
"""How often more ``make proofs`` tries."""


def _try(name: str, start: Given, times: int, *, repeatable: bool) -> None:
    tried, often = FUZZED[name]

    @settings(
        max_examples=times * often,
        deadline=None,
        derandomize=repeatable,
        database=None,
        suppress_health_check=CHECKS,
    )
    @given(st.data())
    def run(data: st.DataObject) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # libraries warn of what they are given, as they may
            tried(start, data)

    run()


@pytest.mark.unchecked
@pytest.mark.parametrize("name", FUZZED)
def test_nothing_from_outside_gives_a_traceback(name: str, start: Given) -> None:
    _try(name, start, 1, repeatable=True)


@pytest.mark.proof
@pytest.mark.unchecked
@pytest.mark.parametrize("name", FUZZED)
def test_nor_does_any_of_twenty_thousand(name: str, start: Given) -> None:
    _try(name, start, TIMES, repeatable=False)


def test_five_hundred_inputs_are_tried() -> None:
    assert sum(often for _, often in FUZZED.values()) == 500
