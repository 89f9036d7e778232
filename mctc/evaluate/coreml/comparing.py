"""Who compares the calls of functions while they are compiled: mctc.evaluate.faults.compare, if anybody."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mctc.evaluate.faults.compare import Comparison

COMPARING: ContextVar[Comparison | None] = ContextVar("comparing", default=None)
