"""Comparisons of two operands, which broadcast by role."""

from __future__ import annotations

from collections.abc import Sequence

from mctc.ir.numpy_function import numpys
from mctc.ir.op import FLOATS, Array, declare
from mctc.ir.ops.elementwise import Binary
from mctc.ir.sign import Sign, always


class Comparison(Binary):
    """Base: 1 where it holds, 0 where it does not, in floating point, so that results are masks and factors. Near where
    it turns, engines that round differently differ; what a mask switches should meet there."""

    takes = FLOATS
    sign = always(Sign.NOT_BELOW_ZERO)

    def reference(self, left: Array, right: Array) -> Sequence[Array]:
        (holds,) = super().reference(left, right)
        return (holds.astype(left.dtype),)


@declare
class Greater(Comparison):
    """1 where left > right, else 0."""

    name = "greater"
    drawn = "({x} - {partner}) * {name}({x}, {partner})"
    function = numpys("greater")


@declare
class Equal(Comparison):
    """1 where left is right to the last bit, else 0."""

    name = "equal"
    drawn = "({x} - {partner}) * {name}({x}, maximum({x}, {partner}))"
    function = numpys("equal")
