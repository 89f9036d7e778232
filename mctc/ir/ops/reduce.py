"""Reductions along one axis, which is kept with extent 1 (a laid-out feature axis becomes a unit axis)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mctc.ir.dims import Extent
from mctc.ir.fields import anything, operand
from mctc.ir.op import FLOATS, Array, declare
from mctc.ir.ops.axis import AxisOp
from mctc.ir.ops.shape import laid_out
from mctc.ir.time import TimeBehaviour, Whole
from mctc.ir.types import Axis, Role, TensorType

TABLE: dict[str, tuple[str, Callable[..., Array]]] = {
    "sum": ("Sum", np.sum),
    "mean": ("Mean", np.mean),
    "max": ("Maximum", np.max),
    "min": ("Minimum", np.min),
}


class Reduce(AxisOp):
    x = operand()
    takes = FLOATS
    axis = anything()
    function: Callable[..., Array]

    def infer(self) -> Sequence[TensorType]:
        x, axis = self.x.type, self.position
        if laid_out(x) and x.axes[axis].role is Role.FEATURE:
            return (x.with_axis(axis, Axis(Role.UNIT, Extent.of(1))),)
        return (x.with_extent(axis, 1),)

    def reference(self, x: Array) -> Sequence[Array]:
        return (self.function(x, axis=self.position, keepdims=True),)

    def on_axis(self) -> TimeBehaviour:
        return Whole("it reduces over the whole utterance")


for _name, (_doc, _function) in TABLE.items():
    _members = {"__doc__": f"{_doc} along `axis`.", "name": f"reduce_{_name}", "function": staticmethod(_function)}
    declare(type(f"reduce_{_name}", (Reduce,), _members))
