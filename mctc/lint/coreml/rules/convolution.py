"""Convolutions (ANE-CV)."""

from __future__ import annotations

from mctc.lint.coreml.rule import RuleFamily

RULES = RuleFamily(name="convolution", title="Convolutions", rules=())
