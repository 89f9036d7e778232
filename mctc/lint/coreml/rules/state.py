"""States (ANE-ST)."""

from __future__ import annotations

from mctc.lint.coreml.rule import RuleFamily

RULES = RuleFamily(name="state", title="States", rules=())
