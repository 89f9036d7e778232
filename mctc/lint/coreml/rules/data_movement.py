"""Padding, resizing, gathering, joining (ANE-PD, ANE-RS, ANE-GA and ANE-CC)."""

from __future__ import annotations

from mctc.lint.coreml.rule import RuleFamily

RULES = RuleFamily(name="data-movement", title="Padding, resizing, gathering, joining", rules=())
