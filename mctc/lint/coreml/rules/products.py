"""Matrix products (ANE-MM)."""

from __future__ import annotations

from mctc.lint.coreml.rule import RuleFamily

RULES = RuleFamily(name="products", title="Matrix products", rules=())
