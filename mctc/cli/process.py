"""Settings of a process that is mctc's own, made before the work starts."""

from __future__ import annotations

import atexit
import gc
import os
import sys
from io import TextIOWrapper

THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_NUM_THREADS")

M_MMAP_MAX, M_TRIM_THRESHOLD = -4, -1  # malloc.h
KEPT = 512 << 20


def open_streams() -> None:
    """Opens /dev/null in place of each standard stream that the caller closed: else the next file gets its number, and
    what is printed lands there."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 — open to the end
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be text in its encoding


def one_blas_thread() -> None:
    """Asks numpy's linear algebra for one thread, unless the user has said otherwise; works before numpy is imported.

    A step's matrices are too small to share out: threads that wait for one another were measured to cost a build of
    mct_small a third more CPU time and to save no wall time; on a busy machine a product of 0.05 ms took 8 ms.
    """
    for name in THREADS:
        os.environ.setdefault(name, "1")


def keep_memory() -> None:
    """Lets glibc keep what is freed for the next array, up to 512 MB: it would give arrays of 128 kB and more back to
    the system at once, and every page of the next one is then cleared anew. Arrays come from the heap, whatever their
    size: a threshold for those that are mapped can't be above 32 MB, less than the scores of an attention.

    Measured on whisper_small with three layers: 8.0 s of the system's time became 1.7, at 6 % more memory. Other C
    libraries are left alone.
    """
    import ctypes

    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is not None and hasattr(libc, "gnu_get_libc_version"):
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT)


def ends_at_once() -> list[int]:
    """Lets the process end without taking apart what is in memory, with the exit code that is put into the list: as
    ever its threads have ended then, and what was to be called at the end has been. Without a code it ends as any does;
    so it does where calls were registered before this one, as by what measures coverage, since they come after it.

    Measured: 7 ms of a check's 240, and as much of a build's second.
    """
    codes: list[int] = []
    if getattr(atexit, "_ncallbacks", lambda: 1)() == 0:  # CPython's own: another Python ends as ever
        atexit.register(_end, codes)  # the first to be registered is the last to be called
    return codes


def _end(codes: list[int]) -> None:
    if codes and _flushed():
        os._exit(codes[0])


def _flushed() -> bool:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return False  # Python tells of it
    return True


def no_cycle_search() -> None:
    """Leaves reference cycles alone from here to the end of the process: programs make thousands, none holds a weight.

    Measured: a tenth of the CPU time of building mct_small while it works, and a twentieth as it ends.
    """
    gc.disable()
    atexit.register(gc.freeze)  # what is set aside isn't searched at the end either
