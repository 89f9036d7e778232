"""Softmax, gelu and arg-reductions."""

from __future__ import annotations

import pytest

from tests.linter.coreml.conftest import Messages


def softmax(shape: str, axis: str, dtype: str = "fp16") -> str:
    return f"x: {dtype}[{shape}]\ny: {dtype}[{shape}] = softmax(x=x, axis={axis})\nreturn y"


@pytest.mark.parametrize(
    ("shape", "axis", "device", "slow"),
    [
        ("1, 8, 256, 256", "-1", "m1", False),  # 1 MiB in, 1 MiB out
        ("1, 8, 256, 257", "-1", "m1", True),
        ("1, 8, 256, 257", "2", "m4", True),
        ("1, 8, 256, 257", "1", "m4", False),  # along the channels
        ("1, 8, 256, 257", "0", "m4", False),
        ("1, 8, 256, 257", "-1", "m5", False),  # 4.5 MiB stay near
        ("1, 16, 512, 512", "-1", "m5", True),
        ("8, 512, 512", "-1", "m4", True),
        ("1024, 1024", "-1", "m4", False),
        ("_, 8, _, 512", "-1", "m4", False),
    ],
)
def test_a_large_softmax_over_height_or_width_is_slow(
    shape: str, axis: str, device: str, slow: bool, messages: Messages
) -> None:
    assert bool(messages("ANE-SM-001", softmax(shape, axis), device=device)) is slow


@pytest.mark.parametrize(
    ("shape", "axis", "found"),
    [("1, 77", "-1", True), ("1, 64", "-1", False), ("1, 1", "1", False), ("1, _", "1", False), ("1, 77", "9", False)],
)
def test_a_softmax_over_no_power_of_two_is_worth_a_word(shape: str, axis: str, found: bool, messages: Messages) -> None:
    assert bool(messages("ANE-SM-002", softmax(shape, axis))) is found


@pytest.mark.parametrize(
    ("operands", "found"),
    [
        (', mode="EXACT"', True), ("", True), (', mode="TANH_APPROXIMATION"', False),
        (', mode="SIGMOID_APPROXIMATION"', False),
    ],
)  # fmt: skip
def test_exact_gelu_is_the_one_that_gains_nothing(operands: str, found: bool, messages: Messages) -> None:
    text = f"x: fp16[1, 64]\ny: fp16[1, 64] = gelu(x=x{operands})\nreturn y"
    assert bool(messages("ANE-GE-001", text)) is found


@pytest.mark.parametrize("op", ["reduce_argmax", "reduce_argmin"])
@pytest.mark.parametrize(
    ("shape", "axis", "found"),
    [("4, 2048", "-1", False), ("4, 2049", "-1", True), ("2049, 4", "0", True), ("2049, 4", "1", False)],
)
def test_an_arg_reduction_spans_2048(op: str, shape: str, axis: str, found: bool, messages: Messages) -> None:
    text = f"x: fp16[{shape}]\ny: int32[1] = {op}(x=x, axis={axis})\nreturn y"
    assert bool(messages("ANE-AR-001", text)) is found
