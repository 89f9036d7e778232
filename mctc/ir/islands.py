"""Parts of a program that compute in fp32 where the rest is in fp16, by the `quantize` rules that say `f32`."""

from __future__ import annotations

from mctc.ir.ops.leaf import Leaf
from mctc.ir.path_pattern import matches
from mctc.ir.program import Function, Op, Program, Value


def computes_wide(program: Program, op: Op) -> bool:
    """Whether an op lies in a part that is kept in fp32: the first rule that matches its instance decides.

    A rule matches an instance as it matches parameters of it: `vad.**` all of a component, `encoder.norm` that layer.
    """
    if isinstance(op, Leaf) or not any(rule.is_wide for rule in program.quantize):
        return False
    rule = next((rule for rule in program.quantize if matches(rule.pattern, op.origin.path)), None)
    return rule is not None and rule.is_wide


def held_wide(program: Program, function: Function) -> frozenset[Op]:
    """Ops whose results stay in fp32: what computes so, and weights and constants that only such ops read, unless a
    result is read by other ops or leaves the function."""
    if not any(rule.is_wide for rule in program.quantize):
        return frozenset()
    users: dict[Value, list[Op]] = {}
    for op in function.ops:
        for value in op.present():
            users.setdefault(value, []).append(op)
    wide = {op for op in function.ops if computes_wide(program, op)}
    leaving = {*function.outputs, *(state.update for state in function.states)}
    return frozenset(
        op
        for op in function.ops
        if (op in wide or isinstance(op, Leaf))
        and leaving.isdisjoint(op.results)
        and all(user in wide for value in op.results for user in users.get(value, ()))
    )
