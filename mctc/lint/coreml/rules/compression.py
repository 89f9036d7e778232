"""Compressed weights (ANE-QT)."""

from __future__ import annotations

from mctc.lint.coreml.rule import RuleFamily

RULES = RuleFamily(name="compression", title="Compressed weights", rules=())
