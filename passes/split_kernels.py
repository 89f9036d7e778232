"""Kernels larger than the engine takes are cut into pieces."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from mctc.hardware.devices import find_device
from mctc.hardware.families import Family
from mctc.ir.ops.convolution import Conv2d, height_axis, width_axis
from mctc.ir.ops.elementwise import Add
from mctc.ir.ops.shape import Pad, Slice
from mctc.ir.program import Program, Value
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.fold import fold_parameters
from mctc.rewrite.pattern import Pattern, Refuse
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
        convolutions = [op for _, op in program.ops() if isinstance(op, Conv2d)]
        if context.stack != "coreml" or not any(_too_large(op, family) for op in convolutions):
            return program
        pattern = Pattern(Conv2d, lambda op, to: _cut(op, to, family) if _too_large(op, family) else None)
        return fold_parameters(rewrite(program, self.name, pattern, context=context), self.name)


def _too_large(op: Conv2d, family: Family) -> bool:
    height, width = op.weight.type.shape[2:]
    return height > family.kernel_column or width > family.kernel_row


def _cut(op: Conv2d, to: Rewriter, family: Family) -> Value | Refuse:
    """The sum of the convolutions with all pieces, each of what its piece sees."""
    x, weight, bias = to[op.x], to[op.weight], to.maybe(op.bias)
    height, width = weight.type.shape[2:]
    if not x.type.is_static:
        return Refuse(f"a kernel of {height}x{width} is too large for {family.name}, but the extents are not known")
    if to.stored(weight):
        return Refuse(f"a kernel of {height}x{width} is too large for {family.name}, but stored compressed")
    rows, columns = pieces(height, family.kernel_column), pieces(width, family.kernel_row)
    axes = (height_axis(x.type), width_axis(x.type))
    for axis, (before, after) in zip(axes, (op.pad_feature, op.pad)):
        x = to.op(Pad, x, axis=axis, before=before, after=after) if before or after else x
    parts: list[Value] = []
    for cuts in product(rows, columns):
        seen, piece = x, weight
        for side, (start, taps) in enumerate(cuts):
            if taps == (height, width)[side]:
                continue
            dilation, stride, count = op.dilation[side], op.stride[side], op.result.type.shape[axes[side]]
            span = (taps - 1) * dilation + 1 + stride * (count - 1)
            begin = start * dilation
            seen = to.op(Slice, seen, axis=axes[side], begin=begin, end=begin + span)
            piece = to.op(Slice, piece, axis=2 + side, begin=start, end=start + taps)
        plain = {**op.attributes, "pad": (0, 0), "pad_feature": (0, 0)}
        part = to.op(Conv2d, seen, piece, None if parts else bias, **plain)
        parts.append(to.op(Add, parts[-1], part) if parts else part)
    to.note(f"a kernel of {height}x{width} became {len(rows) * len(columns)}")
    return parts[-1]


def pieces(taps: int, limit: int) -> Sequence[tuple[int, int]]:
    """(first tap, taps) of the fewest pieces of at most `limit` taps."""
    return [(start, min(limit, taps - start)) for start in range(0, taps, limit)]
