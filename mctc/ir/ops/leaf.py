"""Ops without operands: constants and parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mctc.ir.dims import Extent
from mctc.ir.op import REQUIRED, Array, InferenceError, OpDef, Signature, declare
from mctc.ir.types import Axis, DType, Role, TensorType


@declare
class Constant(OpDef):
    """A known array. `roles` names the role of each axis."""

    name = "constant"
    operands = ""
    attributes = {"value": REQUIRED, "dtype": REQUIRED, "roles": REQUIRED}

    @classmethod
    def infer(cls, s: Signature) -> Sequence[TensorType]:
        shape, roles = np.shape(s.attribute("value")), s.attribute("roles")
        axes = tuple(Axis(Role(role), Extent.of(extent)) for role, extent in zip(roles, shape, strict=True))
        return (TensorType(DType(s.attribute("dtype")), axes),)

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
        return (s.attribute("type"),)

    @classmethod
    def reference(cls, s: Signature, *operands: Any) -> Sequence[Array]:
        raise InferenceError(f"parameter {s.attribute('name')} has no value here")
