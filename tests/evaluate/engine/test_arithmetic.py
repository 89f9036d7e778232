"""Names of arithmetics, which ops an engine takes, and what they compute in its place."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from mctc.diagnostics.errors import UsageError
from mctc.evaluate.coreml import Evaluator
from mctc.evaluate.engine.arithmetic import arithmetic
from mctc.package import TensorType
from tests.evaluate.coreml.conftest import Sketch, constant

HALF = TensorType("fp16", (3,))


@pytest.mark.parametrize(
    ("written", "full"),
    [("fp32", "fp32"), ("FP16", "fp16"), ("engine", "engine:h18"), ("engine:h16", "engine:h16"),
     ("engine:h18:mid", "engine:h18"), ("engine::low", "engine:h18:low")],
)  # fmt: skip
def test_a_name_has_a_full_form(written: str, full: str) -> None:
    assert str(arithmetic(written)) == full
    assert str(arithmetic(full)) == full


@pytest.mark.parametrize(
    ("written", "told"),
    [("engine:h13", "contested"), ("engine:h12", "no engine family"), ("engine:h18:some", "low"),
     ("fp16:h18", "no arithmetic"), ("enigne", "no arithmetic"), ("engine:h18:low:1", "no arithmetic")],
)  # fmt: skip
def test_another_name_is_refused_with_a_reason(written: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        arithmetic(written)


@pytest.mark.parametrize(
    ("written", "hint"),
    [("engine:m6", "`engine:h18g` is that chip's"), ("engine:A17", "`engine:h16` is that chip's"),
     ("engine:m1", "are published"), ("engine:h12", "known are"), ("fp16:h18", "FAMILY"),
     ("engine:h18:low:1", "FAMILY"), ("enigne", "did you mean `engine`")],
)  # fmt: skip
def test_what_to_write_in_place_of_another_name_is_hinted(written: str, hint: str) -> None:
    with pytest.raises(UsageError) as refused:
        arithmetic(written)
    assert hint in (refused.value.hint or "")


def test_ops_that_are_placed_elsewhere_compute_in_fp16(sketch: Sketch) -> None:
    """2048 + 1 is a tie, which goes to the even neighbour in fp16 and away from zero on the engine."""
    sketch.input("x", "fp16", (3,))
    sketch.op("add", {"here": HALF}, x="x", y=constant(np.full(3, 1, np.float16)))
    sketch.op("add", {"there": HALF}, x="x", y=constant(np.full(3, 1, np.float16)))
    package = sketch.package(["here", "there"])
    given = {"x": np.full(3, 2048, np.float16)}
    found = Evaluator(package, "engine", placed={"main": {0}}).function()(given)
    assert (found["here"][0], found["there"][0]) == (2050, 2048)
    assert Evaluator(package, "engine").function()(given)["there"][0] == 2050
    assert Evaluator(package, "engine", placed={}).function()(given)["here"][0] == 2048


def test_values_that_are_not_fp16_stay_off_the_engine(sketch: Sketch) -> None:
    sketch.input("x", "fp32", (3,))
    sketch.op("add", {"y": TensorType("fp32", (3,))}, x="x", y=constant(np.full(3, 2.0**-20, np.float32)))
    found = Evaluator(sketch.package(["y"]), "engine").function()({"x": np.ones(3, np.float32)})
    assert found["y"][0] == np.float32(1 + 2.0**-20)


def test_tables_belong_to_the_families_of_which_they_were_read(sketch: Sketch) -> None:
    sketch.input("x", "fp16", (3,))
    sketch.op("sigmoid", {"y": HALF}, x="x")
    given = {"x": np.array([1.25, 0, -20], np.float16)}
    package = sketch.package(["y"])
    exact, table = (Evaluator(package, name).function()(given)["y"] for name in ("engine:h16", "engine:h18"))
    assert abs(float(exact[0]) - 1 / (1 + np.exp(-1.25))) < 2.5e-4
    assert abs(float(table[0]) - 1 / (1 + np.exp(-1.25))) > 2.5e-3
    assert table[1:].tolist() == [0.5, 0.0]


def test_gelu_has_one_table_in_every_mode(sketch: Sketch) -> None:
    sketch.input("x", "fp16", (3,))
    for mode in ("EXACT", "TANH_APPROXIMATION"):
        sketch.op("gelu", {mode: HALF}, x="x", mode=constant(mode))
    found = Evaluator(sketch.package(["EXACT", "TANH_APPROXIMATION"]), "engine").function()
    made = found({"x": np.array([-1.1, 0.3, 2.7], np.float16)})
    np.testing.assert_array_equal(made["EXACT"], made["TANH_APPROXIMATION"])


@pytest.mark.parametrize("constants", [(), ("x",), ("y",)])
def test_matrix_products_of_any_side_are_those_of_a_convolution(constants: tuple[str, ...], sketch: Sketch) -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.standard_normal(shape).astype(np.float16) for shape in ((2, 5, 40), (2, 7, 40)))
    given = {"x": x, "y": y}
    for name in ("x", "y"):
        if name not in constants:
            sketch.input(name, "fp16", given[name].shape)
    operands = {name: constant(given[name]) if name in constants else name for name in ("x", "y")}
    sketch.op("matmul", {"z": TensorType("fp16", (2, 5, 7))}, transpose_y=constant(True), **operands)
    fed = {name: array for name, array in given.items() if name not in constants}
    found = Evaluator(sketch.package(["z"]), "engine").function()(fed)["z"]
    for item in range(2):
        other = Sketch()
        other.input("x", "fp16", (1, 40, 5))
        other.op("conv", {"z": TensorType("fp16", (1, 7, 5))}, x="x", weight=constant(y[item][:, :, None]))
        made = Evaluator(other.package(["z"]), "engine").function()({"x": x[item].T[None]})["z"]
        np.testing.assert_array_equal(found[item], made[0].T)


@pytest.mark.parametrize(
    ("x", "y", "shape"),
    [((40,), (40, 7), (7,)), ((5, 40), (40,), (5,)), ((40,), (40,), ()), ((40,), (2, 40, 7), (2, 7))],
)
def test_vectors_are_rows_on_the_left_and_columns_on_the_right(
    x: tuple[int, ...], y: tuple[int, ...], shape: tuple[int, ...], sketch: Sketch
) -> None:
    rng = np.random.default_rng(3)
    given = {"x": rng.standard_normal(x).astype(np.float16), "y": rng.standard_normal(y).astype(np.float16)}
    for name, array in given.items():
        sketch.input(name, "fp16", array.shape)
    sketch.op("matmul", {"z": TensorType("fp16", shape)}, x="x", y="y")
    found = Evaluator(sketch.package(["z"]), "engine").function()(given)["z"]
    assert found.shape == shape
    assert np.abs(found - given["x"].astype(np.float32) @ given["y"].astype(np.float32)).max() < 0.01


def test_a_linear_layer_is_a_convolution(sketch: Sketch) -> None:
    rng = np.random.default_rng(1)
    x, weight, bias = (rng.standard_normal(shape).astype(np.float16) for shape in ((4, 40), (7, 40), (7,)))
    sketch.input("x", "fp16", (4, 40))
    sketch.input("columns", "fp16", (1, 40, 4))
    sketch.op("linear", {"y": TensorType("fp16", (4, 7))}, x="x", weight=constant(weight), bias=constant(bias))
    spread = {"weight": constant(weight[:, :, None]), "bias": constant(bias)}
    sketch.op("conv", {"z": TensorType("fp16", (1, 7, 4))}, x="columns", **spread)
    found = Evaluator(sketch.package(["y", "z"]), "engine").function()({"x": x, "columns": x.T[None]})
    np.testing.assert_array_equal(found["y"], found["z"][0].T)


def test_a_grouped_strided_padded_convolution_is_its_groups(sketch: Sketch) -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((2, 6, 9, 8)).astype(np.float16)
    weight = rng.standard_normal((4, 3, 3, 2)).astype(np.float16)
    options = {
        "strides": constant(np.array([2, 1], np.int32)), "pad_type": constant("custom"),
        "pad": constant(np.array([1, 0, 1, 1], np.int32)), "dilations": constant(np.array([1, 2], np.int32)),
    }  # fmt: skip
    shape = (2, 4, 4, 8)
    sketch.input("x", "fp16", x.shape)
    sketch.op("conv", {"y": TensorType("fp16", shape)}, x="x", weight=constant(weight), groups=constant(2), **options)
    evaluator = Evaluator(sketch.package(["y"]), "engine")
    tallies = evaluator.count()
    found = evaluator.function()({"x": x})["y"]
    for group in range(2):
        other, rows = Sketch(), slice(2 * group, 2 * group + 2)
        other.input("x", "fp16", (2, 3, 9, 8))
        half = constant(weight[rows])
        other.op("conv", {"y": TensorType("fp16", (2, 2, 4, 8))}, x="x", weight=half, **options)
        made = Evaluator(other.package(["y"]), "engine").function()({"x": x[:, 3 * group : 3 * group + 3]})["y"]
        np.testing.assert_array_equal(found[:, rows], made)
    exact = Evaluator(sketch.package(["y"]), "fp32").function()({"x": x})["y"]
    assert np.abs(found - exact).max() < 0.01
    assert tallies["main", 0].results == found.size


def test_a_module_of_the_engine_can_be_the_first_that_is_imported() -> None:
    """The evaluator's package uses the engine's, and that the evaluator's ops."""
    for name in ("activations", "integers"):
        done = subprocess.run([sys.executable, "-c", f"import mctc.evaluate.engine.{name}"], capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
