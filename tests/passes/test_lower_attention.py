"""Attention steps as matrix products: equal to the op, without transposes and without infinities."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.evaluate.reference import evaluate
from mctc.ir.text import parse_program
from mctc.passes import lower_attention
from mctc.passes.lower_attention import LowerAttention
from mctc.rewrite.base import Context

T, S = 3, 8  # 4 frames before, 1 after


def program(attributes: str, kv_channels: int = 8, keys: int = S, mask: str = "") -> str:
    key = f"f32[batch 1, channel {kv_channels}, unit 1, time {keys}]"
    masked = ", %m: f32[time 8]" if mask else ""
    return f"""program @p {{ function @f(%q: f32[batch 1, channel 8, unit 1, time {T}], %k: {key}, %v: {key}{masked}) {{
        %y = attention(%q, %k, %v{mask}, {attributes}) return out = %y }} }}"""


def names(made):
    return [op.name for op in made.functions["f"].ops if op.name != "constant"]


GIVEN = "heads = 2, left = 4, right = 1, given = true"
EXPECTED = ["scale", "reshape", "reshape", "matmul", "minimum", "softmax", "reshape", "matmul", "reshape"]


def test_a_step_with_its_context_given(rewrites):
    made, _ = rewrites(LowerAttention, program(GIVEN))
    assert names(made) == EXPECTED
    assert all(value.type.rank == 4 for op in made.functions["f"].ops for value in op.results)


def test_no_mask_is_made_where_every_query_sees_every_key(rewrites):
    made, _ = rewrites(LowerAttention, program("heads = 4"))
    assert names(made) == [name for name in EXPECTED if name != "minimum"]


def test_one_block_needs_no_mask_and_several_need_one(rewrites):
    for block, expected in ((4, [name for name in EXPECTED if name != "minimum"]), (2, EXPECTED)):
        made, _ = rewrites(LowerAttention, program(f"heads = 4, within = {block}", keys=T))
        assert names(made) == expected


@pytest.mark.parametrize("kv_heads", [1, 2])
def test_query_heads_share_heads_of_keys_and_values(rewrites, kv_heads):
    text = program(f"heads = 4, kv_heads = {kv_heads}, {GIVEN[11:]}", kv_channels=2 * kv_heads)
    made, _ = rewrites(LowerAttention, text)
    products = [op.operands for op in made.functions["f"].ops if op.name == "matmul"]
    assert [value.type.shape for value in (products[0][1], products[1][0])] == [(1, kv_heads, 2, S)] * 2  # not repeated


def agree(text, **inputs):
    """The attention of a function and what the pass makes of it, on random values but for the inputs given."""
    before = parse_program(text)
    after = LowerAttention().run(before, Context())
    rng = np.random.default_rng(0)
    values = {v.name: rng.normal(size=v.type.shape) for v in before.functions["f"].inputs} | inputs
    parameters = {name: rng.normal(size=p.type.shape) for name, p in before.parameters.items()}
    expected, actual = (evaluate(p.functions["f"], values, parameters.__getitem__)[0] for p in (before, after))
    np.testing.assert_allclose(actual["out"], expected["out"], rtol=0, atol=1e-12)
    return after


@pytest.mark.parametrize("mask", [[0, 0, 0, 1, 1, 1, 1, 1], [0] * 8, [1] * 8])
def test_keys_that_do_not_exist_get_no_weight(mask):
    after = agree(program(GIVEN, mask=", %m"), m=np.array(mask, float))
    constants = [op.attributes["value"] for op in after.functions["f"].ops if op.name == "constant"]
    assert all(np.isfinite(np.asarray(value, np.float16)).all() for value in constants)


def relative(attributes: str, keys: int, mask: str = "", table: int = 0) -> str:
    key = f"f32[batch 2, channel 8, unit 1, time {keys}]"
    masked = f", %m: f32[time {keys}]" if "%m" in mask else ""
    shapes = {"p": "8, 6", "u": "8", "w": "8"} | ({"r": f"{table}, 6"} if table else {})
    mask = f"{mask or ', none'}, %r" if table else mask
    parameters = "".join(f"source @{n}: f32[{shape}] = normal(std = 1) param @{n} " for n, shape in shapes.items())
    made = "".join(f"%{n} = parameter @{n} " for n in shapes)
    return f"""program @p {{ {parameters}
        function @f(%q: f32[batch 2, channel 8, unit 1, time {T}], %k: {key}, %v: {key}{masked}) {{
        {made} %y = relative_attention(%q, %k, %v, %p, %u, %w{mask}, {attributes}) return out = %y }} }}"""


@pytest.mark.parametrize(
    ("attributes", "keys"),
    [
        ("heads = 2", T),
        ("heads = 4, right = 0", T),
        ("heads = 2, left = 1, right = 1, symmetric = true, scale = 0.3", T),
        (GIVEN, S),
    ],
)
def test_attention_by_distance_moves_rows_without_a_gather(rewrites, attributes, keys):
    made, _ = rewrites(LowerAttention, relative(attributes, keys))
    used = set(names(made)) - {"parameter"}
    assert used <= {"scale", "reshape", "matmul", "add", "slice", "minimum", "softmax"}
    assert all(value.type.rank <= 4 for op in made.functions["f"].ops for value in op.results)


@pytest.mark.parametrize(
    ("attributes", "keys", "distances"),
    [
        ("heads = 2", T, 3),
        ("heads = 4, right = 0", T, 2),
        ("heads = 2, left = 2, right = 1", T, 4),
        ("heads = 2, within = 2", T, 3),
        (GIVEN, S, 6),
        ("heads = 2, within = 3, before = 5, given = true", S, 10),
    ],
)
def test_vectors_of_distances_may_be_given(attributes: str, keys: int, distances: int) -> None:
    agree(relative(attributes, keys, table=distances))


@pytest.mark.parametrize("mask", [[0, 0, 0, 1, 1, 1, 1, 1], [0] * 8])
def test_attention_by_distance_gives_no_weight_to_keys_that_do_not_exist(mask):
    agree(relative(GIVEN, S, ", %m"), m=np.array(mask, float))


def biased(attributes: str, heads: int, distances: int | str, keys: int, kv_channels: int = 8, of: int = 0) -> str:
    key = f"f32[batch 1, channel {kv_channels}, unit 1, time {keys}]"
    return f"""program @p {{ source @b: f32[{of or heads}, {distances}] = normal(std = 1) param @b
        function @f(%q: f32[batch 1, channel 8, unit 1, time {T}], %k: {key}, %v: {key}) {{
        %b = parameter @b %y = attention(%q, %k, %v, none, %b, heads = {heads}, {attributes}) return out = %y }} }}"""


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        biased("left = 4, right = 1, given = true", 2, 6, S),
        biased("left = 1, right = 1", 4, 3, T),
        biased("right = 0", 2, 2, T),
        biased("left = 2", 2, 4, T),
        biased("kv_heads = 2", 4, 3, T, 4),
        biased("within = 3, before = 5, given = true", 2, 10, S),
        biased("within = 2, right = 0", 2, 3, T),
        biased("within = 2, before = 1", 2, "2, 3", T),
        biased("within = 2, before = 3", 2, "2, 5", T, of=1),
        biased("within = 3, before = 5, given = true", 2, "3, 8", S),
        biased("within = 1, before = 5, given = true, kv_heads = 2", 4, "1, 6", S, 4),
        biased("within = 3, before = 5, given = true, kv_heads = 2", 4, "3, 8", S, 4, of=1),
    ],
)
def test_a_bias_by_distance_is_added(monkeypatch: pytest.MonkeyPatch, text: str, rows: bool) -> None:
    """Folded into a parameter, and by rows that move where the sequences are long."""
    if rows:
        monkeypatch.setattr(lower_attention, "LARGEST_CONSTANT", 0)
    after = agree(text)
    assert {"attention", "gather"}.isdisjoint(names(after))
    assert all(value.type.rank <= 4 for op in after.functions["f"].ops for value in op.results)
