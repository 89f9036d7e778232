"""Reductions along one axis, which is kept with extent 1 (a laid-out feature axis becomes a unit axis)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mctc.ir.dims import Extent
from mctc.ir.example import Example, X
from mctc.ir.fields import axis_name, operand
from mctc.ir.numpy_function import numpys
from mctc.ir.op import FLOATS, Array, declare
from mctc.ir.ops.axis import AxisOp
from mctc.ir.ops.shape import laid_out
from mctc.ir.rounding import EXACT, Rounding
from mctc.ir.sign import weakest
from mctc.ir.time import TimeBehaviour, Whole
from mctc.ir.types import Axis, Role, TensorType


class Reduce(AxisOp):
    """Base: entries along `axis` become one."""

    example = Example({"x": X}, ("{name}(%x, axis = channel)", "{name}(%x, axis = time)"))
    x = operand()
    takes = FLOATS
    axis = axis_name()
    sign = weakest
    function: Callable[..., object]  # of numpy

    def infer(self) -> Sequence[TensorType]:
        x, axis = self.x.type, self.position
        if laid_out(x) and x.axes[axis].role is Role.FEATURE:
            return (x.with_axis(axis, Axis(Role.UNIT, Extent.of(1))),)
        return (x.with_extent(axis, 1),)

    def reference(self, x: Array) -> Sequence[Array]:
        return (np.asarray(self.function(x, axis=self.position, keepdims=True)),)

    def on_axis(self) -> TimeBehaviour:
        return Whole("it reduces over the whole utterance")


@declare
class ReduceSum(Reduce):
    """Sum along `axis`."""

    name = "reduce_sum"
    keeps = "whole"
    rounds = True

    def reference(self, x: Array, rounding: Rounding = EXACT) -> Sequence[Array]:
        return (x.sum(self.position, keepdims=True) + rounding.lost(x, self.position),)


@declare
class ReduceMean(Reduce):
    """Mean along `axis`."""

    name = "reduce_mean"
    rounds = True

    def reference(self, x: Array, rounding: Rounding = EXACT) -> Sequence[Array]:
        axis = self.position
        return (x.mean(axis, keepdims=True) + rounding.lost(x, axis) / x.shape[axis],)


@declare
class ReduceMax(Reduce):
    """Maximum along `axis`."""

    name = "reduce_max"
    keeps = "whole"
    function = numpys("max")


@declare
class ReduceMin(Reduce):
    """Minimum along `axis`."""

    name = "reduce_min"
    keeps = "whole"
    function = numpys("min")
