"""Sizes of models (ANE-SZ)."""

from __future__ import annotations

from mctc.lint.coreml.rule import RuleFamily

RULES = RuleFamily(name="model-size", title="Sizes of models", rules=())
