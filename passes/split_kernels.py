"""Kernels larger than the engine takes are cut into pieces."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from mctc.hardware.devices import find_device
from mctc.hardware.families import Family
from mctc.ir.ops.convolution import height_axis, width_axis
from mctc.ir.program import Op, Program, Value
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.fold import fold_parameters
from mctc.rewrite.rewriter import Rewriter, rewrite


class SplitKernels(Pass):
    """A convolution with a kernel wider or higher than the device takes becomes a sum over pieces of the kernel.

    The limits are the family's (ANE-CV-001, -002, -004): 13 in width and 29 in height up to M1 and A14, 15 and 31 from
    then on. A kernel that would be cut is not quantised, because its pieces would have other scales.
    """

    name = "split-kernels"
    promise = Exact()
    stage = "deploy"
    after = ("lower-rnn", "lower-attention", "lower-selective-scan")
    before = ("fold-deploy-constants", "pack-states")

    def run(self, program: Program, context: Context) -> Program:
        family = find_device(context.device).family
        if context.stack != "coreml" or not any(_too_large(op, family) for _, op in program.ops()):
            return program

        def rule(op: Op, rewriter: Rewriter) -> Value | None:
            return _cut(op, rewriter, family) if _too_large(op, family) else None

        return fold_parameters(rewrite(program, self.name, rule), self.name)


def _too_large(op: Op, family: Family) -> bool:
    weight = op.operands[1] if op.name == "conv2d" else None
    if weight is None:
        return False
    height, width = weight.type.shape[2:]
    return height > family.kernel_column or width > family.kernel_row


def _cut(op: Op, rewriter: Rewriter, family: Family) -> Value | None:
    """The sum of the convolutions with all pieces, each of what its piece sees."""
    x, weight, bias = rewriter.operands(op)
    assert x is not None
    assert weight is not None
    height, width = weight.type.shape[2:]
    rows, columns = pieces(height, family.kernel_column), pieces(width, family.kernel_row)
    if not x.type.is_static or _compressed(weight, rewriter.program):
        return None
    axes, a = (height_axis(x.type), width_axis(x.type)), op.attributes
    for axis, (before, after) in zip(axes, (a["pad_feature"], a["pad"])):
        x = rewriter.op("pad", x, axis=axis, before=before, after=after) if before or after else x
    total: Value | None = None
    for cuts in product(rows, columns):
        seen, piece = x, weight
        for side, (start, taps) in enumerate(cuts):
            if taps == (height, width)[side]:
                continue
            dilation, stride, count = a["dilation"][side], a["stride"][side], op.result.type.shape[axes[side]]
            span = (taps - 1) * dilation + 1 + stride * (count - 1)
            begin = start * dilation
            seen = rewriter.op("slice", seen, axis=axes[side], begin=begin, end=begin + span)
            piece = rewriter.op("slice", piece, axis=2 + side, begin=start, end=start + taps)
        plain = {**a, "pad": (0, 0), "pad_feature": (0, 0)}
        part = rewriter.op("conv2d", seen, piece, bias if total is None else None, **plain)
        total = part if total is None else rewriter.op("add", total, part)
    rewriter.note(f"a kernel of {height}x{width} became {len(rows) * len(columns)}")
    return total


def pieces(taps: int, limit: int) -> Sequence[tuple[int, int]]:
    """(first tap, taps) of the fewest pieces of at most `limit` taps."""
    return [(start, min(limit, taps - start)) for start in range(0, taps, limit)]


def _compressed(weight: Value, program: Program) -> bool:
    owner = weight.owner
    if owner is None or owner.name != "parameter":
        return False
    return program.parameters[owner.attributes["name"]].quantization is not None
