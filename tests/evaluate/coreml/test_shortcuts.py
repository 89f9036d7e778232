"""Products that only turn a value, and sums over the taps of a kernel with channels last: the bits of the plain way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mctc.evaluate.coreml import Evaluator
from mctc.evaluate.coreml.ops.linear import matmul
from mctc.evaluate.coreml.ops.selection import Selection, selection
from mctc.evaluate.coreml.ops.window_products import by_taps
from mctc.evaluate.coreml.plan import Options, compile_function
from mctc.evaluate.coreml.steps import ComputeStep
from mctc.package import TensorType
from tests.evaluate.coreml.conftest import Sketch, constant

UNIT, SHUFFLED = np.eye(4, dtype=np.float32), np.eye(4, dtype=np.float32)[[2, 0, 3, 3]]
CASES: dict[str, tuple[str, np.ndarray, dict[str, bool], tuple[int, ...]]] = {
    "frames and channels": ("x", UNIT[None, None], {"transpose_y": True}, (1, 1, 9, 4)),
    "and back": ("y", UNIT[None, None], {"transpose_x": True}, (1, 1, 4, 9)),
    "rows in another order": ("x", SHUFFLED, {}, (2, 4, 5)),
    "columns in another order": ("y", SHUFFLED.T, {}, (2, 5, 4)),
    "a matrix that is turned itself": ("y", SHUFFLED, {"transpose_y": True}, (5, 4)),
}


def array(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("odd", [None, -0.0, np.inf, np.nan])
def test_a_selection_gives_what_the_product_gives(case: str, odd: float | None) -> None:
    name, matrix, options, shape = CASES[case]
    other = array(*shape)
    if odd is not None:
        other[(0,) * other.ndim] = odd
    found = selection(name, matrix, options)
    assert found is not None
    operands = {name: matrix, "y" if name == "x" else "x": other}
    with np.errstate(invalid="ignore"):
        expected = matmul(**operands, **options)
        made = found(**{key: value for key, value in operands.items() if key != name})
    assert made.shape == expected.shape
    assert made.flags.c_contiguous
    np.testing.assert_array_equal(made, expected)
    np.testing.assert_array_equal(np.signbit(made[np.isfinite(made)]), np.signbit(expected[np.isfinite(expected)]))


@pytest.mark.parametrize(
    "matrix", [2 * UNIT, np.ones((4, 4), np.float32), UNIT[[0, 1, 2]].T, np.stack([UNIT, SHUFFLED]), UNIT[0]],
    ids=["twos", "sums", "an empty row", "several", "a vector"],
)  # fmt: skip
def test_any_other_matrix_is_multiplied(matrix: np.ndarray) -> None:
    assert selection("x", matrix, {}) is None


def test_an_operand_that_does_not_fit_fails_as_the_product_does() -> None:
    with pytest.raises(ValueError, match="mismatch"):
        Selection(True, UNIT, {})(y=array(5, 3))


def test_what_a_program_turns_is_not_rounded_again() -> None:
    sketch = Sketch()
    sketch.input("v", "fp16", (1, 1, 9, 4))
    unit = constant(UNIT[None, None].astype(np.float16))
    sketch.op("matmul", {"t": TensorType("fp16", (1, 1, 4, 9))}, x=unit, y="v", transpose_y=constant(np.array(True)))
    package = sketch.package(["t"])
    (step,) = compile_function(package.functions[package.default_function], Options("fp16", True, True)).steps
    assert isinstance(step, ComputeStep)
    assert isinstance(step.call, Selection)
    assert not step.outputs[0].rounds
    function = Evaluator(package).function()
    given = array(1, 1, 9, 4).astype(np.float16)
    np.testing.assert_array_equal(function({"v": given})["t"], np.swapaxes(given, -1, -2))


@pytest.mark.parametrize(
    ("shape", "kernel", "strides", "dilations"),
    [((2, 40, 1, 11), (1, 4), (1, 1), (1, 1)), ((1, 64, 9), (3,), (2,), (2,)), ((1, 3, 8, 30), (2, 3), (1, 2), (1, 1))],
    ids=["more channels than places", "strides", "fewer channels"],
)
def test_sums_over_taps_are_in_the_order_of_taps(shape: Any, kernel: Any, strides: Any, dilations: Any) -> None:
    x, weight = array(*shape), array(shape[1], 1, *kernel)
    out = [(n - (k - 1) * d - 1) // s + 1 for n, k, s, d in zip(shape[2:], kernel, strides, dilations)]
    expected = np.zeros((*shape[:2], *out), np.float32)
    for tap in np.ndindex(*kernel):
        here = tuple(slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in zip(tap, dilations, out, strides))
        factor = weight[(slice(None), 0, *tap)].reshape(-1, *[1] * len(out))
        expected += x[(slice(None), slice(None), *here)] * factor
    found = by_taps(x, weight, out, strides, dilations)
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected)
