"""How many threads numpy's linear algebra takes."""

from __future__ import annotations

import os

VARIABLES = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_NUM_THREADS")


def one_blas_thread() -> None:
    """Asks for a single thread, unless the user has said otherwise; works before numpy is imported.

    A step's matrices are too small to share out: threads that wait for one another were measured to cost a build of
    mct_small a third more CPU time and save no wall time.
    """
    for name in VARIABLES:
        os.environ.setdefault(name, "1")
