"""Rank, dimensions and layout (ANE-SH and ANE-LY)."""

from __future__ import annotations

from mctc.lint.coreml.rule import RuleFamily

RULES = RuleFamily(name="layout", title="Rank, dimensions and layout", rules=())
