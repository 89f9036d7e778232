"""Parts of a program that compute in fp32 where the rest is in fp16, by the `quantize` rules that say `f32`."""

from __future__ import annotations

from mctc.ir.ops.leaf import Leaf
from mctc.ir.path_pattern import matches
from mctc.ir.program import Op, Program


def computes_wide(program: Program, op: Op) -> bool:
    """Whether an op lies in a part that is kept in fp32: the first rule that matches its instance decides.

    A rule matches an instance as it matches parameters of it: `vad.**` all of a component, `encoder.norm` that layer.
    """
    if isinstance(op, Leaf) or not any(rule.is_wide for rule in program.quantize):
        return False
    rule = next((rule for rule in program.quantize if matches(rule.pattern, op.origin.path)), None)
    return rule is not None and rule.is_wide
