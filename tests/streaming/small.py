"""Small functions over [B, T, 4], built op by op."""

from __future__ import annotations

from collections.abc import Callable

from mctc.ir.location import Location, Origin
from mctc.ir.program import Function, Value
from mctc.ir.types import Role

from .programs import Case, Draft

Body = Callable[[Draft, Value], Value]
PLACE = Location("model.mct", 7, 9, 7, 20)


def small(body: Body, *, laid_out: bool = False) -> Case:
    """A program of function `f` with result `y = body(x)`; every op stands at PLACE."""
    garden = Draft(lambda strategy: None, Role.TIME, laid_out)
    garden.builder.origin = Origin(PLACE, "f.layer")
    x = garden.input(garden.type(4))
    garden.program.functions["f"] = Function("f", garden.inputs, garden.builder.ops, [("y", body(garden, x))])
    return Case(garden.program, garden.weights, Role.TIME, 1)


def conv(g: Draft, x: Value, left: int, right: int, stride: int = 1) -> Value:
    kernel = left + right + 1
    return g.op("conv1d", x, g.param(4, 4, kernel), stride=stride, pad=(left, max(0, kernel - stride - left)))
