"""Overflow, underflow and wrong scales: what is said, and what keeps the rules silent."""

from __future__ import annotations

import pytest

from tests.linter.coreml.conftest import Check, Messages

NORM = """
    x: {dtype}[1, 64, 256]
    n: {dtype}[1, 64, 1]
    {before}
    s: {dtype}[1, 64, 256] = {square}
    m: {dtype}[1, 64, 1] = {mean}
    e: {dtype}[1, 64, 1] = add(x=m, y=0.001)
    y: {dtype}[1, 64, 1] = {root}
    return y
"""


def norm(
    before: str = "d: fp16[1, 64, 256] = relu(x=x)",
    square: str = "square(x=d)",
    mean: str = "reduce_mean(x=s, axes=[-1], keep_dims=True)",
    root: str = "rsqrt(x=e)",
    dtype: str = "fp16",
) -> str:
    return NORM.format(before=before.replace("fp16", dtype), square=square, mean=mean, root=root, dtype=dtype)


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, True),
        ({"square": "mul(x=d, y=d)"}, True),
        ({"square": "pow(x=d, y=2.0)"}, True),
        ({"mean": "reduce_sum(x=s, axes=[-1], keep_dims=True)"}, True),
        ({"root": "sqrt(x=e)"}, True),
        ({"root": "pow(x=e, y=-0.5)"}, True),
        ({"square": "mul(x=d, y=x)"}, False),
        ({"square": "pow(x=d, y=3.0)"}, False),
        ({"mean": "reduce_max(x=s, axes=[-1], keep_dims=True)"}, False),
        ({"root": "tanh(x=e)"}, False),
        ({"dtype": "fp32"}, False),
        ({"before": "d: fp16[1, 64, 256] = clip(x=x, alpha=-256.0, beta=256.0)"}, False),
        ({"before": "d: fp16[1, 64, 256] = clip(x=x, alpha=-257.0, beta=256.0)"}, True),
        ({"before": "d: fp16[1, 64, 256] = sigmoid(x=x)"}, False),
        ({"before": "d: fp16[1, 64, 256] = real_div(x=x, y=16.0)"}, False),
        ({"before": "d: fp16[1, 64, 256] = real_div(x=x, y=1.0)"}, True),
        ({"before": "d: fp16[1, 64, 256] = real_div(x=x, y=n)"}, False),
        ({"before": "d: fp16[1, 64, 256] = mul(x=x, y=0.0625)"}, False),
        ({"before": "d: fp16[1, 64, 256] = mul(x=x, y=2.0)"}, True),
    ],
)
def test_a_square_in_a_norm_overflows_unless_something_bounds_it(
    messages: Messages, changed: dict[str, str], found: bool
) -> None:
    assert bool(messages("ANE-NM-001", norm(**changed))) is found


def test_epsilon_of_values_scaled_by_their_maximum_is_named(messages: Messages) -> None:
    text = """
        x: fp16[1, 64, 256]
        a: fp16[1, 64, 256] = abs(x=x)
        m: fp16[1, 64, 1] = {maximum}
        d: fp16[1, 64, 256] = real_div(x=x, y=m)
        s: fp16[1, 64, 256] = square(x=d)
        n: fp16[1, 64, 1] = reduce_mean(x=s, axes=[-1], keep_dims=True)
        e: fp16[1, 64, 1] = add(x=n, y=0.5)
        y: fp16[1, 64, 1] = sqrt(x=e)
        return y
    """
    found = messages("ANE-NM-001b", text.format(maximum="reduce_max(x=a, axes=[-1], keep_dims=True)"))
    assert found == ["epsilon 0.5 of a norm of scaled values counts times their maximum squared"]
    assert not messages("ANE-NM-001b", text.format(maximum="reduce_mean(x=a, axes=[-1], keep_dims=True)"))


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("linear(x=x, weight=fp16[64, 64])", "nothing keeps the argument of exp below 11.094, where fp16 overflows"),
        ("clip(x=x, alpha=-30.0, beta=20.0)", "the argument of exp may reach 20; fp16 overflows beyond 11.094"),
        ("clip(x=x, alpha=-30.0, beta=11.0625)", None),
        ("clip(x=x, alpha=-30.0, beta=11.125)", "the argument of exp may reach 11.125; fp16 overflows beyond 11.094"),
        ("sub(x=x, y=h)", None),
        ("sub(x=x, y=l)", None),
        ("mul(x=p, y=-1.0)", None),
        ("mul(x=p, y=fp16[1, 64](-0.5))", None),
        ("mul(x=p, y=0.5)", "nothing keeps the argument of exp below 11.094, where fp16 overflows"),
        ("mul(x=p, y=fp16[1, 65537](-0.5))", None),
        ("sub(x=0.0, y=p)", None),
        ("tanh(x=x)", None),
        ("log(x=p)", "nothing keeps the argument of exp below 11.094, where fp16 overflows"),
    ],
)
def test_exp_overflows_unless_its_argument_is_bounded(messages: Messages, before: str, said: str | None) -> None:
    text = f"""
        x: fp16[1, 64]
        h: fp16[1, 1] = reduce_max(x=x, axes=[-1], keep_dims=True)
        l: fp16[1, 1] = maximum(x=h, y=0.0)
        p: fp16[1, 64] = softplus(x=x)
        a: fp16[1, 64] = {before}
        y: fp16[1, 64] = exp(x=a)
        return y
    """
    assert messages("ANE-NM-002", text) == ([said] if said else [])


@pytest.mark.parametrize(("last", "found"), [("log(x=a)", False), ("inverse(x=a)", False), ("relu(x=a)", True)])
def test_a_softplus_or_a_sigmoid_written_out_is_left_alone(messages: Messages, last: str, found: bool) -> None:
    text = f"""
        x: fp16[1, 64]
        e: fp16[1, 64] = exp(x=x)
        a: fp16[1, 64] = add(x=e, y=1.0)
        y: fp16[1, 64] = {last}
        return y
    """
    assert bool(messages("ANE-NM-002", text)) is found


@pytest.mark.parametrize(("fill", "found"), [(32752, False), (32768, True), (-32752, False), (-32768, True)])
@pytest.mark.parametrize("op", ["conv", "linear", "conv_transpose"])
def test_a_bias_saturates_from_32768_on(messages: Messages, op: str, fill: int, found: bool) -> None:
    text = f"""
        x: fp16[1, 64]
        y: fp16[1, 32] = {op}(x=x, weight=fp16[32, 64], bias=fp16[32]({fill}))
        return y
    """
    assert bool(messages("ANE-NM-003", text)) is found


@pytest.mark.parametrize(
    ("device", "operation", "found"),
    [
        ("m1", "slice_by_index(x=x, begin=[0, 32], end=[1, 64])", True),
        ("m2", "slice_by_index(x=x, begin=[0, 32], end=[1, 64])", True),
        ("m3", "slice_by_index(x=x, begin=[0, 32], end=[1, 64])", False),
        ("m1", "slice_by_size(x=x, begin=[0, 32], size=[1, 32])", True),
        ("m1", "slice_by_index(x=x, begin=[0, -32], end=[1, 64])", True),
        ("m1", "slice_by_index(x=x, begin=[0, 0], end=[1, 32])", False),
        ("m1", "slice_by_index(x=x, begin=[5, 0], end=[1, 32])", False),
        ("m1", "slice_by_index(x=x, begin=[0, 32], end=[1, 64], begin_mask=[True, True])", False),
        ("m1", "slice_by_index(x=x, begin=[0, 32], end=[1, 64], begin_mask=[True, False])", True),
        ("m1", "slice_by_index(x=t, begin=[0, 32], end=[1, 64])", False),
        ("m1", "slice_by_index(x=b, begin=[0, 32], end=[1, 64])", False),
        ("m1", "slice_by_index(x=x, begin=i, end=[1, 64])", False),
        ("m1", "slice_by_index(x=x, end=[1, 64])", False),
    ],
)
def test_slices_off_the_start_overflow_up_to_the_m2(
    messages: Messages, device: str, operation: str, found: bool
) -> None:
    text = f"""
        x: fp16[1, 64]
        b: int32[1, 64]
        i: int32[2]
        t: fp16[1, 64] = clip(x=x, alpha=-4094.0, beta=4094.0)
        y: fp16[1, 32] = {operation}
        return y
    """
    assert bool(messages("ANE-NM-004", text, device=device)) is found


TINY = "is below 6.1e-05, which the engine flushes to zero"


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        ("log(x=x)", f"log near zero: epsilon, 1e-45, {TINY}"),
        ("log(x=x, epsilon=0.0001)", None),
        ("log(x=x, epsilon=0.00005)", f"log near zero: epsilon, 5e-05, {TINY}"),
        ("rsqrt(x=s)", f"rsqrt near zero: epsilon, 1e-12, {TINY}"),
        ("rsqrt(x=small)", f"rsqrt near zero: what is added, 1e-06, {TINY}"),
        ("rsqrt(x=large)", None),
        ("rsqrt(x=added)", None),  # a variance as a difference, with an epsilon
        ("log(x=large)", None),
        ("inverse(x=s)", None),  # MIL adds 1e-4
        ("inverse(x=s, epsilon=0.0)", f"inverse near zero: epsilon, 0, {TINY}"),
        ("pow(x=small, y=-0.5)", f"pow near zero: what is added, 1e-06, {TINY}"),
        ("pow(x=small, y=0.5)", None),
        ("pow(x=large, y=-0.5)", None),
        ("real_div(x=x, y=root)", f"division by sqrt near zero: what is added, 1e-06, {TINY}"),
        ("real_div(x=x, y=s)", None),
        ("sqrt(x=s)", None),
        ("log(x=f)", None),
        ("layer_norm(x=x, axes=[-1], epsilon=0.000001)", None),
    ],
)
def test_what_may_be_zero_needs_an_epsilon_that_fp16_keeps(
    messages: Messages, operation: str, said: str | None
) -> None:
    text = f"""
        x: fp16[1, 64]
        f: fp32[1, 64]
        s: fp16[1, 64] = square(x=x)
        small: fp16[1, 64] = add(x=s, y=1e-06)
        large: fp16[1, 64] = add(x=s, y=0.0001)
        added: fp16[1, 64] = add(x=x, y=0.001)
        root: fp16[1, 64] = sqrt(x=small)
        y: fp16[1, 64] = {operation}
        return y
    """
    assert messages("ANE-NM-005", text) == ([said] if said else [])


def test_a_log_of_a_sum_of_exponentials_below_the_maximum_is_safe(check: Check) -> None:
    text = """
        x: fp16[1, 64]
        m: fp16[1, 1] = reduce_max(x=x, axes=[-1], keep_dims=True)
        d: fp16[1, 64] = sub(x=x, y=m)
        e: fp16[1, 64] = exp(x=d)
        s: fp16[1, 1] = reduce_sum(x=e, axes=[-1], keep_dims=True)
        y: fp16[1, 1] = log(x=s, epsilon=0.0)
        return y
    """
    assert not [each.rule.code for each in check(text).findings if each.rule.code.startswith("ANE-NM")]


def test_a_scan_over_decays_is_safe_but_for_its_softplus(check: Check) -> None:
    text = """
        x: fp16[1, 64, 1, 8]
        d: fp16[1, 64, 1, 8] = softplus(x=x)
        t: fp16[1, 64, 1, 8] = matmul(x=d, y=fp16[8, 8](1))
        a: fp16[1, 64, 16, 8] = mul(x=t, y=fp16[1, 64, 16, 1](-2))
        y: fp16[1, 64, 16, 8] = exp(x=a)
        return y
    """
    assert [each.rule.code for each in check(text).findings if each.rule.code.startswith("ANE-NM")] == ["ANE-NM-016"]


QUANTIZED = """
    a: fp16[1, 64]
    b: fp16[1, 64]
    p: int8[1, 64] = quantize(input=a, scale={first}, output_dtype="int8")
    c: fp16[1, 64] = dequantize(input=p, scale={first})
    q: int8[1, 64] = quantize(input=b, scale={second}, output_dtype="int8")
    d: fp16[1, 64] = dequantize(input=q, scale={second})
    m: fp16[1, 64] = {product}
    r: int8[1, 64] = quantize(input={result}, scale={third}, output_dtype="int8")
    y: fp16[1, 64] = dequantize(input=r, scale={third})
    return y
"""


@pytest.mark.parametrize(
    ("first", "second", "third", "product", "result", "found"),
    [
        ("0.5", "0.5", "0.25", "mul(x=c, y=d)", "m", True),
        ("0.5", "0.25", "0.25", "mul(x=c, y=d)", "m", True),
        ("0.5", "0.5", "0.5", "mul(x=c, y=d)", "m", False),
        ("0.5", "0.5", "0.25", "mul(x=c, y=b)", "m", True),
        ("0.5", "0.5", "0.25", "mul(x=a, y=b)", "m", False),
        ("0.5", "0.5", "0.25", "add(x=c, y=d)", "m", False),
        ("0.5", "0.5", "0.25", "mul(x=c, y=d)", "c", False),
        ("a", "0.5", "0.5", "mul(x=c, y=d)", "m", False),
        ("[0.5, 0.25]", "[0.5, 0.25]", "[0.5, 0.25]", "mul(x=c, y=d)", "m", False),
        ("[0.5, 0.25]", "[0.5, 0.25]", "[0.5, 0.5]", "mul(x=c, y=d)", "m", True),
    ],
)
def test_a_product_of_quantised_branches_needs_one_scale(
    messages: Messages, first: str, second: str, third: str, product: str, result: str, found: bool
) -> None:
    text = QUANTIZED.format(first=first, second=second, third=third, product=product, result=result)
    assert bool(messages("ANE-NM-009", text)) is found


@pytest.mark.parametrize(("keys", "found"), [(4095, False), (4096, True), ("_", False)])
def test_small_probabilities_lose_precision_from_4096_keys_on(messages: Messages, keys: int | str, found: bool) -> None:
    text = f"""
        s: fp16[1, 8, 64, {keys}]
        v: fp16[1, 8, {keys}, 64]
        p: fp16[1, 8, 64, {keys}] = softmax(x=s, axis=-1)
        y: fp16[1, 8, 64, 64] = matmul(x=p, y=v)
        return y
    """
    assert bool(messages("ANE-NM-010", text)) is found


@pytest.mark.parametrize(
    "name", ["log", "rsqrt", "inverse", "pow", "real_div", "exp", "square", "mul", "round", "conv"]
)
@pytest.mark.parametrize("operands", ["", "x=nowhere", "x=x", "x=x, y=x", "x=[1, 2], y=x", 'x=x, epsilon="text"'])
def test_broken_operands_end_no_rule(check: Check, name: str, operands: str) -> None:
    text = f"x: fp16[_, _]\ny: fp16[_] = {name}({operands})\nz: fp16[_] = quantize(input=y)\nreturn y"
    check(text, device="m1")
