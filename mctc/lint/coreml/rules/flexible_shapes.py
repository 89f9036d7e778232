"""Flexible shapes (ANE-SH-1xx)."""

from __future__ import annotations

from mctc.lint.coreml.rule import RuleFamily

RULES = RuleFamily(name="flexible-shapes", title="Flexible shapes", rules=())
