"""No operand, however wrong, ends a check: unbound, undefined, unknown, absurd, of another type."""

from __future__ import annotations

import pytest

from tests.linter.coreml.conftest import Check

TYPES = (
    "conv", "conv_transpose", "avg_pool", "max_pool", "matmul", "linear", "pad", "pixel_shuffle", "space_to_batch",
    "upsample_bilinear", "gather", "concat", "stack", "split", "softmax", "reduce_argmax", "gelu", "silu",
)  # fmt: skip
COMPUTED = (
    "weight", "strides", "dilations", "groups", "kernel_sizes", "axis", "pad", "mode", "constant_val", "indices",
    "upscale_factor", "block_shape", "transpose_x",
)  # fmt: skip
OPERANDS = (
    "",
    "x=x",
    "x=nothing, y=nothing, weight=nothing, values=nothing, axis=nothing",
    "x=x, y=fp16, weight=fp16[_, _]",
    "x=x, weight=fp16[0, 0, 0, 0], strides=[0, 0], dilations=[0, 0], groups=0, block_shape=[0, 0]",
    "x=x, weight=fp16[64, 64, -3, 999999999999], strides=[-1, -2], groups=-4, axis=-99, upscale_factor=-5",
    "x=x, " + ", ".join(f"{name}=x" for name in COMPUTED),
    "x=x, " + ", ".join(f'{name}="text"' for name in COMPUTED),
    "x=x, " + ", ".join(f'{name}=["a", "b"]' for name in COMPUTED),
    "x=x, " + ", ".join(f"{name}=[nan, inf]" for name in COMPUTED),
    "x=x, " + ", ".join(f"{name}=nan" for name in COMPUTED),
    "x=x, kernel_sizes=[1, 2, 3, 4, 5], strides=[1], axis=99, pad=[1, 2, 3], values=[x, x]",
    "x=x, weight=circle, y=circle, transpose_y=[nan, inf]",
)
SHAPES = ("fp16[1, 64, 32, 32]", "fp16[_, _, _]", "fp16", "fp16[0, 1, 1, 1, 1, 1]")


@pytest.mark.parametrize("device", ["m1", "m4", "m6"])
@pytest.mark.parametrize("op", TYPES)
def test_a_broken_op_is_checked_to_the_end(op: str, device: str, check: Check) -> None:
    circle = "circle: fp16[8, 64, 3, 3] = constexpr_lut_to_dense(indices=circle, lut=circle)"
    for shape in SHAPES:
        for operands in OPERANDS:
            report = check(f"x: {shape}\n{circle}\ny: {shape} = {op}({operands})\nreturn y", device)
            assert report.functions
