"""Masks, positions, heads and functions of attention."""

from __future__ import annotations

from math import cos, sin

import pytest

from tests.linter.coreml.conftest import Check, Messages

LAYOUT = """
    q: fp16[{heads}, {queries}, 64]
    k: fp16[{heads}, {keys}, 64]
    s: fp16[{heads}, {queries}, {keys}] = matmul(x=q, y=k, transpose_y=True)
    y: fp16[{heads}, {queries}, {keys}] = softmax(x=s, axis={axis})
    return y
"""
MASKED = """
    q: fp16[1, 8, 16, 16]
    c: bool[1, 1, 16, 16]
    b: fp16[1, 1, 16, 16]
    s: fp16[1, 8, 16, 16] = matmul(x=q, y=q, transpose_y=True)
    {mask}
    y: fp16[1, 8, 16, 16] = softmax(x=m, axis=-1)
    return y
"""


def masked(*lines: str) -> str:
    return MASKED.format(mask="\n    ".join(lines))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["m: fp16[1, 8, 16, 16] = add(x=s, y=fp16[16, 16](-inf))"], "-inf"),
        (["m: fp16[1, 8, 16, 16] = add(x=s, y=fp32[16, 16](-1e9))"], "-1e+09"),
        (["m: fp16[1, 8, 16, 16] = add(x=s, y=fp16[16, 16](-65504))"], None),
        (["m: fp16[1, 8, 16, 16] = add(x=s, y=fp32[16, 16](-65505))"], "-65505"),
        (["m: fp16[1, 8, 16, 16] = add(x=s, y=fp16[16, 16](-40000))"], None),
        (["m: fp16[1, 8, 16, 16] = select(cond=c, a=s, b=-inf)"], "-inf"),
        (["m: fp16[1, 8, 16, 16] = select(cond=c, a=s, b=-10000.0)"], None),
        (["n: fp16[1, 1, 16, 16] = mul(x=b, y=-inf)", "m: fp16[1, 8, 16, 16] = add(x=s, y=n)"], "-inf"),
        (["n: fp16[16, 16] = fill(shape=[16, 16], value=-inf)", "m: fp16[1, 8, 16, 16] = add(x=s, y=n)"], "-inf"),
        (["n: fp16[1, 8, 16, 16] = add(x=s, y=-inf)", "m: fp16[1, 8, 16, 16] = maximum(x=n, y=-40000.0)"], None),
        (["m: fp16[1, 8, 16, 16] = add(x=s, y=fp16[2048, 2048](-inf))"], None),
        (["m: fp16[1, 8, 16, 16] = add(x=s, y=fp16[16, 16](nan))"], None),
    ],
)
def test_a_mask_that_fp16_cannot_hold_is_named_with_its_value(
    messages: Messages, lines: list[str], said: str | None
) -> None:
    found = messages("ANE-AT-010", masked(*lines))
    assert found == ([f"a mask of {said} ahead of softmax: not finite in fp16, whose largest is 65504"] if said else [])


def test_the_mask_of_fused_attention_is_read(messages: Messages) -> None:
    text = """
        q: fp16[1, 8, 16, 16]
        y: fp16[1, 8, 16, 16] = scaled_dot_product_attention(query=q, key=q, value=q, attn_mask={mask})
        return y
    """
    assert messages("ANE-AT-010", text.format(mask="fp16[16, 16](-inf)"))
    assert not messages("ANE-AT-010", text.format(mask="fp16[16, 16](-40000)"))
    assert not messages("ANE-AT-010", text.format(mask="bool[16, 16]"))


@pytest.mark.parametrize(
    ("lines", "makers"),
    [
        (["n: fp16[1, 1, 16, 16] = band_part(x=b, lower=-1, upper=0)", "m: fp16[1, 8, 16, 16] = add(x=s, y=n)"],
         ["band_part"]),
        (["n: fp16[1, 1, 16, 16] = cumsum(x=b, axis=3)", "d: bool[1, 1, 16, 16] = less(x=n, y=4.0)",
          "m: fp16[1, 8, 16, 16] = select(cond=d, a=s, b=-40000.0)"], ["cumsum"]),
        (["d: bool[1, 1, 16, 16] = less(x=b, y=4.0)", "m: fp16[1, 8, 16, 16] = select(cond=d, a=s, b=-40000.0)"], []),
        (["m: fp16[1, 8, 16, 16] = add(x=s, y=b)"], []),
    ],
)  # fmt: skip
def test_what_makes_a_mask_in_the_graph_is_named(messages: Messages, lines: list[str], makers: list[str]) -> None:
    found = messages("ANE-AT-011", masked(*lines))
    assert found == [f"{maker} makes the attention mask in the graph" for maker in makers]


def test_a_mask_that_many_layers_share_is_found_once(messages: Messages) -> None:
    text = """
        s: fp16[1, 8, 16, 16]
        b: fp16[1, 1, 16, 16]
        n: fp16[1, 1, 16, 16] = band_part(x=b, lower=-1, upper=0)
        for _ in range(12):
            m: fp16[1, 8, 16, 16] = add(x=s, y=n)
            y: fp16[1, 8, 16, 16] = softmax(x=m, axis=-1)
        return y
    """
    assert len(messages("ANE-AT-011", text)) == 1


def test_a_cumsum_before_the_scores_makes_no_mask(messages: Messages) -> None:
    text = """
        x: fp16[1, 16, 64]
        c: fp16[1, 16, 64] = cumsum(x=x, axis=1)
        s: fp16[1, 16, 16] = matmul(x=c, y=c, transpose_y=True)
        y: fp16[1, 16, 16] = softmax(x=s, axis=-1)
        return y
    """
    assert not messages("ANE-AT-011", text)


@pytest.mark.parametrize(("dtype", "found"), [("int32", True), ("bool", True), ("fp32", False), ("fp16", False)])
def test_an_input_mask_cast_to_fp16_is_doubted_unless_it_is_floating(
    messages: Messages, dtype: str, found: bool
) -> None:
    text = f"""
        s: fp16[1, 8, 16, 16]
        b: {dtype}[1, 1, 16, 16]
        c: fp16[1, 1, 16, 16] = cast(x=b, dtype="fp16")
        m: fp16[1, 8, 16, 16] = add(x=s, y=c)
        y: fp16[1, 8, 16, 16] = softmax(x=m, axis=-1)
        return y
    """
    assert bool(messages("ANE-AT-012", text)) is found


def test_scores_made_in_fp32_are_no_mask(messages: Messages) -> None:
    text = """
        q: fp32[1, 8, 16, 16]
        s: fp32[1, 8, 16, 16] = matmul(x=q, y=q, transpose_y=True)
        c: fp16[1, 8, 16, 16] = cast(x=s, dtype="fp16")
        m: fp16[1, 8, 16, 16] = add(x=c, y=fp16[16, 16])
        y: fp16[1, 8, 16, 16] = softmax(x=m, axis=-1)
        return y
    """
    assert not messages("ANE-AT-012", text)


@pytest.mark.parametrize(
    ("device", "heads", "extent", "found"),
    [
        ("m4", 4, 512, False),  # 2 MiB, all that stays near
        ("m4", 5, 512, True),
        ("m4", 1, 2048, False),  # one head is as split as it gets
        ("m5", 5, 512, False),
        ("m5", 9, 512, False),  # 4,718,592 bytes
        ("m5", 10, 512, True),
    ],
)
def test_scores_of_several_heads_must_fit_near_the_engine(
    messages: Messages, device: str, heads: int, extent: int, found: bool
) -> None:
    text = LAYOUT.format(heads=heads, queries=extent, keys=extent, axis=-1)
    assert bool(messages("ANE-AT-013", text, device=device)) is found


def test_scores_of_unknown_extents_are_left_alone(messages: Messages) -> None:
    assert not messages("ANE-AT-013", LAYOUT.format(heads=8, queries="_", keys=4096, axis=-1))


def test_class_scores_are_no_attention(check: Check) -> None:
    text = """
        x: fp16[64, 2048]
        s: fp16[64, 32000] = linear(x=x, weight=fp16[32000, 2048])
        y: fp16[64, 32000] = softmax(x=s, axis=-1)
        return y
    """
    assert not [each.rule.code for each in check(text).findings if each.rule.code.startswith("ANE-AT")]


def rows(*functions: object, scale: float = 1.0) -> str:
    waves = [[wave(place * scale) for wave in functions] for place in range(8)]  # type: ignore[operator]
    return str(waves)


@pytest.mark.parametrize(
    ("table", "found"),
    [
        (rows(cos, lambda p: cos(p / 100)), True),
        (rows(sin, lambda p: sin(p / 100)), True),
        (rows(cos, sin), True),
        (rows(cos, sin, scale=0.3), False),
        ("[[0.0, 0.0], [0.5403, 0.1], [0.2, 0.3]]", False),  # an embedding with an empty row for padding
        ("[[1.0, 1.0], [0.5403, 0.99]]", False),
        ("fp16[64, 32]", False),
        ("int32[64, 32]", False),
        ("fp16[2048, 2048]", False),
    ],
)
def test_a_rotary_table_is_known_by_its_values(messages: Messages, table: str, found: bool) -> None:
    text = f"p: int32[1]\ny: fp16[1, 2] = gather(x={table}, indices=p, axis=0)\nreturn y"
    assert bool(messages("ANE-AT-014", text)) is found


def test_a_rotary_table_at_fixed_positions_is_no_lookup(messages: Messages) -> None:
    text = f"x: fp16[8, 2]\ny: fp16[1, 2] = gather(x=x, indices=[3], axis=0)\nz: fp16[1, 2] = mul(x=y, y={rows(cos)})"
    assert not messages("ANE-AT-014", f"{text}\nreturn z")


@pytest.mark.parametrize(
    ("queries", "keys", "said"),
    [
        (64, 64, "fused attention of 64 queries and 64 keys: Apple advises against it"),
        (511, 2048, "fused attention of 511 queries and 2048 keys: Apple advises against it"),
        (512, 2048, "fused attention of 512 queries and 2048 keys: 512 of both weren't reliable"),
        (1, 2049, "fused attention over 2049 positions: more than 2048 weren't reliable"),
        ("_", 64, "fused attention: Apple advises against it"),
    ],
)
def test_fused_attention_is_no_more_than_information(check: Check, queries: int | str, keys: int, said: str) -> None:
    text = f"""
        q: fp16[1, 8, {queries}, 64]
        k: fp16[1, 8, {keys}, 64]
        y: fp16[1, 8, {queries}, 64] = scaled_dot_product_attention(query=q, key=k, value=k)
        return y
    """
    found = [each for each in check(text, device="m4").findings if each.rule.code == "ANE-AT-001"]
    assert [(each.severity.value, each.message) for each in found] == [("info", said)]


@pytest.mark.parametrize(
    ("system", "found"), [("ios18", False), ("macos15", False), ("ios26", True), ("macos26.1", True)]
)
def test_fused_attention_overflows_from_the_systems_of_26_on(messages: Messages, system: str, found: bool) -> None:
    text = """
        q: fp16[1, 8, 64, 64]
        y: fp16[1, 8, 64, 64] = scaled_dot_product_attention(query=q, key=q, value=q)
        return y
    """
    assert bool(messages("ANE-AT-001b", text, system=system)) is found


def test_a_cache_of_rank_5_is_doubted_where_there_is_attention(messages: Messages) -> None:
    cache = "c: state[fp16[4, 1, 8, 64, 64]]\nk: fp16[4, 1, 8, 64, 64] = read_state(input=c)\n"
    attention = (
        "q: fp16[8, 64, 64]\ns: fp16[8, 64, 64] = matmul(x=q, y=q)\ny: fp16[8, 64, 64] = softmax(x=s, axis=-1)\n"
    )
    assert messages("ANE-AT-015", f"{cache}{attention}return y") == ["a cache of rank 5"]
    assert not messages("ANE-AT-015", f"{cache}return k")


def two_functions(decode: int, prefill: int) -> str:
    body = LAYOUT.replace("\n    ", "\n        ")
    return "\n".join(
        f"    def {name}():{body.format(heads=8, queries=queries, keys=512, axis=-1).rstrip()}"
        for name, queries in (("decode", decode), ("prefill", prefill))
    )


@pytest.mark.parametrize(
    ("decode", "prefill", "said"),
    [
        (1, 64, ["decode takes 1 position at a time, prefill takes 64"]),
        (2, 64, ["decode takes 2 positions at a time, prefill takes 64"]),
        (3, 64, []),
        (4, 64, []),
        (1, 1, []),
    ],
)
def test_short_decoding_is_doubted_beside_a_wide_function(
    messages: Messages, decode: int, prefill: int, said: list[str]
) -> None:
    assert messages("ANE-AT-016", two_functions(decode, prefill)) == said


def test_keys_on_the_second_axis_are_not_taken_for_a_single_query(messages: Messages) -> None:
    text = """
        c: state[fp16[1, 64, 1, 512]]
        q: fp16[1, 64, 1, 16]
        k: fp16[1, 64, 1, 512] = read_state(input=c)
        s: fp16[1, 512, 1, 16] = einsum(values=[q, k], equation="bchq,bkhc->bkhq")
        y: fp16[1, 512, 1, 16] = softmax(x=s, axis=1)
        return y
    """
    assert not messages("ANE-AT-017", text)
    assert messages("ANE-AT-017", text.replace("16]", "1]"))


def test_pooling_by_one_query_without_a_cache_is_no_decoder(messages: Messages) -> None:
    assert not messages("ANE-AT-017", LAYOUT.format(heads=8, queries=1, keys=64, axis=-1))
