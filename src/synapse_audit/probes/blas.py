"""One thread for linear algebra in which many small products follow each other.

Fits of probes are such: with two BLAS threads those of 384 neurons and 5 classes took eight times
as long as with one, as the threads wait for each other, and for those that torch left spinning. The
results are the same up to the order in which sums are taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """NumPy's and SciPy's BLAS run on one thread inside the ``with``; torch is left as it is."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield
