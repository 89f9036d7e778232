"""Layers with more channels than the Neural Engine takes are split into parts."""

from __future__ import annotations

from collections.abc import Sequence

from mctc.hardware.devices import find_device
from mctc.ir.ops.convolution import Conv2d
from mctc.ir.ops.elementwise import Add
from mctc.ir.ops.linear import Linear
from mctc.ir.ops.shape import Concat, Slice, Split
from mctc.ir.program import Op, Program, Value
from mctc.ir.types import Role
from mctc.records import dataclass
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.fold import fold_parameters
from mctc.rewrite.options import option
from mctc.rewrite.pattern import Pattern, first_of
from mctc.rewrite.rewriter import Rewriter, rewrite


@dataclass(frozen=True)
class SplitDimensions(Pass):
    """Splits convolutions and linear layers with more outputs or inputs than a device takes (16384; 65536 from M4 on).

    Outputs: several layers and a concat. Inputs: a split, several layers and their sum (ANE-SH-002, ANE-MM-002).
    """

    name = "split-dimensions"
    promise = Exact()
    after = ("pad-vocabulary", "common-subexpressions")
    before = ("dead-code",)

    limit: int | None = option(None, "entries that an axis may have; none is the device's", least=1)

    def run(self, program: Program, context: Context) -> Program:
        limit = self.limit or find_device(context.device).family.extent

        def split(op: Conv2d | Linear, to: Rewriter) -> Value | None:
            layer = _Layer(op, to, limit)
            if max(layer.outputs, layer.inputs) <= limit:
                return None
            change = f"{layer.inputs} inputs and {layer.outputs} outputs split into parts of at most {limit}"
            to.note(change)
            to.explain(op, change)
            return layer.split()

        rule = first_of(lambda op, to: _warn(op, to, limit), Pattern(Conv2d, split), Pattern(Linear, split))
        return fold_parameters(rewrite(program, self.name, rule, context=context), self.name)


UNSPLIT = (Role.TIME, Role.LABEL, Role.FEATURE)


def _warn(op: Op, to: Rewriter, limit: int) -> None:
    """Says of an op which of its axes is over the limit and can't be split."""
    for axis in (axis for result in op.results for axis in result.type.axes):
        if axis.role in UNSPLIT and axis.extent.is_static and axis.extent.value > limit:
            why = f"the {axis.role.value} axis has {axis.extent} entries, over the limit of {limit}"
            to.explain(op, f"{op.name}: {why}; use a smaller chunk or fewer bins")


class _Layer:
    """One convolution or linear layer that is rebuilt from parts."""

    def __init__(self, op: Conv2d | Linear, rewriter: Rewriter, limit: int) -> None:
        self.op, self.rewriter, self.limit = op, rewriter, limit
        self.x, self.weight, self.bias = rewriter[op.x], rewriter[op.weight], rewriter.maybe(op.bias)
        self.groups = op.groups if isinstance(op, Conv2d) else 1
        self.outputs = self.weight.type.extents[0].value
        self.inputs = self.weight.type.extents[1].value * self.groups

    def split(self) -> Value:
        if self.groups > 1:
            return self._grouped()
        columns = parts(self.inputs, self.limit)
        xs = [self.x] if len(columns) == 1 else self._pieces(columns)
        made = [self._rows(begin, size, xs, columns) for begin, size in parts(self.outputs, self.limit)]
        return made[0] if len(made) == 1 else self.rewriter.op(Concat, *made, axis="channel")

    def _rows(self, begin: int, size: int, xs: Sequence[Value], columns: Sequence[tuple[int, int]]) -> Value:
        """The layer's outputs begin ... begin + size: a sum over parts of the inputs."""
        rows = self._cut(self.weight, 0, begin, size)
        bias = None if self.bias is None else self._cut(self.bias, 0, begin, size)
        made = [
            self._layer(x, self._cut(rows, 1, at, width), None if at else bias)
            for x, (at, width) in zip(xs, columns, strict=True)
        ]
        total = made[0]
        for part in made[1:]:
            total = self.rewriter.op(Add, total, part)
        return total

    def _grouped(self) -> Value:
        """Whole groups to a part: each part reads its own inputs."""
        per_group = max(self.outputs, self.inputs) // self.groups
        pieces = parts(self.groups, max(1, self.limit // per_group))
        into, out = self.inputs // self.groups, self.outputs // self.groups
        xs = self._pieces([(begin * into, size * into) for begin, size in pieces])
        made = []
        for x, (begin, size) in zip(xs, pieces, strict=True):
            rows = self._cut(self.weight, 0, begin * out, size * out)
            bias = None if self.bias is None else self._cut(self.bias, 0, begin * out, size * out)
            made.append(self._layer(x, rows, bias, groups=size))
        return self.rewriter.op(Concat, *made, axis="channel")

    def _pieces(self, columns: Sequence[tuple[int, int]]) -> Sequence[Value]:
        sizes = tuple(size for _, size in columns)
        return self.rewriter.emit(Split, self.x, sizes=sizes, axis="channel")

    def _cut(self, value: Value, axis: int, begin: int, size: int) -> Value:
        if size == value.type.extents[axis].value:
            return value
        return self.rewriter.op(Slice, value, axis=axis, begin=begin, end=begin + size)

    def _layer(self, x: Value, weight: Value, bias: Value | None, **changed: int) -> Value:
        return self.rewriter.op(type(self.op), x, weight, bias, **{**self.op.attributes, **changed})


def parts(total: int, limit: int, multiple: int = 64) -> list[tuple[int, int]]:
    """(begin, size) of the fewest parts of at most `limit`, equal but for the last, sizes rounded up to `multiple`."""
    count = -(-total // limit)
    size = -(-total // count)
    rounded = -(-size // multiple) * multiple
    size = rounded if rounded <= limit else size
    return [(begin, min(size, total - begin)) for begin in range(0, total, size)]
