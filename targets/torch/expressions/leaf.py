"""Ops without operands: a parameter is an attribute of its module, a constant a buffer's first value."""

from __future__ import annotations

import base64
import zlib

import numpy as np

from mctc.emit.ports import element_types
from mctc.emit.rules import Rules
from mctc.ir.op import Array
from mctc.ir.ops.leaf import Constant, ParameterOp
from mctc.targets.torch.expressions.application import Application
from mctc.targets.torch.expressions.text import Expression, call, literal, named

RULES = Rules[Application, Expression]()

INLINE = 64  # entries; longer constants are packed
STORED = element_types("float32")


@RULES.of(ParameterOp)
def _parameter(op: ParameterOp, use: Application) -> Expression:
    """`self.A_log`: the last part of the parameter's name, in the module of the block that holds it."""
    return Expression(f"self.{op.parameter.rpartition('.')[2]}")


@RULES.of(Constant)
def _constant(op: Constant, use: Application) -> Expression:
    """The tensor to register as a buffer, so that it follows its module to a device and dtype.

    Equal entries become torch.full, few ones a literal, more of them base64 of zlib bytes for functional.unpacked.
    """
    type_ = op.result.type
    dtype = STORED[type_.dtype]
    array = np.asarray(op.value).astype(dtype)
    keywords: dict[str, object] = {} if dtype == "float32" else {"dtype": named(f"torch.{dtype}")}
    if not array.size:
        return call(named("torch.zeros"), array.shape, **keywords)
    if array.size > 1 and bool((array == array.flat[0]).all()):
        return call(named("torch.full"), array.shape, entries(array.flat[0]), **keywords)
    if array.size <= INLINE:
        return call(named("torch.tensor"), Expression(literal(entries(array))), **keywords)
    return call(named("unpacked"), packed(array), array.shape, **keywords)


def packed(array: Array) -> str:
    """base64 of the zlib bytes of its entries, in C order and little-endian."""
    return base64.b64encode(zlib.compress(array.astype(array.dtype.newbyteorder("<")).tobytes(), 9)).decode()


def entries(array: Array | np.generic) -> object:
    """Nested lists of entries, each as short as float32 allows."""
    if isinstance(array, np.ndarray) and array.ndim:
        return [entries(row) for row in array]
    value = array.item()
    return float(str(np.float32(value))) if isinstance(value, float) else value
