"""Ops that work along one axis, named by its role or position, and leave every other axis as it is."""

from __future__ import annotations

from mctc.ir.fields import Attribute, RequiredOperand
from mctc.ir.op import InferenceError, Op, axis_position
from mctc.ir.time import POINTWISE, TimeBehaviour
from mctc.ir.types import Axis, Role


class AxisOp(Op):
    """Base: attribute `axis` of operand x, or what `runs_along` says. `on_axis` is the behaviour along that axis."""

    x: RequiredOperand
    axis: Attribute[str | int]

    @property
    def position(self) -> int:
        """The position that `axis` means: a role ('time') or a position."""
        return axis_position(self.x.type, self.axis, "x")

    def runs_along(self) -> Axis:
        return self.x.type.axes[self.position]

    def on_axis(self) -> TimeBehaviour:
        raise InferenceError(f"{self.name} declares no behaviour along its axis")

    def behaviour_along(self, role: Role) -> TimeBehaviour:
        return self.on_axis() if self.runs_along().role is role else POINTWISE

    def behaviour(self) -> TimeBehaviour:
        role = next(self.present()).type.sequence_role
        return POINTWISE if role is None else self.behaviour_along(role)
