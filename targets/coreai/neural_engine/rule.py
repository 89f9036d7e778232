"""What a rule is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum

from mctc.records import dataclass
from mctc.targets.coreai.graphs import ReadGraph

SOURCE = "apple/coreai-models, neural_engine_rules.md, August 2026"  # advice for Core AI; names neither chip nor system


class Severity(Enum):
    """error: some of the graph leaves the engine. warning: it may, or wastes memory. cost: it runs slower."""

    ERROR = "error"
    WARNING = "warning"
    COST = "cost"


Check = Callable[[ReadGraph], Iterable[str]]


@dataclass(frozen=True)
class Rule:
    """One rule: `check` words everything in a graph that breaks it."""

    code: str
    text: str
    threshold: str
    severity: Severity
    check: Check
    source: str = SOURCE
