"""What a report says of the engine's arithmetic, and the bounds of sums."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.engine_numbers import EngineNumbers
from mctc.linter.coreml.formats.arithmetic_lines import arithmetic_lines
from mctc.linter.coreml.graph import PackageGraph
from mctc.linter.coreml.notation import read_notation
from mctc.linter.coreml.sum_bounds import largest_sum
from mctc.package import Constant, Package, TensorType
from tests.evaluate.coreml.conftest import Sketch, constant

PROGRAM = """
x: fp16[1, 512, 1, 64]
for _ in range(6):
    x: fp16[1, 512, 1, 64] = conv(x=x, weight=fp16[512, 512, 1, 3], pad_type="custom", pad=[0, 0, 1, 1])
    x: fp16[1, 512, 1, 64] = sigmoid(x=x)
    x: fp16[1, 512, 1, 64] = softmax(x=x, axis=1)
return x
"""


def numbers_for(device: str) -> EngineNumbers | None:
    (function,) = check_package(read_notation(PROGRAM), (), device=device).functions
    return function.numbers


def test_ops_on_the_engine_are_counted_by_what_is_known_of_them() -> None:
    found = numbers_for("M6")
    assert found is not None
    assert found.family == "h18g"
    assert dict(found.ops["as measured"]) == {"conv": 6}
    assert dict(found.ops["by tables that were read"]) == {"sigmoid": 6}
    assert dict(found.ops["whose arithmetic isn't published"]) == {"softmax": 6}
    assert (found.sums, found.bounded) == (6, 5)  # all but the first, whose input is free
    told = list(arithmetic_lines(found))
    assert told[0] == "6 ops as measured: 6 conv"
    assert told[-1].startswith("sums of 5 of 6 ops are bounded by the file: 0 at most")


def test_families_without_tables_and_without_anything_published() -> None:
    found = numbers_for("M4")
    assert found is not None
    assert dict(found.ops["whose arithmetic isn't published"]) == {"sigmoid": 6, "softmax": 6}
    assert numbers_for("M1") is None
    assert list(arithmetic_lines(None)) == []


def test_nothing_on_the_engine_has_no_arithmetic() -> None:
    package = read_notation("x: fp16[1, 8]\ny: fp16[1, 8] = relu(x=x)\nreturn y")
    assert check_package(package, (), device="M6").functions[0].numbers is None


def bound_of(package: Package) -> float | None:
    return largest_sum(PackageGraph(package).functions["main"].ops[-1])


def behind_a_norm(weight: np.ndarray, gamma: np.ndarray, beta: np.ndarray) -> Package:
    sketch = Sketch()
    width, shape = len(gamma), (1, len(gamma), 1, 4)
    sketch.input("x", "fp16", shape)
    given: dict[str, Constant] = {"gamma": constant(gamma), "beta": constant(beta)}
    axes = constant(np.array([1], np.int32))
    sketch.op("layer_norm", {"n": TensorType("fp16", shape)}, x="x", axes=axes, **given)
    made = {"y": TensorType("fp16", (1, len(weight), 1, 4))}
    sketch.op("conv", made, x="n", weight=constant(weight.reshape(-1, width, 1, 1)), bias=constant(weight[:, 0]))
    return sketch.package(["y"])


@pytest.mark.parametrize("seed", range(3))
def test_no_part_of_a_sum_behind_a_norm_is_beyond_its_bound(seed: int) -> None:
    """And the worst input comes near it."""
    rng = np.random.default_rng(seed)
    weight, gamma, beta = (rng.standard_normal(shape).astype(np.float16) for shape in ((5, 32), (32,), (32,)))
    found = bound_of(behind_a_norm(weight, gamma, beta))
    assert found is not None
    worst = 0.0
    for row in weight.astype(np.float64):
        for x in (row * gamma, *rng.standard_normal((50, 32))):
            normal = (x - x.mean()) / x.std() * gamma + beta
            for order in (np.argsort(row * normal), np.argsort(-row * normal)):
                worst = max(worst, np.abs(row[0] + np.cumsum((row * normal)[order])).max())
    assert worst <= found <= 6 * worst


def test_a_quantised_value_is_bounded_by_its_scale_and_int8_sums_are_not_asked() -> None:
    wide = """
        q: int8[1, 64, 1, 8]
        x: fp16[1, 64, 1, 8] = dequantize(input=q, scale=fp16(0.5))
        y: fp16[1, 8, 1, 8] = conv(x=x, weight=fp16[8, 64, 1, 1](2.0))
        return y
    """
    assert bound_of(read_notation(_aligned(wide))) == 64 * 64 * 2
    packed = "constexpr_blockwise_shift_scale(data=int8[8, 64, 1, 1](4), scale=fp16[8, 1, 1, 1](0.5))"
    narrow = wide.replace("fp16[8, 64, 1, 1](2.0)", "w").replace("y: fp16", f"w: fp16[8, 64, 1, 1] = {packed}\ny: fp16")
    assert bound_of(read_notation(_aligned(narrow))) is None


def test_a_packed_weight_is_unpacked_and_a_free_value_bounds_nothing() -> None:
    text = """
        x: fp16[1, 64, 1, 8]
        s: fp16[1, 64, 1, 8] = sigmoid(x=x)
        w: fp16[8, 64, 1, 1] = constexpr_blockwise_shift_scale(data=int8[8, 64, 1, 1](4), scale=fp16[8, 1, 1, 1](0.5))
        y: fp16[1, 8, 1, 8] = conv(x=s, weight=w)
        return y
    """
    assert bound_of(read_notation(_aligned(text))) == 128
    assert bound_of(read_notation(_aligned(text.replace("x=s", "x=x")))) is None


def _aligned(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())
