"""What some unit or the runtime gets wrong: what is counted, and where each defect begins."""

from __future__ import annotations

import pytest

from tests.linter.coreml.conftest import Messages

FUSED = """
    x: {dtype}[1, 8, {queries}, {width}]
    k: {dtype}[1, 8, 1024, {width}]
    q: {dtype}[1, 8, {queries}, {width}] = mul(x=x, y=0.5)
    a: {dtype}[1, 8, {queries}, {width}] = scaled_dot_product_attention(query=q, key=k, value=k)
    y: {dtype}[1, 8, {queries}, {width}] = scaled_dot_product_attention(query={second}, key=k, value=k)
    return y
"""


@pytest.mark.parametrize(
    ("dtype", "queries", "width", "several", "crashing"),
    [
        ("fp16", 1, 512, 1, 0),
        ("fp16", 2, 512, 1, 2),
        ("fp16", 2, 256, 0, 0),
        ("fp32", 2, 512, 0, 0),
    ],
)
def test_wide_fused_attentions_are_told_by_heads_and_queries(
    messages: Messages, dtype: str, queries: int, width: int, several: int, crashing: int
) -> None:
    text = FUSED.format(dtype=dtype, queries=queries, width=width, second="a")
    assert len(messages("ANE-AT-018", text)) == several
    assert len(messages("ANE-AT-019", text)) == crashing


def test_a_query_that_comes_from_outside_did_not_crash(messages: Messages) -> None:
    text = FUSED.format(dtype="fp16", queries=2, width=512, second="x")
    assert len(messages("ANE-AT-019", text)) == 1


@pytest.mark.parametrize(("batch", "rank_4", "found"), [(10, True, True), (9, True, False), (10, False, False)])
def test_the_batch_of_an_attention_that_is_written_out_is_its_first_axis(
    messages: Messages, batch: int, rank_4: bool, found: bool
) -> None:
    lead = f"{batch}, 4" if rank_4 else f"{4 * batch}"
    text = f"""
        q: fp16[{lead}, 49, 32]
        k: fp16[{lead}, 32, 49]
        v: fp16[{lead}, 49, 32]
        b: fp16[49, 49]
        s: fp16[{lead}, 49, 49] = matmul(x=q, y=k)
        m: fp16[{lead}, 49, 49] = add(x=s, y=b)
        p: fp16[{lead}, 49, 49] = softmax(x=m, axis=-1)
        y: fp16[{lead}, 49, 32] = matmul(x=p, y=v)
        return y
    """
    assert bool(messages("ANE-AT-020", text)) is found


@pytest.mark.parametrize(
    ("operands", "found"),
    [
        ("output_shape=[1, 3, 4, 4]", True),
        ("output_shape=[1, 3, 6, 6]", False),
        ("output_shape=[1, 3, 7, 7]", True),
        ('output_shape=[1, 3, 4, 4], pad_type="custom", pad=[1, 1, 1, 1]', False),
        ('output_shape=[1, 3, 8, 8], strides=[2, 2], pad_type="same"', False),
        ("output_shape=[1, 3, 9, 9], strides=[2, 2]", False),
        ("strides=[2, 2]", False),
    ],
)
def test_an_output_shape_of_its_own_cuts_a_transposed_convolution(
    messages: Messages, operands: str, found: bool
) -> None:
    text = (
        f"x: fp16[1, 3, 4, 4]\ny: fp16[1, 3, 4, 4] = conv_transpose(x=x, weight=fp16[3, 3, 3, 3], {operands})\nreturn y"
    )
    assert bool(messages("ANE-CV-017", text)) is found


@pytest.mark.parametrize(
    ("x", "y", "vector", "integers"),
    [
        ("fp16[4]", "fp16[10, 4, 3]", True, False),
        ("fp16[10, 3, 4]", "fp16[4]", True, False),
        ("fp16[1, 4]", "fp16[4, 3]", False, False),
        ("int32[1, 4]", "int32[4, 3]", False, True),
    ],
)
def test_products_that_the_runtime_fails_on_are_told_by_type_and_rank(
    messages: Messages, x: str, y: str, vector: bool, integers: bool
) -> None:
    text = f"x: {x}\nz: {y}\ny: {x} = matmul(x=x, y=z)\nreturn y"
    assert bool(messages("ANE-MM-008", text)) is vector
    assert bool(messages("ANE-MM-009", text)) is integers
