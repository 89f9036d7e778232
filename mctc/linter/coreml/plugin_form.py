"""What a family of rules of a plugin must look like: faults in words, found as it is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mctc.linter.coreml.rule import Rule, RuleFamily


def faults(loaded: Any) -> Iterator[str]:
    """What is wrong with an object that is brought as a family of rules, the first fault first."""
    if not isinstance(loaded, RuleFamily):
        yield f"is a {type(loaded).__name__}, not a RuleFamily"
    elif not isinstance(loaded.rules, (list, tuple)) or not all(isinstance(rule, Rule) for rule in loaded.rules):
        yield "`rules` must be a tuple of rules"
