"""Attention steps as matrix products: equal to the op, without transposes and without infinities."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.evaluate.reference import evaluate
from mctc.passes.lower_attention import LowerAttention

T, S = 3, 8  # 4 frames before, 1 after


def program(attributes: str, kv_channels: int = 8, keys: int = S, mask: str = "") -> str:
    key = f"f32[batch 1, channel {kv_channels}, unit 1, time {keys}]"
    masked = ", %m: f32[time 8]" if mask else ""
    return f"""program @p {{ function @f(%q: f32[batch 1, channel 8, unit 1, time {T}], %k: {key}, %v: {key}{masked}) {{
        %y = attention(%q, %k, %v{mask}, {attributes}) return out = %y }} }}"""


def names(made):
    return [op.name for op in made.functions["f"].ops if op.name != "constant"]


GIVEN = "heads = 2, left = 4, right = 1, given = true"
EXPECTED = ["scale", "reshape", "reshape", "reshape", "matmul", "minimum", "softmax", "matmul", "reshape"]


def test_a_step_with_its_context_given(rewrites):
    made, _ = rewrites(LowerAttention, program(GIVEN))
    assert names(made) == EXPECTED
    assert all(value.type.rank == 4 for op in made.functions["f"].ops for value in op.results)


def test_no_mask_is_made_where_every_query_sees_every_key(rewrites):
    made, _ = rewrites(LowerAttention, program("heads = 4"))
    assert names(made) == [name for name in EXPECTED if name != "minimum"]


@pytest.mark.parametrize("kv_heads", [1, 2])
def test_query_heads_share_heads_of_keys_and_values(rewrites, kv_heads):
    rewrites(LowerAttention, program(f"heads = 4, kv_heads = {kv_heads}, {GIVEN[11:]}", kv_channels=2 * kv_heads))


@pytest.mark.parametrize("mask", [[0, 0, 0, 1, 1, 1, 1, 1], [0] * 8, [1] * 8])
def test_keys_that_do_not_exist_get_no_weight(rewrites, mask):
    from mctc.ir.text import parse_program
    from mctc.rewrite.base import Context

    before = parse_program(program(GIVEN, mask=", %m"))
    after = LowerAttention().run(before, Context())
    rng = np.random.default_rng(0)
    inputs = {v.name: rng.normal(size=v.type.shape) for v in before.functions["f"].inputs}
    inputs["m"] = np.array(mask, float)
    expected, _ = evaluate(before.functions["f"], inputs, None)
    actual, _ = evaluate(after.functions["f"], inputs, None)
    np.testing.assert_allclose(actual["out"], expected["out"], rtol=0, atol=1e-12)
    constants = [op.attributes["value"] for op in after.functions["f"].ops if op.name == "constant"]
    assert all(np.isfinite(np.asarray(value, np.float16)).all() for value in constants)
