"""Between which numbers values lie, and how far walks go."""

from __future__ import annotations

from inspect import cleandoc
from math import exp, inf

import pytest

from mctc.linter.coreml.bounds import UNBOUNDED, Interval, bounds
from mctc.linter.coreml.graph import Op, PackageGraph
from mctc.linter.coreml.notation import read_notation
from mctc.linter.coreml.trace import VIEWS, after, before, behind_views


def last_op(text: str) -> Op:
    graph = PackageGraph(read_notation(cleandoc(text)))
    return next(iter(graph.functions.values())).ops[-1]


def bounds_of(*lines: str) -> Interval | None:
    """The bounds of `y` after these lines."""
    body = [f"y: fp16[1, 64] = {line}" for line in lines]
    return bounds(last_op("\n".join(["x: fp16[1, 64]", *body, "z: fp16[1, 64] = relu(x=y)", "return z"])), "x")


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["tanh(x=x)"], (-1, 1)),
        (["relu(x=x)"], (0, inf)),
        (["conv(x=x, weight=fp16[64, 64, 1])"], UNBOUNDED),
        (["square(x=x)"], (0, inf)),
        (["mul(x=x, y=x)"], (0, inf)),
        (["pow(x=x, y=2.0)"], (0, inf)),
        (["abs(x=x)"], (0, inf)),
        (["clip(x=x, alpha=-2.0, beta=3.0)"], (-2, 3)),
        (["clip(x=x, alpha=-2.0, beta=3.0)", "square(x=y)"], (0, 9)),
        (["clip(x=x, alpha=-3.0, beta=-2.0)", "square(x=y)"], (4, 9)),
        (["clip(x=x, alpha=-3.0, beta=-2.0)", "abs(x=y)"], (2, 3)),
        (["clip(x=x, alpha=-2.0, beta=3.0)", "mul(x=y, y=-2.0)"], (-6, 4)),
        (["clip(x=x, alpha=-2.0, beta=3.0)", "add(x=y, y=1.0)"], (-1, 4)),
        (["clip(x=x, alpha=-2.0, beta=3.0)", "sub(x=1.0, y=y)"], (-2, 3)),
        (["clip(x=x, alpha=1.0, beta=4.0)", "inverse(x=y)"], (0.25, 1)),
        (["clip(x=x, alpha=1.0, beta=4.0)", "real_div(x=2.0, y=y)"], (0.5, 2)),
        (["relu(x=x)", "inverse(x=y)"], (0, inf)),
        (["inverse(x=x)"], UNBOUNDED),
        (["sigmoid(x=x)", "log(x=y)"], (-inf, 0)),
        (["clip(x=x, alpha=0.0, beta=1.0)", "exp(x=y)"], (1, exp(1))),
        (["exp(x=x)"], (0, inf)),
        (["maximum(x=x, y=2.0)"], (2, inf)),
        (["minimum(x=x, y=2.0)"], (-inf, 2)),
        (["select(cond=x, a=1.0, b=5.0)"], (1, 5)),
        (["softplus(x=x)", "mul(x=y, y=fp16[1, 64](-1))"], (-inf, 0)),
        (["softplus(x=x)", "matmul(x=y, y=fp16[64, 64](1))"], (0, inf)),
        (["reduce_max(x=x, axes=[-1])", "sub(x=x, y=y)"], (-inf, 0)),
        (["reduce_max(x=x, axes=[-1])", "sub(x=x, y=y)", "exp(x=y)", "reduce_sum(x=y, axes=[-1])"], (1, inf)),
        (["sigmoid(x=x)", "reduce_sum(x=y, axes=[-1])"], (0, inf)),
        (["sigmoid(x=x)", "reduce_mean(x=y, axes=[-1])"], (0, 1)),
        (["sigmoid(x=x)", "concat(values=[y, y], axis=0)"], (0, 1)),
        (["sigmoid(x=x)", "concat(values=[y, x], axis=0)"], UNBOUNDED),
        (['pad(x=x, pad=[0, 1], mode="constant", constant_val=0.0)'], UNBOUNDED),
        (["sigmoid(x=x)", "pad(x=y, pad=[0, 1], constant_val=-7.0)"], (-7, 1)),
        (["silu(x=x)"], (-0.28, inf)),
        (["clip(x=x, alpha=-5.0, beta=-4.0)", "silu(x=y)"], (-0.28, 0)),
        (["gather(x=fp16[9, 64](0.5), indices=x, axis=0)"], (0.5, 0.5)),
    ],
)  # fmt: skip
def test_values_lie_where_the_arithmetic_puts_them(lines: list[str], found: Interval) -> None:
    assert bounds_of(*lines) == pytest.approx(found, rel=1e-3)


@pytest.mark.parametrize(
    "lines",
    [
        ["mul(x=x, y=fp16[65537])"],  # too large to read
        ["mul(x=x, y=fp16(nan))"],
        ["clip(x=x)"],
        ["mul(x=x)"],
        ["tanh(x=x)", *["reshape(x=y, shape=[1, 64])"] * 8, "mul(x=y, y=1.0)"],  # too far back
        ["concat(values=[x, x, x, x, x, x, x, x, x], axis=0)"],
    ],
)
def test_what_the_file_leaves_open_is_not_answered(lines: list[str]) -> None:
    assert bounds_of(*lines) is None


def test_a_name_that_nothing_defines_is_not_bounded() -> None:
    assert bounds_of("add(x=nowhere, y=1.0)") == UNBOUNDED


CHAIN = """
    x: fp16[1, 64]
    a: fp16[1, 64] = tanh(x=x)
    b: fp16[1, 64] = reshape(x=a, shape=[1, 64])
    c: fp16[1, 64] = cast(x=b, dtype="fp16")
    d: fp16[1, 64] = relu(x=c)
    return d
"""


def test_walks_pass_views_and_end_at_work() -> None:
    op = last_op(CHAIN)
    assert [each.type for each in before(op, VIEWS)] == ["cast", "reshape", "tanh"]
    assert [each.type for each in after(op.function.ops[0], VIEWS)] == ["reshape", "cast", "relu"]
    assert [each.type for each in before(op, VIEWS, limit=1)] == ["cast"]
    assert behind_views(op, "x") is op.function.ops[0]


def test_what_comes_from_an_input_has_no_maker() -> None:
    op = last_op("x: fp16[1, 64]\na: fp16[64] = reshape(x=x, shape=[64])\ny: fp16[64] = relu(x=a)\nreturn y")
    assert behind_views(op, "x") is None
