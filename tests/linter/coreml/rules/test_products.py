"""Products: what a matmul sums over, ranks, wide results, products too small to matter."""

from __future__ import annotations

import pytest

from tests.linter.coreml.conftest import Messages

LONG = 40000


def matmul(x: str, y: str, operands: str = "transpose_x=False, transpose_y=False") -> str:
    return f"x: fp16[{x}]\nw: fp16[{y}]\nz: fp16[8, 8] = matmul(x=x, y=w, {operands})\nreturn z"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (matmul(f"8, {LONG}", f"{LONG}, 8"), True),
        (matmul(f"8, {LONG}", f"{LONG}, 8", "transpose_x=False"), True),
        (matmul(f"{LONG}, 8", f"8, {LONG}", "transpose_x=True, transpose_y=True"), True),
        (matmul("8, _", f"{LONG}, 8"), True),
        (matmul(f"{LONG}", f"{LONG}, 8"), True),
        (matmul(f"{LONG}, 8", f"8, {LONG}"), False),
        (matmul("8, _", "_, 8"), False),
        (matmul("8, 16", f"16, {LONG}"), False),
    ],
)
def test_a_matmul_is_measured_along_the_axis_that_it_sums_over(text: str, found: bool, messages: Messages) -> None:
    assert bool(messages("ANE-MM-001", text, device="m4")) is found


def test_an_operand_that_nothing_defines_is_left_alone(messages: Messages) -> None:
    text = "x: fp16[8, _]\nz: fp16[8, 8] = matmul(x=x, y=nothing)\nreturn z"
    assert not [found for code in ("ANE-MM-001", "ANE-MM-002", "ANE-MM-003") for found in messages(code, text)]


def test_what_a_long_matmul_sums_over_is_said_once(messages: Messages) -> None:
    text = matmul(f"8, {LONG}", f"{LONG}, 8")
    assert messages("ANE-MM-001", text, device="m1")
    assert not messages("ANE-MM-002", text, device="m1")


@pytest.mark.parametrize(
    ("x", "y", "found"),
    [
        ("1, 2, 8, 16, 4", "1, 2, 8, 4, 16", True), ("2, 1, 8, 16, 4", "2, 1, 8, 4, 16", False),
        ("1, _, 8, 16, 4", "1, 2, 8, 4, 16", True), ("1, _, 8, 16, 4", "1, _, 8, 4, 16", False),
        ("2, 8, 16, 4", "2, 8, 4, 16", False),
    ],
)  # fmt: skip
def test_a_matmul_has_one_layer_of_depth(x: str, y: str, found: bool, messages: Messages) -> None:
    assert bool(messages("ANE-MM-003", matmul(x, y))) is found


@pytest.mark.parametrize(
    ("program", "found"),
    [
        ("y: fp16[1, 16384] = linear(x=x, weight=fp16[16384, 64])", False),
        ("y: fp16[1, 16385] = linear(x=x, weight=fp16[16385, 64])", True),
        ("y: fp16[1, 16385] = matmul(x=x, y=fp16[64, 16385])", True),
        ("y: fp16[1, 16385] = matmul(x=x, y=k)", False),
        ("y: fp16[1, _] = linear(x=x, weight=fp16[_, 64])", False),
    ],
)
def test_a_head_over_16384_outputs_is_worth_a_look(program: str, found: bool, messages: Messages) -> None:
    text = f"x: fp16[1, 64]\nk: fp16[64, 16385]\n{program}\nreturn y"
    assert bool(messages("ANE-MM-006", text, device="m4")) is found


BRANCH = "y: fp16[8, 8] = matmul(x=s, y=fp16[8, 8])\nreturn y"
LARGE = """
for _ in range(40):
    t: fp16[1, 64, 32, 32] = conv(x=t, weight=fp16[64, 64, 3, 3], pad_type="same")
"""


def test_a_tiny_product_in_a_graph_on_the_engine_is_left_alone(messages: Messages) -> None:
    alone = "s: fp16[8, 8]\n" + BRANCH
    beside = "s: fp16[8, 8]\nt: fp16[1, 64, 32, 32]" + LARGE + BRANCH.replace("return y", "return y, t")
    assert messages("ANE-MM-007", alone, device="m4")
    assert not messages("ANE-MM-007", beside, device="m4")
