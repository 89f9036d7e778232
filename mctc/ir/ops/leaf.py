"""Ops without operands: constants and parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mctc.ir.dims import Extent
from mctc.ir.example import Example
from mctc.ir.fields import REQUIRED, Attribute, element_type, text
from mctc.ir.op import Array, InferenceError, Op, declare, role_named
from mctc.ir.sign import Sign, number_sign
from mctc.ir.types import Axis, TensorType
from mctc.ir.value import Value


def _array(name: str, value: object) -> Array:
    if not isinstance(value, (int, float)) and not isinstance(value, (np.ndarray, np.generic)):
        raise InferenceError(f"the value of a constant must be an array, not {value!r}")
    return np.asarray(value)


def _roles(name: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, tuple):
        raise InferenceError(f"the roles of a constant must be a list, not {value!r}")
    return tuple(role_named(role).value for role in value)


def _type(name: str, value: object) -> TensorType:
    if not isinstance(value, TensorType):
        raise InferenceError(f"the type of a parameter must be a tensor type, not {value!r}")
    return value


class Leaf(Op):
    """Base: an op without operands, whose value is known before anything is called."""


@declare
class Constant(Leaf):
    """A known array. `roles` names the role of each axis."""

    name = "constant"
    example = Example({}, ("constant [1.0, 2.0]: f32[channel 2]",))
    value = Attribute(_array, REQUIRED)
    dtype = element_type()
    roles = Attribute(_roles, REQUIRED)

    def infer(self) -> Sequence[TensorType]:
        shape, roles = self.value.shape, self.roles
        if len(roles) != len(shape):
            raise InferenceError(f"a constant of rank {len(shape)} needs {len(shape)} roles, not {roles!r}")
        axes = tuple(Axis(role_named(role), Extent.of(extent)) for role, extent in zip(roles, shape))
        return (TensorType(self.dtype, axes),)

    def sign(self, *operands: Sign) -> Sign:
        return number_sign(float(np.min(self.value, initial=1)))

    def reference(self) -> Sequence[Array]:
        return (self.value,)


@declare
class ParameterOp(Leaf):
    """The value of a parameter of the program; the evaluator looks it up by name."""

    name = "parameter"
    example = Example({}, ("parameter @encoder.norm.weight: f32[8]",))
    parameter = text(key="name")
    declared = Attribute(_type, REQUIRED, "type")

    def infer(self) -> Sequence[TensorType]:
        return (self.declared,)

    def reference(self) -> Sequence[Array]:
        raise InferenceError(f"parameter {self.parameter} has no value here")


def parameter_of(value: Value | None) -> str:
    """The name of the parameter that a value is; '' of anything else."""
    owner = None if value is None else value.owner
    return owner.parameter if isinstance(owner, ParameterOp) else ""
