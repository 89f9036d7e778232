"""Lists of tensors: gathered round by round, read in any order, given to blocks and returned by them."""

from __future__ import annotations

import pytest

from .conftest import HEAD, Check, Elaborate, component

DOWN = """block down(x: f32[B, T, C], levels) {
    skips = []
    repeat i < levels {
        skips = skips + [x]
        x = conv1d(x, 2 ** (i + 1) * C, 2, stride = 2, look_ahead = 1) as conv
    }
    return x, skips
}
"""


def test_what_rounds_leave_is_read_in_reverse(elaborate: Elaborate) -> None:
    lines = [
        "left = []",
        "repeat i < 3 { x = linear(x, i + 1)\nleft = left + [x] }",
        "return left[-1], left[0], left[1]",
    ]
    text = component(*lines, result="(a: f32[B, T, 3], b: f32[B, T, 1], c: f32[B, T, 2])")
    function = elaborate(text).functions["c"]
    assert [str(value.type.axes[-1].extent) for _, value in function.results] == ["3", "1", "2"]


def test_a_block_returns_a_list_beside_a_tensor(elaborate: Elaborate) -> None:
    lines = ["y, skips = down(x, 2) as deep", "assert len(skips) == 2", "return y, skips[1], skips[0]"]
    text = DOWN + component(*lines, result="(y: f32[B, T/4, 32], b: f32[B, T/2, 16], a: f32[B, T, 8])")
    program = elaborate(text)
    assert [str(value.type.axes[1].extent) for _, value in program.functions["c"].results] == ["T/4", "T/2", "T"]
    assert set(program.parameters) == {
        f"c.deep.layers.{i}.conv.{kind}" for i in range(2) for kind in ("weight", "bias")
    }


def test_a_block_returns_a_list_alone_and_takes_one(elaborate: Elaborate) -> None:
    text = "block pair(x: f32[..., C]) { return [x, 2 * x] }\nblock added(each) { return each[0] + each[1] }\n"
    program = elaborate(text + component("return added(pair(x))"))
    assert [op.name for op in program.functions["c"].ops] == ["scale", "add"]


@pytest.mark.parametrize(
    ("block", "line", "code"),
    [
        ("block b(x: f32[..., C]) { return x, 3 }", "y, z = b(x)", "MCT0094"),
        ("block b(x: f32[..., C]) { return x, [x, 3] }", "y, z = b(x)", "MCT0094"),
        ("block b(x: f32[..., C]) -> (f32[..., C], f32[..., C]) { return x, [x] }", "y, z = b(x)", "MCT0094"),
    ],
)
def test_what_is_no_tensor_is_not_returned(check: Check, block: str, line: str, code: str) -> None:
    assert [found.code for found in check(f"{block}\n" + component(line, "return x"))] == [code]


def test_a_component_returns_tensors_alone(check: Check) -> None:
    text = f"model m() {{\n{HEAD}component c(x: f32[B, T, 8]) -> f32[B, T, 8] {{ return [x] }}\n}}\n"
    assert [found.code for found in check(text)] == ["MCT0094"]


def test_one_name_for_several_results_holds_them_as_a_list(elaborate: Elaborate) -> None:
    lines = ["parts = split(x, n)", "assert len(parts) == n", "return parts[0] - parts[-1]"]
    function = elaborate(component(*lines, result="f32[B, T, 2]", values="n = 4")).functions["c"]
    assert [op.name for op in function.ops] == ["split", "sub"]


def test_a_list_of_results_is_no_longer_than_any_list(check: Check) -> None:
    twice = "block twice(x: f32[..., C]) { return x, x }\nblock more(each) { return each, each }\n"
    lines = ["many = twice(x)", *["many = more(many)"] * 12, "return many[0]"]
    assert [problem.code for problem in check(twice + component(*lines))][:1] == ["MCT0010"]
