"""Numbers that survive placement (ANE-NM)."""

from __future__ import annotations

from mctc.lint.coreml.rule import RuleFamily

RULES = RuleFamily(name="numerics", title="Numbers that survive placement", rules=())
