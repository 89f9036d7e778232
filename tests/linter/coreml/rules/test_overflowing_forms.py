"""Functions written in a form that overflows: what keeps them in range, and what else is left alone."""

from __future__ import annotations

import pytest

from tests.linter.coreml.conftest import Messages

AFTER = "x: {dtype}[1, 32, 8]\nb: {dtype}[1, 32, 8] = {before}\ny: {dtype}[1, 32, 8] = {op}\nreturn y"


@pytest.mark.parametrize(
    ("op", "before", "dtype", "found"),
    [
        ("softplus(x=b)", "relu(x=x)", "fp16", True),
        ("softplus(x=b)", "relu(x=x)", "fp32", False),
        ("softplus(x=b)", "clip(x=x, alpha=-10.0, beta=10.5)", "fp16", True),
        ("softplus(x=b)", "clip(x=x, alpha=-10.0, beta=10.0)", "fp16", False),
        ("softplus(x=b)", "tanh(x=x)", "fp16", False),
        ("softplus_parametric(x=b, alpha=fp16[32], beta=fp16[32])", "relu(x=x)", "fp16", True),
    ],
)
def test_softplus_overflows_unless_something_bounds_it(
    messages: Messages, op: str, before: str, dtype: str, found: bool
) -> None:
    assert bool(messages("ANE-NM-016", AFTER.format(op=op, before=before, dtype=dtype))) is found


def test_the_limit_of_log_sum_exp_falls_with_what_is_added_up(messages: Messages) -> None:
    program = """
        x: fp16[1, {count}]
        c: fp16[1, {count}] = clip(x=x, alpha=-9.0, beta=7.7)
        y: fp16[1] = reduce_log_sum_exp(x=c, axes=[-1], keep_dims=False)
        return y
    """
    assert not messages("ANE-NM-017", program.format(count=24))
    (message,) = messages("ANE-NM-017", program.format(count=32))
    assert "over 32: from 7.62 on" in message


def test_the_logarithm_of_a_softmax_is_one_finding(messages: Messages) -> None:
    program = """
        x: fp16[1, 10]
        p: fp16[1, 10] = softmax(x=x, axis=-1)
        r: fp16[10] = reshape(x=p, shape=[10])
        y: fp16[10] = log(x=r)
        return y
    """
    assert messages("ANE-NM-018", program)
    assert not messages("ANE-NM-005", program)
    assert not messages("ANE-NM-018", program.replace("fp16", "fp32"))


def test_a_difference_of_two_means_of_other_values_is_no_variance(messages: Messages) -> None:
    program = """
        x: fp16[1, 64]
        z: fp16[1, 64]
        s: fp16[1, 64] = mul(x=x, y=x)
        a: fp16[1, 1] = reduce_mean(x=s, axes=[-1], keep_dims=True)
        m: fp16[1, 1] = reduce_mean(x={source}, axes=[-1], keep_dims=True)
        b: fp16[1, 1] = mul(x=m, y=m)
        y: fp16[1, 1] = sub(x=a, y=b)
        return y
    """
    assert messages("ANE-NM-019", program.format(source="x"))
    assert not messages("ANE-NM-019", program.format(source="z"))


@pytest.mark.parametrize(
    ("dtype", "kind", "found"),
    [("bool", "fp16", True), ("int32", "fp16", True), ("fp32", "fp16", False), ("bool", "fp32", False)],
)
def test_flags_and_whole_numbers_are_counted(messages: Messages, dtype: str, kind: str, found: bool) -> None:
    program = f"""
        m: {dtype}[1, 3000]
        f: {kind}[1, 3000] = cast(x=m, dtype="{kind}")
        e: {kind}[1, 3000, 1] = expand_dims(x=f, axes=[2])
        y: {kind}[1, 1] = reduce_sum(x=e, axes=[1], keep_dims=False)
        return y
    """
    assert bool(messages("ANE-NM-020", program)) is found


@pytest.mark.parametrize(("other", "found"), [("x", False), ("z", True)])
def test_the_maximum_with_its_own_argument_mends_a_softplus(messages: Messages, other: str, found: bool) -> None:
    program = f"""
        x: fp16[1, 64]
        z: fp16[1, 64]
        s: fp16[1, 64] = softplus(x=x)
        y: fp16[1, 64] = maximum(x={other}, y=s)
        return y
    """
    assert bool(messages("ANE-NM-016", program)) is found
