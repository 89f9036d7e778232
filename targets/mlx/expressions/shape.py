"""Ops that move data: most are written as for torch, in MLX's words."""

from __future__ import annotations

from itertools import accumulate

from mctc.emit.rules import Rules
from mctc.ir.ops.shape import Concat, Pad, Split
from mctc.targets.torch.expressions import shape as shared
from mctc.targets.torch.expressions.application import Application
from mctc.targets.torch.expressions.text import Expression, call, named, number

SHARED = ("slice", "reshape", "transpose", "split_channels", "merge_channels")
RULES = Rules[Application, Expression]({name: shared.RULES[name] for name in SHARED})
RULES["reverse"] = shared.MASKING["reverse"]


@RULES.of(Split)
def _split(op: Split, use: Application) -> Expression:
    if len(op.results) == 1:
        return use["x"]
    return use["x"].method("split", list(accumulate(op.sizes))[:-1] if op.sizes else op.parts, axis=op.position)


@RULES.of(Concat)
def _concat(op: Concat, use: Application) -> Expression:
    parts = [operand for operand in use.operands if operand is not None]
    return parts[0] if len(parts) == 1 else call(named("mx.concatenate"), parts, axis=op.position)


@RULES.of(Pad)
def _pad(op: Pad, use: Application) -> Expression:
    if not op.before and not op.after:
        return use["x"]
    widths = [(0, 0)] * use.type("x").rank
    widths[op.position] = (op.before, op.after)
    return call(named("mx.pad"), use["x"], widths, **({"constant_values": number(op.value)} if op.value else {}))
