"""The cost model gives back the study's published examples; test_study.py has all of its rows."""

from __future__ import annotations

import pytest

from mctc.linter.coreml.cost import Cost, cost
from mctc.linter.coreml.graph import PackageGraph
from mctc.linter.coreml.notation import read_notation

X = "x: fp16[1, 64, 32, 32]\n"
EQUAL = 0.03  # of the larger side: what counts as a tie

# Name, program, microseconds on the Neural Engine and on the CPU: 751K coreml_dispatch.md, M4.
ROWS = [
    ("conv3x3", X + "y: fp16[1, 64, 32, 32] = conv(x=x, weight=fp16[64, 64, 3, 3])", 4.67, 100.06),
    ("conv1x1", X + "y: fp16[1, 64, 32, 32] = conv(x=x, weight=fp16[64, 64, 1, 1])", 1.17, 21.62),
    ("matmul", "x: fp16[128, 256]\nw: fp16[256, 128]\ny: fp16[128, 128] = matmul(x=x, y=w)", 2.24, 11.12),
    ("upsample", X + "y: fp16[1, 64, 64, 64] = upsample_bilinear(x=x)", 3.31, 499.64),
    (
        "concat",
        X + "z: fp16[1, 64, 32, 32]\ny: fp16[1, 128, 32, 32] = concat(values=[x, z], axis=1)",
        2.62,
        22.79,
    ),
    (
        "attention",
        "q: fp16[1, 8, 128, 64]\ny: fp16[1, 8, 128, 64] = scaled_dot_product_attention(query=q, key=q, value=q)",
        7.18,
        8.62,
    ),
    ("softmax", X + "y: fp16[1, 64, 32, 32] = softmax(x=x, axis=1)", 3.59, 4.31),
    ("layer_norm", X + "y: fp16[1, 64, 32, 32] = layer_norm(x=x, axes=[1])", 3.59, 4.31),
    ("relu", X + "y: fp16[1, 64, 32, 32] = relu(x=x)", 2.62, 2.62),
    ("transpose", X + "y: fp16[1, 64, 32, 32] = transpose(x=x, perm=[0, 1, 3, 2])", 3.81, 3.00),
]


def cost_of(text: str) -> Cost:
    graph = PackageGraph(read_notation(text + "\nreturn y"))
    return cost(graph.functions["main"].ops[-1])


def cheaper(ane: float, cpu: float) -> str:
    if abs(ane - cpu) <= EQUAL * max(ane, cpu):
        return "tie"
    return "ane" if ane < cpu else "cpu"


@pytest.mark.parametrize(("text", "ane", "cpu"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_the_published_rows_come_out(text: str, ane: float, cpu: float) -> None:
    found = cost_of(text)
    assert cheaper(found.ane, found.cpu) == cheaper(ane, cpu)
    assert found.ane == pytest.approx(ane, rel=0.05)
    assert found.cpu == pytest.approx(cpu, rel=0.05)


@pytest.mark.parametrize(
    ("text", "flops"),
    [
        ("x: fp16[1, 8, 1, 10]\ny: fp16[1, 6, 1, 4] = conv(x=x, weight=fp16[6, 4, 1, 3])", 2 * 6 * 4 * 4 * 3),
        ("x: fp16[1, 8, 1, 10]\ny: fp16[1, 6, 1, 20] = conv_transpose(x=x, weight=fp16[8, 6, 1, 2])", 2 * 80 * 6 * 2),
        ("x: fp16[3, 16]\ny: fp16[3, 5] = linear(x=x, weight=fp16[5, 16])", 2 * 3 * 5 * 16),
        ("x: fp16[16, 3]\ny: fp16[3, 5] = matmul(x=x, y=fp16[16, 5], transpose_x=True)", 2 * 3 * 5 * 16),
        (
            'x: fp16[2, 8, 4]\nz: fp16[8, 2, 6]\ny: fp16[2, 4, 6] = einsum(values=[x, z], equation="abc,bad->acd")',
            2 * 2 * 8 * 4 * 6,
        ),
        ("x: fp16[5, 1, 8]\ny: fp16[5, 1, 4] = lstm(x=x, weight_ih=fp16[16, 8], weight_hh=fp16[16, 4])", 2 * 192 * 5),
    ],
)
def test_operations_are_counted(text: str, flops: int) -> None:
    assert cost_of(text).flops == flops


def test_weights_count_as_stored_on_the_engine_and_unpacked_on_the_cpu() -> None:
    indices, lut = "uint4[4096, 4096, 1, 1]", "fp16[1, 1, 1, 1, 16, 1]"
    packed = f"w: fp16[4096, 4096, 1, 1] = constexpr_lut_to_dense(indices={indices}, lut={lut})\n"
    head = "x: fp16[1, 4096, 1, 1]\n"
    palette = cost_of(head + packed + "y: fp16[1, 4096, 1, 1] = conv(x=x, weight=w)")
    plain = cost_of(head + "y: fp16[1, 4096, 1, 1] = conv(x=x, weight=fp16[4096, 4096, 1, 1])")
    assert palette.ane == pytest.approx(plain.ane / 4, rel=0.01)
    assert palette.cpu == pytest.approx(plain.cpu, rel=0.01)


def test_unknown_shapes_and_operands_cost_something_and_break_nothing() -> None:
    for text in ("x: fp16[1, _, 1, 8]\ny: fp16[1, _, 1, 8] = conv(x=x, weight=w)", "y: fp16[4] = matmul(x=a, y=b)"):
        assert cost_of(text).cpu > 0


def test_a_view_costs_its_bytes_and_a_read_of_a_state_nothing() -> None:
    found = cost_of(X + "y: fp16[1, 64, 1024] = reshape(x=x, shape=[1, 64, 1024])")
    assert (found.ane, found.cpu) == (pytest.approx(3.59, rel=0.01), pytest.approx(4.31, rel=0.01))
    assert cost_of("s: state[fp16[1, 64, 1, 32]]\ny: fp16[1, 64, 1, 32] = read_state(input=s)") == Cost(0, 0, 0, 0)


def test_a_product_of_a_list_moves_all_of_it_and_a_stack_is_counted_by_its_first() -> None:
    pair = "x: fp16[512, 1024]\nz: fp16[512, 1024]\n"
    product = cost_of(pair + 'y: fp16[512, 512] = einsum(values=[x, z], equation="ab,cb->ac")')
    assert product.ane == pytest.approx(max(5 * 512**2 * 2 / 73_014, 2 * 512**2 * 1024 / 16.152e6), rel=0.001)
    stack = cost_of(pair + "y: fp16[2, 512, 1024] = stack(values=[x, z], axis=0)")
    assert stack.cpu == pytest.approx(3 * 512 * 1024 * 2 / 60_845, rel=0.001)


def test_weights_too_large_to_stay_near_are_read_from_memory() -> None:
    text = "x: fp16[1, 1, {0}]\ny: fp16[1, 1, {0}] = linear(x=x, weight=fp16[{0}, {0}])"
    near, far = (cost_of(text.format(width)) for width in (1024, 4096))
    assert near.ane < 2 * 1024**2 / 73_014
    assert far.ane == pytest.approx(2 * 4096**2 / 73_014, rel=0.001)


def test_what_rests_on_one_size_alone_has_a_spread() -> None:
    text = "x: fp16[1, 256, 256]\ny: fp16[1, 256, {0}] = linear(x=x, weight=fp16[{0}, 256])"
    assert [cost_of(text.format(made)).spread for made in (256, 1024, 64)] == [1.0, 4.0, 4.0]
    assert cost_of(X + "y: fp16[1, 64, 64, 64] = upsample_bilinear(x=x)").spread == 2.0
    assert cost_of(X + "y: fp16[1, 64, 32, 32] = conv(x=x, weight=fp16[64, 64, 1, 1])").spread == 1.0
