"""Settings of a process that is mctc's own, made before the work starts."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_NUM_THREADS")


def one_blas_thread() -> None:
    """Asks numpy's linear algebra for one thread, unless the user has said otherwise; works before numpy is imported.

    A step's matrices are too small to share out: threads that wait for one another were measured to cost a build of
    mct_small a third more CPU time and to save no wall time; on a busy machine a product of 0.05 ms took 8 ms.
    """
    for name in THREADS:
        os.environ.setdefault(name, "1")


@contextmanager
def no_cycle_search() -> Iterator[None]:
    """Leaves reference cycles alone inside the context: programs make thousands of them, but none holds a weight.

    Measured: a tenth of the CPU time of building mct_small.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
