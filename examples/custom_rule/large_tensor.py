"""A lint rule of a house: no tensor with more rows than the house's phones have memory for.

mctc lint model.mlpackage --plugin large_tensor.py
"""

from __future__ import annotations

from mctc.linter.coreml.graph import Op, elements
from mctc.linter.coreml.rule import Effect, OpRule, RuleFamily, Severity
from mctc.linter.coreml.target import Target

LIMIT = 1 << 22


def too_large(op: Op, target: Target) -> str | None:
    """The message of a finding, or None. `op` has the operands and results, `target` the chip's limits."""
    count = elements(op.result) if op.result is not None else 0
    return f"{count} elements, more than our {LIMIT}" if count > LIMIT else None


RULES = RuleFamily(
    name="acme",
    title="House rules",
    rules=(
        OpRule(
            code="ACME-001",
            name="large-tensor",
            summary="a tensor larger than our phones have room for",
            severity=Severity.WARNING,
            effect=Effect.STAYS,
            why="Our app gives the model 8 MB for a tensor; larger ones have been seen to end it.",
            fix="Work in chunks.",
            source="a house rule",
            evidence="M",
            confidence="H",
            find=too_large,
            fires="""
                x: fp16[1, 64, 256, 257]
                y: fp16[1, 64, 256, 257] = relu(x=x)
                return y
            """,
            silent="""
                x: fp16[1, 64, 256, 256]
                y: fp16[1, 64, 256, 256] = relu(x=x)
                return y
            """,
        ),
    ),
)

MCTC_PLUGINS = {"rules": [RULES]}
