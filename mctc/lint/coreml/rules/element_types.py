"""Element types (ANE-DT)."""

from __future__ import annotations

from mctc.lint.coreml.rule import RuleFamily

RULES = RuleFamily(name="element-types", title="Element types", rules=())
