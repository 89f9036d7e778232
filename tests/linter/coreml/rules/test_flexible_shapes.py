"""Flexible shapes: ranges, lists, and values that forget them."""

from __future__ import annotations

import pytest

from mctc.linter.coreml.placement import Eligible
from tests.linter.coreml.conftest import Check, Messages


def relu(x: str, y: str = "fp16[1, _]") -> str:
    return f"x: {x}\ny: {y} = relu(x=x)\nreturn y"


def listed(count: int) -> str:
    return f"enum[{', '.join(f'fp16[1, {n % count + 1}]' for n in range(max(2, count)))}]"


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ("fp16[1, 1:512]", "no fixed shape: x (axis 1 1..512)"),
        ("fp16[1, 4:]", "no fixed shape: x (axis 1 4..)"),
        ("fp16[1:2, 1:8]", "no fixed shape: x (axis 0 1..2, axis 1 1..8)"),
        ("fp16[1, _]", "no fixed shape: x (axis 1 ?)"),
    ],
)
def test_a_range_is_named_with_its_axis(messages: Messages, x: str, message: str) -> None:
    assert messages("ANE-SH-100", relu(x)) == [message]


@pytest.mark.parametrize("x", ["fp16[1, 512]", "fp16[1, 7:7]", "fp16", listed(3)])
def test_fixed_and_listed_shapes_are_no_ranges(messages: Messages, x: str) -> None:
    assert not messages("ANE-SH-100", relu(x))


def test_a_range_is_a_doubt_about_its_own_function(check: Check) -> None:
    report = check("""
    def fixed():
        x: fp16[1, 64]
        y: fp16[1, 64] = relu(x=x)
        return y
    def ranged():
        x: fp16[1, 1:64]
        y: fp16[1, _] = relu(x=x)
        return y
    """)
    eligible = {function.name: function.ops[0].eligible for function in report.functions}
    assert eligible == {"fixed": Eligible.YES, "ranged": Eligible.CONTESTED}
    assert [each.function for each in report.findings if each.rule.code == "ANE-SH-100"] == ["ranged"]


@pytest.mark.parametrize(("count", "errors"), [(2, 0), (128, 0), (129, 1), (400, 1)])
def test_128_shapes_are_allowed(messages: Messages, count: int, errors: int) -> None:
    assert len(messages("ANE-SH-101", relu(listed(count)))) == errors
    assert len(messages("ANE-SH-102", relu(listed(count)))) == 1


def test_a_list_of_one_shape_is_a_fixed_shape(check: Check) -> None:
    codes = {finding.rule.code for finding in check(relu(listed(1), "fp16[1, 1]")).findings}
    assert not [code for code in codes if code.startswith("ANE-SH-1")]


def test_the_default_shape_is_told(messages: Messages) -> None:
    found = messages("ANE-SH-102", relu("enum[fp16[1, 80, 128], fp16[1, 80, 512]]", "fp16[1, 80, _]"))
    assert found == ["x takes one of 2 shapes; 1x80x128 is the default"]


@pytest.mark.parametrize(
    ("other", "findings"), [(listed(2), 1), (listed(1), 0), ("fp16[1, 4]", 0), ("fp16[1, 1:4]", 0)]
)
def test_lists_for_two_inputs(messages: Messages, other: str, findings: int) -> None:
    assert len(messages("ANE-SH-104", f"z: {other}\n{relu(listed(3))}")) == findings


@pytest.mark.parametrize("x", ["fp16[1, 64, 128]", "fp16[1, 1:64, 128]"])
def test_layer_norm_is_quiet_without_a_list(messages: Messages, x: str) -> None:
    text = f"x: {x}\ny: fp16[1, _, 128] = layer_norm(x=x, axes=[-1])\nreturn y"
    assert not messages("ANE-SH-105", text)


def program(line: str, x: str = "enum[fp16[1, 8, 16], fp16[1, 8, 32]]") -> str:
    return f"x: {x}\nk: fp16[1, 8, 16]\nu: fp16[1, 8, _] = relu(x=x)\n{line}\nreturn y"


@pytest.mark.parametrize(
    "line",
    [
        "y: fp16[1, 8, 16] = softmax(x=u, axis=1)",
        "y: fp16[1, 8, 16] = add(x=u, y=fp16(1.0))",
        "y: fp16[1, 8, 16] = add(x=u, y=fp16[8, 1])",
        "y: fp16[1, 8, 16] = mul(x=u, y=u)",
        "y: fp16[1, 16, 8] = transpose(x=u, perm=[0, 2, 1])",
        "y: fp16[1, 128] = reshape(x=u, shape=[1, 128])",
        "y: fp16[1, 8, 16] = cast(x=u, dtype='fp16')",
    ],
)
def test_a_result_with_the_extent_of_one_shape_is_named(messages: Messages, line: str) -> None:
    assert len(messages("ANE-SH-106", program(line))) == 1
    assert not messages("ANE-SH-106", program(line, "fp16[1, 8, 16]"))


@pytest.mark.parametrize(
    "line",
    [
        "y: fp16[1, 8, _] = softmax(x=u, axis=1)",
        "y: fp16[1, 8, 16] = add(x=u, y=k)",  # the other operand has the extent
        "y: fp16[1, 8, 1] = reduce_mean(x=u, axes=[2], keep_dims=True)",
        "y: fp16[1, 8, 4] = slice_by_index(x=u, begin=[0, 0, 0], end=[1, 8, 4])",
        "y: fp16[1, 8, 8] = matmul(x=u, y=u, transpose_y=True)",
        "y: fp16[_, 8] = reshape(x=u, shape=[-1, 8])",
        "y: int32[3] = shape(x=u)",
        "y: fp16[1, 8, 16] = add(x=u, y=missing)",
        "y: fp16[1, 8, 16] = relu(x=missing)",
    ],
)
def test_results_that_may_be_fixed_are_quiet(messages: Messages, line: str) -> None:
    assert not messages("ANE-SH-106", program(line))
