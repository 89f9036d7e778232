"""Softmax, activations and reductions (ANE-SM, ANE-AR, ANE-GE and ANE-SI)."""

from __future__ import annotations

from mctc.lint.coreml.rule import RuleFamily

RULES = RuleFamily(name="activations", title="Softmax, activations and reductions", rules=())
