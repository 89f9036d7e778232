"""Control flow, and the lists that loops fill."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mctc.evaluate.coreml import EvaluationError, Evaluator
from mctc.package import Block, ListType, NamedType, Operation, Reference, TensorType
from tests.evaluate.coreml.conftest import constant

FP32 = TensorType("fp32", (2,))
INT = TensorType("int32", ())
BOOL = TensorType("bool", ())


def bound(*names: str) -> tuple[Reference, ...]:
    return tuple(map(Reference, names))


def inner(place: int, type_: str, result: NamedType, /, **operands: Any) -> Operation:
    """An operation inside a block."""
    bindings = {key: bound(value) if isinstance(value, str) else (value,) for key, value in operands.items()}
    return Operation(place, type_, f"inner_{type_}", bindings, (result,), {})


@pytest.mark.parametrize(("predicate", "expected"), [(True, [3, 4]), (False, [-1, -2])])
def test_cond_runs_one_branch(sketch: Any, predicate: bool, expected: list[int]) -> None:
    sketch.input("pred", "bool", ())
    sketch.input("x", "fp32", (2,))
    then = Block((), ("t",), (inner(1, "add", NamedType("t", FP32), x="x", y="two"),))
    other = Block((), ("o",), (inner(2, "sub", NamedType("o", FP32), x="zero", y="x"),))
    sketch.op("fill_like", {"two": FP32}, ref_tensor="x", value=constant(2.0))
    sketch.op("fill_like", {"zero": FP32}, ref_tensor="x", value=constant(0.0))
    sketch.op("cond", {"y": FP32}, blocks=(then, other), pred="pred")
    fn = Evaluator(sketch.package(["y"])).function()
    found = fn({"pred": np.array(predicate), "x": np.array([1.0, 2.0], np.float32)})["y"]
    np.testing.assert_array_equal(found, expected)


def loop(sketch: Any, limit: int) -> Any:
    """while i < limit: total, i = total + total, i + 1; the rows are collected in a list."""
    kind = ListType(FP32, None)
    sketch.input("x", "fp32", (2,))
    sketch.input("i", "int32", ())
    sketch.op("make_list", {"ls": kind}, elem_shape=[constant(2)], dtype=constant("fp32"))
    heads = tuple(NamedType(f"c_{n}", t) for n, t in (("i", INT), ("x", FP32), ("ls", kind)))
    tails = tuple(NamedType(f"b_{n}", t) for n, t in (("i", INT), ("x", FP32), ("ls", kind)))
    condition = Block(heads, ("go",), (inner(1, "less", NamedType("go", BOOL), x="c_i", y=constant(limit)),))
    body = Block(
        tails,
        ("next", "double", "longer"),
        (
            inner(2, "add", NamedType("double", FP32), x="b_x", y="b_x"),
            inner(3, "list_write", NamedType("longer", kind), ls="b_ls", index="b_i", value="double"),
            inner(4, "add", NamedType("next", INT), x="b_i", y=constant(1)),
        ),
    )
    results = {"count": INT, "y": FP32, "rows": kind}
    sketch.op("while_loop", results, blocks=(condition, body), loop_vars=["i", "x", "ls"])
    sketch.op("list_length", {"length": INT}, ls="rows")
    sketch.op("list_gather", {"picked": TensorType("fp32", (2, 2))}, ls="rows", indices=constant([2, 0]))
    sketch.op("list_read", {"middle": FP32}, ls="rows", index=constant(1))
    two = TensorType("fp32", (1, 2))
    sketch.op("expand_dims", {"row": two}, x="x", axes=constant([0]))
    sketch.op("list_scatter", {"changed": kind}, ls="rows", indices=constant([0]), value="row")
    sketch.op("list_read", {"first": FP32}, ls="changed", index=constant(0))
    return Evaluator(sketch.package(["count", "y", "length", "picked", "middle", "first"])).function()


def test_a_loop_with_a_list(sketch: Any) -> None:
    found = loop(sketch, 3)({"x": np.array([1.0, 3.0], np.float32), "i": np.array(0, np.int32)})
    assert (found["count"], found["length"]) == (3, 3)
    np.testing.assert_array_equal(found["y"], [8, 24])
    np.testing.assert_array_equal(found["picked"], [[8, 24], [2, 6]])
    np.testing.assert_array_equal(found["middle"], [4, 12])
    np.testing.assert_array_equal(found["first"], [1, 3])


def test_an_endless_loop_is_given_up(sketch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mctc.evaluate.coreml.control.LOOP_LIMIT", 10)
    with pytest.raises(EvaluationError, match="still running after 10 iterations"):
        loop(sketch, 11)({"x": np.zeros(2, np.float32), "i": np.array(0, np.int32)})


@pytest.mark.parametrize("dynamic", [True, False])
def test_a_new_list_holds_zeros_of_its_initial_length(sketch: Any, const: Any, dynamic: bool) -> None:
    sketch.op("make_list", {"ls": ListType(FP32, None)}, elem_shape=[const(2)], init_length=const(2),
              dynamic_length=const(dynamic))  # fmt: skip
    sketch.op("list_length", {"length": INT}, ls="ls")
    sketch.op("list_read", {"last": FP32}, ls="ls", index=const(1))
    found = Evaluator(sketch.package(["length", "last"])).function()({})
    assert found["length"] == 2
    np.testing.assert_array_equal(found["last"], [0, 0])


def test_a_list_of_named_extents_takes_the_shape_of_what_is_written(sketch: Any, const: Any) -> None:
    kind = ListType(TensorType("fp32", (None, 2)), None)
    sketch.input("x", "fp32", (None, 2))
    sketch.op("make_list", {"ls": kind}, elem_shape=[constant("is0"), const(2)], init_length=const(3))
    sketch.op("list_write", {"longer": kind}, ls="ls", index=const(1), value="x")
    sketch.op("list_gather", {"y": TensorType("fp32", (3, None, 2))}, ls="longer", indices=const([0, 1, 2]))
    found = Evaluator(sketch.package(["y"])).function()({"x": np.ones((4, 2), np.float32)})["y"]
    np.testing.assert_array_equal(found[:, :, 0], [[0] * 4, [1] * 4, [0] * 4])


def test_an_element_without_a_shape_is_an_error_at_its_read(sketch: Any, const: Any) -> None:
    sketch.op("make_list", {"ls": ListType(FP32, None)}, elem_shape=[constant("is0"), const(2)])
    sketch.op("list_read", {"y": TensorType("fp32", (None, 2))}, ls="ls", index=const(0))
    with pytest.raises(EvaluationError, match="list_read 'the_list_read': element 0 has no shape"):
        Evaluator(sketch.package(["y"])).function()({})
