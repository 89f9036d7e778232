"""A limit on memory, so that an input that asks for too much is refused by the system and not by its killer."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HEADROOM = 1 << 30
"""Bytes of address space that an input may take beyond what the process has before it."""
_PAGES = Path("/proc/self/statm")


@contextmanager
def limited_memory() -> Iterator[None]:
    """HEADROOM and no more, inside. Without effect except on Linux, which alone tells what a process has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    if _PAGES.exists():
        held = int(_PAGES.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + HEADROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
