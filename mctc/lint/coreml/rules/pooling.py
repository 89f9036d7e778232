"""Pools (ANE-PL)."""

from __future__ import annotations

from mctc.lint.coreml.rule import RuleFamily

RULES = RuleFamily(name="pooling", title="Pools", rules=())
