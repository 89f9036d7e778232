"""Pools: widths, sizes, strides."""

from __future__ import annotations

import pytest

from tests.linter.coreml.conftest import Messages


def pool(kind: str, kernel: str, strides: str = "[1, 1]", out: str = "30, 30", x: str = "1, 8, 32, 32") -> str:
    return f"""
        x: fp16[{x}]
        y: fp16[1, 8, {out}] = {kind}(x=x, kernel_sizes={kernel}, strides={strides}, pad_type="valid")
        return y
    """


@pytest.mark.parametrize(
    ("kernel", "x", "found"),
    [
        ("[9]", "1, 8, 32", True), ("[8]", "1, 8, 32", False), ("[2, 2, 9]", "1, 8, 4, 32, 32", True),
        ("[9, 9, 8]", "1, 8, 16, 32, 32", False), ("[31, 1]", "1, 8, 32, 32", False),
        ("[1, 31]", "1, 8, 32, 32", True), ("[1, 32]", "1, 8, 32, 32", False),
    ],
)  # fmt: skip
def test_only_the_width_of_a_max_pool_is_limited(kernel: str, x: str, found: bool, messages: Messages) -> None:
    assert bool(messages("ANE-PL-001", pool("max_pool", kernel, x=x), device="m4")) is found


@pytest.mark.parametrize("kind", ["avg_pool", "l2_pool"])
def test_the_width_of_other_pools_is_not_that_of_max_pool(kind: str, messages: Messages) -> None:
    assert not messages("ANE-PL-001", pool(kind, "[9, 9]"), device="m4")


@pytest.mark.parametrize(
    ("strides", "out", "slow"),
    [
        ("[1, 1]", "30, 30", False), ("[2, 2]", "15, 15", False), ("[4, 4]", "8, 8", False), ("[3, 3]", "10, 10", True),
        ("[2, 5]", "15, 6", True), ("[32, 32]", "1, 1", False), ("[7, 2]", "1, 15", False), ("[8, 8]", "_, _", True),
    ],
)  # fmt: skip
def test_strides_of_pools_are_one_two_or_four(strides: str, out: str, slow: bool, messages: Messages) -> None:
    assert bool(messages("ANE-PL-003", pool("max_pool", "[3, 3]", strides, out))) is slow


@pytest.mark.parametrize("code", ["ANE-PL-001", "ANE-PL-001b", "ANE-PL-002", "ANE-PL-003"])
@pytest.mark.parametrize("kernel", ["x", '"all"', "[]", "[9, 9, 9, 9]", "nothing"])
@pytest.mark.parametrize("device", ["m1", "m4"])
def test_a_window_that_the_file_does_not_give_is_left_alone(
    kernel: str, code: str, device: str, messages: Messages
) -> None:
    assert not messages(code, pool("max_pool", kernel, strides="x"), device=device)
