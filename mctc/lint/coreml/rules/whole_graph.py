"""Patterns of whole graphs (ANE-GR)."""

from __future__ import annotations

from mctc.lint.coreml.rule import RuleFamily

RULES = RuleFamily(name="whole-graph", title="Patterns of whole graphs", rules=())
