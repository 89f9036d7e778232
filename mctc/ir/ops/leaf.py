"""Ops without operands: constants and parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mctc.ir.dims import Extent
from mctc.ir.op import REQUIRED, Array, InferenceError, OpDef, Signature, declare, role_named
from mctc.ir.types import Axis, TensorType


@declare
class Constant(OpDef):
    """A known array. `roles` names the role of each axis."""

    name = "constant"
    operands = ""
    attributes = {"value": REQUIRED, "dtype": REQUIRED, "roles": REQUIRED}

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        value, roles = s.attribute("value"), s.attribute("roles")
        if not isinstance(value, (int, float, np.ndarray, np.generic)):
            raise InferenceError(f"the value of a constant must be an array, not {value!r}")
        shape = np.shape(value)
        if not isinstance(roles, tuple) or len(roles) != len(shape):
            raise InferenceError(f"a constant of rank {len(shape)} needs {len(shape)} roles, not {roles!r}")
        axes = tuple(Axis(role_named(role), Extent.of(extent)) for role, extent in zip(roles, shape))
        return (TensorType(s.dtype("dtype"), axes),)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        return (np.asarray(s.attribute("value")),)


@declare
class ParameterOp(OpDef):
    """The value of a parameter of the program; the evaluator looks it up by name."""

    name = "parameter"
    operands = ""
    attributes = {"name": REQUIRED, "type": REQUIRED}

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        if not isinstance(s.attribute("type"), TensorType):
            raise InferenceError(f"the type of a parameter must be a tensor type, not {s.attribute('type')!r}")
        return (s.attribute("type"),)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        raise InferenceError(f"parameter {s.attribute('name')} has no value here")
