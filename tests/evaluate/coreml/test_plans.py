"""States, precision, and what is said about programs that can't run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mctc.evaluate.coreml import EvaluationError, Evaluator, TypeMismatch, UnsupportedOp
from mctc.package import NamedType, Operation, TensorType
from tests.evaluate.coreml.conftest import constant

FP32 = TensorType("fp32", (2,))
FP16 = TensorType("fp16", (2,))


def counter(sketch: Any) -> Any:
    """A function that adds its input to a state and returns the sum."""
    sketch.input("x", "fp16", (2,))
    sketch.state("total", (2,))
    sketch.op("read_state", {"before": FP16}, input="total")
    sketch.op("add", {"after": FP16}, x="before", y="x")
    sketch.op("write_state", {}, input="total", data="after")
    return Evaluator(sketch.package(["after"])).function()


def test_a_state_lives_across_calls_and_can_be_copied(sketch: Any) -> None:
    fn = counter(sketch)
    x, state = np.array([1.0, 2.0], np.float16), fn.make_state()
    fn({"x": x}, state)
    snapshot = state.copy()
    second = fn({"x": x}, state)["after"]
    assert second.dtype == np.float16
    np.testing.assert_array_equal(second, [2, 4])
    np.testing.assert_array_equal(snapshot["total"], [1, 2])
    np.testing.assert_array_equal(fn({"x": x}, snapshot)["after"], [2, 4])


def test_a_state_is_read_as_it_was_even_when_written_later(sketch: Any) -> None:
    sketch.input("x", "fp16", (2,))
    sketch.state("last", (2,))
    sketch.op("read_state", {"before": FP16}, input="last")
    sketch.op("coreml_update_state", {"now": FP16}, state="last", value="x")
    sketch.op("sub", {"change": FP16}, x="now", y="before")
    fn = Evaluator(sketch.package(["change", "before"])).function()
    state = fn.make_state()
    x = np.array([3.0, 5.0], np.float16)
    fn({"x": x}, state)
    x[:] = 9  # the caller's array is the caller's
    found = fn({"x": np.array([4.0, 4.0], np.float16)}, state)
    np.testing.assert_array_equal(found["before"], [3, 5])
    np.testing.assert_array_equal(found["change"], [1, -1])


def test_setting_a_state_checks_its_shape_and_rounds(sketch: Any) -> None:
    state = counter(sketch).make_state()
    state["total"] = np.array([0.1, 1e6])
    np.testing.assert_array_equal(state["total"], np.array([0.1, np.inf], np.float16).astype(np.float32))
    with pytest.raises(EvaluationError, match="shape"):
        state["total"] = np.zeros(3)
    with pytest.raises(EvaluationError, match="no state 'totl'"):
        state["totl"] = np.zeros(2)


def test_fp16_rounds_after_every_op_and_fp32_never(sketch: Any) -> None:
    sketch.input("x", "fp16", (3,))
    type_ = TensorType("fp16", (3,))
    sketch.op("mul", {"y": type_}, x="x", y="x")
    sketch.op("add", {"z": type_}, x="y", y="x")
    package = sketch.package(["z"])
    x = np.array([0.333, 300.0, 1e-5], np.float16)
    half = Evaluator(package, "fp16").function()({"x": x})["z"]
    with np.errstate(over="ignore"):
        square = (x.astype(np.float32) ** 2).astype(np.float16)
    np.testing.assert_array_equal(half, (square.astype(np.float32) + x.astype(np.float32)).astype(np.float16))
    assert np.isinf(half[1])
    wide = Evaluator(package, "fp32").function()({"x": x})["z"]
    np.testing.assert_allclose(wide, x.astype(np.float64) ** 2 + x.astype(np.float64), rtol=1e-6)


def test_a_matrix_product_is_accumulated_in_float32(sketch: Any, const: Any) -> None:
    sketch.input("x", "fp16", (1, 4096))
    weight = const(np.full((1, 4096), 1, np.float16))
    sketch.op("linear", {"y": TensorType("fp16", (1, 1))}, x="x", weight=weight)
    found = Evaluator(sketch.package(["y"])).function()({"x": np.full((1, 4096), 0.25, np.float16)})["y"]
    assert found[0, 0] == 1024


def test_constants_need_not_be_kept(sketch: Any, const: Any) -> None:
    weight = np.random.default_rng(0).integers(-8, 8, (200, 100)).astype(np.int8)
    scale = np.full((200, 1), 0.5, np.float16)
    sketch.input("x", "fp16", (1, 100))
    dense = {"w": TensorType("fp16", (200, 100))}
    sketch.op("constexpr_blockwise_shift_scale", dense, data=const(weight, "int4"), scale=const(scale))
    sketch.op("linear", {"y": TensorType("fp16", (1, 200))}, x="x", weight="w")
    sketch.op("linear", {"z": TensorType("fp16", (1, 200))}, x="x", weight="w")
    package, x = sketch.package(["y", "z"]), {"x": np.ones((1, 100), np.float16)}
    kept = Evaluator(package).function()(x)
    read = Evaluator(package, keep_weights=False).function()(x)
    np.testing.assert_array_equal(kept["y"], weight.astype(np.float32).sum(axis=1)[None] / 2)
    for name in ("y", "z"):
        np.testing.assert_array_equal(read[name], kept["y"])


def test_the_observer_sees_every_operation(sketch: Any) -> None:
    sketch.input("x", "fp32", (2,))
    sketch.op("relu", {"y": FP32}, x="x")
    sketch.op("exp", {"z": FP32}, x="y")
    seen: list[tuple[str, list[tuple[int, ...]]]] = []
    package = sketch.package(["z"])
    Evaluator(package, observe=lambda op, values: seen.append((op.type, [v.shape for v in values]))).function()(
        {"x": np.zeros(2, np.float32)}
    )
    assert seen == [("relu", [(2,)]), ("exp", [(2,)])]


def test_a_missing_op_is_named_with_its_place(sketch: Any) -> None:
    sketch.input("x", "fp32", (2,))
    sketch.op("relu", {"y": FP32}, x="x")
    sketch.op("frobnicate", {"z": FP32}, x="y")
    with pytest.raises(UnsupportedOp, match=r"operation 1, frobnicate 'the_frobnicate'.*doesn't have the op"):
        Evaluator(sketch.package(["z"])).function()


MISMATCHES = [
    ("relu", TensorType("fp32", (3,)), {"x": "x"}, r"'y' is declared fp32\[3\], computed float32\[2\]"),
    ("relu", TensorType("fp16", (2,)), {"x": "x"}, r"'y' is declared fp16\[2\], the op gives fp32"),
    ("add", FP32, {"x": "x", "y": "h"}, "x fp32, y fp16"),
    ("equal", FP32, {"x": "x", "y": "x"}, r"declared fp32\[2\], the op gives bool"),
    ("concat", FP32, {"values": ["x", "h"]}, "'values' mixes fp32 and fp16"),
    ("coreml_update_state", FP16, {"state": "s", "value": "x"}, r"state 's' holds fp16\[2\], this is fp32\[2\]"),
]


@pytest.mark.parametrize(("op", "declared", "operands", "message"), MISMATCHES)
def test_a_wrong_type_is_named_with_its_place(
    sketch: Any, op: str, declared: TensorType, operands: dict[str, Any], message: str
) -> None:
    sketch.input("x", "fp32", (2,))
    sketch.input("h", "fp16", (2,))
    sketch.state("s", (2,))
    extra = {"axis": constant(0)} if op == "concat" else {}
    sketch.op(op, {"y": declared}, **operands, **extra)

    def run() -> None:
        fn = Evaluator(sketch.package(["y"])).function()
        fn({"x": np.zeros(2, np.float32), "h": np.zeros(2, np.float16)}, fn.make_state())

    with pytest.raises(TypeMismatch, match=message) as caught:
        run()
    assert f"operation 0, {op}" in str(caught.value)


def test_types_are_believed_when_told_so(sketch: Any) -> None:
    sketch.input("x", "fp32", (2,))
    sketch.op("relu", {"y": TensorType("fp32", (3,))}, x="x")
    found = Evaluator(sketch.package(["y"]), check_types=False).function()({"x": np.ones(2, np.float32)})
    np.testing.assert_array_equal(found["y"], [1, 1])


INPUTS = [
    ({}, "missing: x"),
    ({"x": np.zeros(2), "z": np.zeros(1), "i": np.zeros(1, int)}, "unknown: z"),
    ({"x": np.zeros(3), "i": np.zeros(1, int)}, r"input x: fp16\[2\]: an array of shape \[3\]"),
    ({"x": np.array(["a", "b"]), "i": np.zeros(1, int)}, "an array of <U1"),
    ({"x": np.zeros(2), "i": np.array([1 << 40])}, "don't fit"),
    ({"x": np.zeros(2), "i": np.array([0.5])}, "an array of float64"),
]


@pytest.mark.parametrize(("inputs", "message"), INPUTS)
def test_wrong_inputs_are_named(sketch: Any, inputs: dict[str, np.ndarray], message: str) -> None:
    sketch.input("x", "fp16", (2,))
    sketch.input("i", "int32", (1,))
    sketch.op("relu", {"y": FP16}, x="x")
    with pytest.raises(EvaluationError, match=message):
        Evaluator(sketch.package(["y"])).function()(inputs)


def test_an_extent_known_at_run_time_only_may_vary(sketch: Any) -> None:
    sketch.input("x", "fp32", (None, 2))
    sketch.op("relu", {"y": TensorType("fp32", (None, 2))}, x="x")
    fn = Evaluator(sketch.package(["y"])).function()
    assert [fn({"x": np.zeros((n, 2))})["y"].shape for n in (1, 5)] == [(1, 2), (5, 2)]


BROKEN = [
    ("add", {"x": "x", "y": "nowhere"}, "the value 'nowhere' isn't defined"),
    ("reshape", {"x": "x", "shape": constant([3])}, "operation 0, reshape 'the_reshape': cannot reshape"),
    ("gather", {"x": "x", "indices": constant([7])}, "out of bounds"),
    ("relu", {"x": "x", "leak": "x"}, "relu 'the_relu': the op has no operand 'leak'; it has: x"),
    ("layer_norm", {"axes": constant([0])}, "operand 'x' is missing"),
    ("read_state", {"input": "x"}, "'input' isn't a state"),
]


@pytest.mark.parametrize(("op", "operands", "message"), BROKEN)
def test_a_broken_operation_is_named(sketch: Any, op: str, operands: dict[str, Any], message: str) -> None:
    sketch.input("x", "fp32", (2,))
    sketch.op(op, {"y": FP32}, **operands)
    with pytest.raises(EvaluationError, match=message):
        Evaluator(sketch.package(["y"])).function()({"x": np.zeros(2)})


def test_a_missing_state_and_a_foreign_state_are_told(sketch: Any) -> None:
    fn = counter(sketch)
    with pytest.raises(EvaluationError, match="make_state"):
        fn({"x": np.zeros(2)})
    other = type(sketch)()
    other.state("total", (3,))
    other.op("read_state", {"y": TensorType("fp16", (3,))}, input="total")
    foreign = Evaluator(other.package(["y"])).function().make_state()
    with pytest.raises(EvaluationError, match="of another function"):
        fn({"x": np.zeros(2)}, foreign)


def test_an_unknown_function_is_told_with_a_near_name(sketch: Any) -> None:
    sketch.input("x", "fp32", (2,))
    sketch.op("relu", {"y": FP32}, x="x")
    with pytest.raises(EvaluationError, match="no function 'mian'") as caught:
        Evaluator(sketch.package(["y"])).function("mian")
    assert caught.value.hint == "did you mean 'main'?"


def test_a_const_whose_value_is_of_another_type_is_named(sketch: Any) -> None:
    wrong = Operation(0, "const", "scale", {}, (NamedType("c", TensorType("int32", (3,))),), {"val": constant(1.0)})
    sketch.operations.append(wrong)
    with pytest.raises(TypeMismatch, match=r"operation 0, const 'scale': declared int32\[3\], the value is fp32\[\]"):
        Evaluator(sketch.package(["c"])).function()


@pytest.mark.parametrize(
    ("op", "operands", "said"),
    [
        ("tile", {"reps": [1, 0]}, r"reps is \[1, 0\]"),
        ("tile", {"reps": [2]}, "reps has 1 numbers for 2 axes"),
        ("upsample_nearest_neighbor", {"scale_factor_height": 0}, "2 elements times 0 are none"),
        ("sliding_windows", {"axis": 0, "size": 1, "stride": 0}, r"stride is \[0\]"),
    ],
)
def test_a_count_of_zero_is_an_error_at_its_op(
    sketch: Any, const: Any, op: str, operands: dict[str, Any], said: str
) -> None:
    sketch.input("x", "fp32", (2, 2))
    named = {name: const(np.asarray(value, np.int32)) for name, value in operands.items()}
    sketch.op(op, {"y": TensorType("fp32", None)}, x="x", **named)
    with pytest.raises(EvaluationError, match=f"{op} 'the_{op}': {said}"):
        Evaluator(sketch.package(["y"])).function()({"x": np.ones((2, 2), np.float32)})


@pytest.mark.parametrize("variable", ["x", "y"])
def test_a_constant_factor_takes_the_type_of_the_other_one(sketch: Any, const: Any, variable: str) -> None:
    sketch.input("v", "int32", (2, 2))
    weight = const(np.eye(2, dtype=np.float32))
    operands = {variable: "v", "y" if variable == "x" else "x": weight}
    sketch.op("matmul", {"product": TensorType("int32", (2, 2))}, **operands)
    sketch.op("linear", {"again": TensorType("int32", (2, 2))}, x="product", weight=weight)
    given = np.array([[1, 2], [3, 4]], np.int32)
    found = Evaluator(sketch.package(["product", "again"])).function()({"v": given})
    np.testing.assert_array_equal(found["product"], given)
    np.testing.assert_array_equal(found["again"], given)


def test_rounding_a_result_leaves_operands_and_constants_as_they_were(sketch: Any, const: Any) -> None:
    stored = const(np.full(5000, 0.1, np.float32))
    sketch.input("x", "fp32", (5000,))
    half = TensorType("fp16", (5000,))
    sketch.op("cast", {"a": half}, x="x", dtype=constant("fp16"))
    sketch.op("cast", {"b": half}, x=stored, dtype=constant("fp16"))
    sketch.op("cast", {"c": TensorType("fp32", (5000,))}, x=stored, dtype=constant("fp32"))
    sketch.op("add", {"d": TensorType("fp32", (5000,))}, x="x", y="c")
    given = np.full(5000, 0.1, np.float32)
    found = Evaluator(sketch.package(["a", "b", "d"])).function()({"x": given})
    assert found["a"][0] == found["b"][0] == np.float16(0.1)
    np.testing.assert_array_equal(found["d"], given + given)


def test_attributes_that_say_how_a_constant_is_kept_change_no_value(sketch: Any, const: Any) -> None:
    aligned = {"alignments": const(np.array([1, 64], np.int32)), "name": constant("w")}
    three = TensorType("fp32", (3,))
    stored = Operation(0, "const", "c", {}, (NamedType("c", three),), {**aligned, "val": const(np.ones(3, np.float32))})
    packed = {
        "quantized_data": const(np.array([1, 2, 3], np.int8)),
        "zero_point": const(np.int8(0)),
        "scale": const(0.5),
        "axis": const(0),
    }
    unpacked = Operation(1, "constexpr_affine_dequantize", "w", {}, (NamedType("w", three),), {**aligned, **packed})
    sketch.operations += [stored, unpacked]
    sketch.op("add", {"y": three}, x="c", y="w")
    np.testing.assert_array_equal(Evaluator(sketch.package(["y"])).function()({})["y"], [1.5, 2.0, 2.5])
