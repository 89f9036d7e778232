"""Constants that fp16 loses: what counts as lost, and what is left alone."""

from __future__ import annotations

import pytest

from tests.linter.coreml.conftest import Messages


@pytest.mark.parametrize(
    ("norm", "said"),
    [
        ("layer_norm(x=x, axes=[-1], epsilon=0.0)", "epsilon of layer_norm is 0:"),
        ("layer_norm(x=x, axes=[-1], epsilon=fp32(1e-12))", "is 1e-12, 0 in fp16"),
        ("layer_norm(x=x, axes=[-1], epsilon=1e-07)", "is 1.19e-07, 0 on the engine"),
        ("layer_norm(x=x, axes=[-1], epsilon=1e-06)", ""),
        ("layer_norm(x=x, axes=[-1])", ""),
        ("instance_norm(x=x, epsilon=1e-12)", "epsilon of instance_norm"),
        ("l2_norm(x=x, epsilon=1e-12)", "epsilon of l2_norm"),
        ("batch_norm(x=x, mean=fp16[4], variance=fp16[4], epsilon=1e-12)", "epsilon of batch_norm"),
        ("batch_norm(x=x, mean=fp16[4], variance=fp16[4](1), epsilon=1e-12)", ""),
    ],
)
def test_an_epsilon_is_lost_where_fp16_or_the_engine_makes_it_zero(messages: Messages, norm: str, said: str) -> None:
    found = messages("ANE-NM-012", f"x: fp16[1, 4, 8, 8]\ny: fp16[1, 4, 8, 8] = {norm}\nreturn y")
    assert bool(found) == bool(said)
    assert said in "".join(found)


def test_a_norm_in_fp32_keeps_its_epsilon(messages: Messages) -> None:
    assert not messages(
        "ANE-NM-012", "x: fp32[1, 8]\ny: fp32[1, 8] = layer_norm(x=x, axes=[-1], epsilon=1e-12)\nreturn y"
    )


DIVISION = """
    x: fp16[1, 8, 16]
    n: fp16[1, 8, 1] = {norm}
    m: fp16[1, 8, 1] = {floor}
    t: fp16[1, 8, 16] = tile(x=m, reps=[1, 1, 16])
    y: fp16[1, 8, 16] = real_div(x=x, y=t)
    return y
"""


@pytest.mark.parametrize(
    ("norm", "floor", "lost"),
    [
        ("reduce_l2_norm(x=x, axes=[-1], keep_dims=True)", "maximum(x=n, y=1e-12)", True),
        ("reduce_l2_norm(x=x, axes=[-1], keep_dims=True)", "maximum(x=n, y=0.0001)", False),
        ("reduce_l2_norm(x=x, axes=[-1], keep_dims=True)", "add(x=n, y=1e-09)", True),
        ("reduce_l2_norm(x=x, axes=[-1], keep_dims=True)", "clip(x=n, alpha=1e-08, beta=60000.0)", True),
        ("reduce_mean(x=x, axes=[-1], keep_dims=True)", "maximum(x=n, y=1e-08)", True),
        ("reduce_mean(x=x, axes=[-1], keep_dims=True)", "add(x=n, y=1e-08)", False),
    ],
)
def test_a_floor_below_the_smallest_number_is_none(messages: Messages, norm: str, floor: str, lost: bool) -> None:
    assert bool(messages("ANE-NM-013", DIVISION.format(norm=norm, floor=floor))) is lost


@pytest.mark.parametrize(
    ("op", "said"),
    [
        ("mul(x=x, y=1e-09)", "a factor of 0"),
        ("mul(x=fp16[8](0.00003), y=x)", "a factor of 3e-05, 0 on the engine"),
        ("mul(x=x, y=0.0001)", ""),
        ("real_div(x=x, y=fp16[8](inf))", "a divisor beyond the range"),
        ("real_div(x=x, y=60000.0)", ""),
        ("add(x=x, y=1e-09)", ""),
    ],
)
def test_a_factor_is_lost_with_all_it_multiplies(messages: Messages, op: str, said: str) -> None:
    found = messages("ANE-NM-014", f"x: fp16[8]\ny: fp16[8] = {op}\nreturn y")
    assert bool(found) == bool(said)
    assert said in "".join(found)


def test_a_constant_that_is_cast_to_fp16_counts_as_what_comes_out(messages: Messages) -> None:
    program = """
        x: fp16[8]
        k: fp32 = const(val=fp32({value}))
        c: fp16 = cast(x=k, dtype="fp16")
        y: fp16[8] = mul(x=x, y=c)
        return y
    """
    assert messages("ANE-NM-014", program.format(value="1e-12"))
    assert messages("ANE-NM-015", program.format(value="1e9"))
    assert not messages("ANE-NM-015", program.format(value="6e4"))


SUM = "x: fp16[1, 8]\ns: fp16[1, 8] = {op}\ny: fp16[1, 8] = {after}\nreturn y"


@pytest.mark.parametrize(
    ("op", "after", "found"),
    [
        ("add(x=x, y=fp16[1, 8](-inf))", "mul(x=s, y=2.0)", True),
        ("add(x=x, y=fp16[1, 8](-inf))", "softmax(x=s, axis=-1)", False),
        ("add(x=x, y=fp16[1, 8](-inf))", "reduce_max(x=s, axes=[-1], keep_dims=True)", False),
        ("mul(x=x, y=fp16[1, 8](inf))", "relu(x=s)", True),
        ("mul(x=x, y=fp16[1, 8](65504))", "relu(x=s)", False),
        ("clip(x=x, alpha=0.0, beta=fp16(inf))", "relu(x=s)", False),
    ],
)
def test_an_infinity_is_named_where_nothing_holds_it_back(messages: Messages, op: str, after: str, found: bool) -> None:
    assert bool(messages("ANE-NM-015", SUM.format(op=op, after=after))) is found
