"""Ops that work along one axis, named by its role or position, and leave every other axis as it is."""

from __future__ import annotations

from mctc.ir.op import InferenceError, OpDef, Signature
from mctc.ir.time import POINTWISE, TimeBehaviour
from mctc.ir.types import Axis, Role, TensorType


class AxisOp(OpDef):
    """Base: attribute `axis` of operand x, or what `runs_along` says. `on_axis` is the behaviour along that axis."""

    @classmethod
    def runs_along(cls, s: Signature) -> Axis:
        return s["x"].axes[s.axis("x")]

    @classmethod
    def on_axis(cls, s: Signature) -> TimeBehaviour:
        raise InferenceError(f"{cls.name} declares no behaviour along its axis")

    @classmethod
    def along(cls, s: Signature, role: Role) -> TimeBehaviour:
        return cls.on_axis(s) if cls.runs_along(s).role is role else POINTWISE

    @classmethod
    def time(cls, s: Signature) -> TimeBehaviour:
        types: tuple[TensorType, ...] = (*s.types.values(), *s.variadic)
        role = types[0].sequence_role
        return POINTWISE if role is None else cls.along(s, role)
