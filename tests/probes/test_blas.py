"""Fits of probes run on one BLAS thread, and leave the number as it was."""

import numpy as np  # loads its BLAS
from threadpoolctl import threadpool_info

from synapse_audit.probes.blas import one_thread


def _threads() -> list[int]:
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_one_thread_inside_and_as_many_as_before_outside() -> None:
    assert np.eye(2).sum() == 2
    before = _threads()
    with one_thread():
        assert set(_threads()) == {1}
    assert before and _threads() == before
