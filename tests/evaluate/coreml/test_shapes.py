"""Shapes of a function's values for given shapes of its inputs; the fixture `check` holds every single op to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mctc.evaluate.coreml import Evaluator
from mctc.evaluate.coreml.declaration import REGISTRY
from mctc.evaluate.coreml.shapes import at_shapes
from mctc.evaluate.coreml.shapes.rules import LISTS, MOVES, RULES
from mctc.package import Block, Function, ListType, NamedType, Package, TensorType
from tests.evaluate.coreml.conftest import Sketch

Const = Callable[..., Any]
OPEN = TensorType("fp32", (None, None))


def outputs(package: Package, **shapes: tuple[int, ...]) -> list[Any]:
    """The shapes of the function's results."""
    found = at_shapes(package.functions["main"], shapes)
    assert found.misfit is None
    return [item.type.shape for item in found.function.outputs if isinstance(item.type, TensorType)]


def test_every_op_of_the_evaluator_has_a_rule() -> None:
    known = {*RULES, *MOVES, *LISTS, "shape"}
    assert {name for name in REGISTRY if not name.startswith("constexpr_")} == known


def test_a_size_computed_from_sizes_is_followed_to_where_it_is_used(sketch: Sketch, const: Const) -> None:
    sketch.input("x", "fp32", (2, None))
    sketch.op("shape", {"s": TensorType("int32", (2,))}, x="x")
    sketch.op("gather", {"n": TensorType("int32", ())}, x="s", indices=const(1), axis=const(0))
    sketch.op("mul", {"m": TensorType("int32", ())}, x="n", y=const(2))
    sketch.op("concat", {"v": TensorType("int32", (2,))}, values=["m", const(1)], axis=const(0))
    sketch.op("reshape", {"y": OPEN}, x="x", shape="v")
    assert outputs(sketch.package(["y"]), x=(2, 30)) == [(60, 1)]
    assert Evaluator(sketch.package(["y"])).function()({"x": np.zeros((2, 30), np.float32)})["y"].shape == (60, 1)


def test_an_extent_that_only_a_run_tells_stays_open_and_the_others_are_known(sketch: Sketch, const: Const) -> None:
    sketch.input("x", "fp32", (None, 8))
    sketch.op("non_zero", {"places": TensorType("int32", (None, 2))}, x="x")
    sketch.op("gather_nd", {"chosen": TensorType("fp32", (None,))}, x="x", indices="places")
    sketch.op("expand_dims", {"wide": OPEN}, x="chosen", axes=const([1]))
    sketch.op("mul", {"y": OPEN}, x="wide", y=const(np.ones((1, 5), np.float32)))
    sketch.op("shape", {"s": TensorType("int32", (2,))}, x="y")
    sketch.op("gather", {"n": TensorType("int32", ())}, x="s", indices=const(1), axis=const(0))
    sketch.op("fill", {"z": TensorType("fp32", (None,))}, shape="n", value=const(1.0))
    assert outputs(sketch.package(["y", "z"]), x=(4, 8)) == [(None, 5), (5,)]


def test_the_first_op_that_does_not_fit_is_named(sketch: Sketch, const: Const) -> None:
    sketch.input("x", "fp32", (1, 2, None))
    weight = const(np.zeros((4, 2, 5), np.float32))
    sketch.op("conv", {"y": TensorType("fp32", (1, 4, None))}, x="x", weight=weight)
    sketch.op("relu", {"z": TensorType("fp32", (1, 4, None))}, x="y")
    function = sketch.package(["z"]).functions["main"]
    assert at_shapes(function, {"x": (1, 2, 5)}).misfit is None
    misfit = at_shapes(function, {"x": (1, 2, 4)}).misfit
    assert misfit is not None
    assert (misfit.operation.type, misfit.reason) == ("conv", "a window of 5 doesn't fit into 4")


def test_a_branch_that_may_never_run_is_no_misfit(sketch: Sketch, const: Const) -> None:
    sketch.input("x", "fp32", (1, 2, None))
    sketch.input("long", "bool", ())
    inner = Sketch()
    inner.op("conv", {"a": TensorType("fp32", (1, 2, None))}, x="x", weight=const(np.zeros((2, 2, 5), np.float32)))
    blocks = [Block((), ("a",), tuple(inner.operations)), Block((), ("x",), ())]
    sketch.op("cond", {"y": TensorType("fp32", (1, 2, None))}, blocks=blocks, pred="long")
    assert outputs(sketch.package(["y"]), x=(1, 2, 4)) == [(1, 2, None)]


def loop(sketch: Sketch, const: Const, *, grows: bool) -> Function:
    """x doubled, or joined with itself, until a counter ends."""
    value = NamedType("v", TensorType("fp32", (None, 3)))
    sketch.input("x", "fp32", (None, 3))
    sketch.input("n", "int32", ())
    test, body = Sketch(), Sketch()
    test.op("less", {"go": TensorType("bool", ())}, x="i", y=const(3))
    body.op("add", {"next": TensorType("int32", ())}, x="i", y=const(1))
    if grows:
        body.op("concat", {"w": TensorType("fp32", (None, 3))}, values=["v", "v"], axis=const(0))
    else:
        body.op("add", {"w": TensorType("fp32", (None, 3))}, x="v", y="v")
    variables = (NamedType("i", TensorType("int32", ())), value)
    blocks = [
        Block(variables, ("go",), tuple(test.operations)),
        Block(variables, ("next", "w"), tuple(body.operations)),
    ]
    results = {"j": TensorType("int32", ()), "y": TensorType("fp32", (None, 3))}
    sketch.op("while_loop", results, blocks=blocks, loop_vars=["n", "x"])
    return sketch.package(["y"]).functions["main"]


@pytest.mark.parametrize(("grows", "shape"), [(False, (7, 3)), (True, (None, 3))])
def test_a_loop_keeps_the_extents_that_its_body_keeps(
    sketch: Sketch, const: Const, grows: bool, shape: tuple[int | None, ...]
) -> None:
    found = at_shapes(loop(sketch, const, grows=grows), {"x": (7, 3), "n": ()})
    (output,) = found.function.outputs
    assert output.type == TensorType("fp32", shape)
    inner = {item.name: item.type for each in found.function.walk() for item in each.outputs}
    assert inner["w"] == TensorType("fp32", shape)


def test_elements_of_a_list_get_their_extents_from_what_is_written(sketch: Sketch, const: Const) -> None:
    many = ListType(TensorType("fp32", (None, 3)), None)
    sketch.input("x", "fp32", (None, 3))
    sketch.op("make_list", {"l": many}, elem_shape=[const("is0"), const(3)], dtype=const("fp32"))
    sketch.op("list_write", {"m": many}, ls="l", index=const(0), value="x")
    sketch.op("list_gather", {"y": TensorType("fp32", (None, None, 3))}, ls="m", indices=const([0, 0]))
    assert outputs(sketch.package(["y"]), x=(5, 3)) == [(2, 5, 3)]


def test_a_large_value_is_sized_and_not_computed(sketch: Sketch, const: Const) -> None:
    sketch.input("x", "fp32", (1, None, 1))
    sketch.op("tile", {"t": TensorType("fp32", (1, None, None))}, x="x", reps=const([1, 1, 1000]))
    sketch.op("transpose", {"u": TensorType("fp32", (1, None, None))}, x="t", perm=const([0, 2, 1]))
    sketch.op("reshape", {"y": TensorType("fp32", (None, 4))}, x="u", shape=const([-1, 4]))
    assert outputs(sketch.package(["y"]), x=(1, 4000000, 1)) == [(10**9, 4)]


def test_values_with_several_open_extents_are_passed_over(sketch: Sketch, const: Const) -> None:
    many = TensorType("fp32", (None, None, None, 4))
    sketch.input("x", "fp32", (None, None, None, 4))
    sketch.op("relu", {"a": many}, x="x")
    sketch.op("transpose", {"b": TensorType("fp32", (None, None, 4, None))}, x="a", perm=const([1, 0, 3, 2]))
    sketch.op("expand_dims", {"c": TensorType("fp32", (None, None, 4, None, 1))}, x="b", axes=const([4]))
    sketch.op("reduce_sum", {"y": OPEN}, x="a", axes=const([0, 1, 2]), keep_dims=const(False))
    sketch.op("matmul", {"z": many}, x="a", y=const(np.ones((4, 6), np.float32)))
    assert outputs(sketch.package(["c", "y", "z"])) == [(None, None, 4, None, 1), (4,), (None, None, None, 6)]


def test_an_empty_axis_beside_a_huge_one_costs_nothing(sketch: Sketch, const: Const) -> None:
    sketch.input("x", "fp32", (None, None))
    sketch.op("transpose", {"y": OPEN}, x="x", perm=const([1, 0]))
    assert outputs(sketch.package(["y"]), x=(1 << 30, 0)) == [(0, 1 << 30)]
