"""Attention, masks and positions (ANE-AT)."""

from __future__ import annotations

from mctc.lint.coreml.rule import RuleFamily

RULES = RuleFamily(name="attention", title="Attention, masks and positions", rules=())
