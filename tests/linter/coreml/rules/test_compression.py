"""Compressed weights: scales, palettes, zero points, quantised activations."""

from __future__ import annotations

import pytest

from tests.linter.coreml.conftest import Check, Messages

OPS = {
    "conv": ("fp16[1, 64, 1, 16]", (128, 64, 1, 1), "fp16[1, 128, 1, 16] = conv(x=x, weight=w)"),
    "linear": ("fp16[1, 16, 64]", (128, 64), "fp16[1, 16, 128] = linear(x=x, weight=w)"),
    "matmul": ("fp16[1, 16, 64]", (1, 64, 128), "fp16[1, 16, 128] = matmul(x=x, y=w)"),
    "matmul flipped": ("fp16[1, 16, 64]", (1, 128, 64), "fp16[1, 16, 128] = matmul(x=x, y=w, transpose_y=True)"),
    "matmul left": ("fp16[1, 64, 16]", (1, 128, 64), "fp16[1, 128, 16] = matmul(x=w, y=x)"),
    "matmul left flipped": ("fp16[1, 64, 16]", (1, 64, 128), "fp16[1, 128, 16] = matmul(x=w, y=x, transpose_x=True)"),
    "conv_transpose": ("fp16[1, 64, 8, 8]", (64, 128, 2, 2), "fp16[1, 128, 16, 16] = conv_transpose(x=x, weight=w)"),
}
OUT = {"conv": 0, "linear": 0, "matmul": 2, "matmul flipped": 1, "matmul left": 1, "matmul left flipped": 2,
       "conv_transpose": 1}  # fmt: skip
IN = {"conv": 1, "linear": 1, "matmul": 1, "matmul flipped": 2, "matmul left": 2, "matmul left flipped": 1}


def at(rank: int, axis: int, extent: int) -> list[int]:
    return [extent if place == axis else 1 for place in range(rank)]


def weight(op: str, form: str, head: str = "") -> str:
    """A program of one op; in `form` W stands for the extents of the weight."""
    x, shape, line = OPS[op]
    extents = ", ".join(map(str, shape))
    return f"x: {x}\n{head}\nw: fp16[{extents}] = {form.replace('W', extents)}\ny: {line}\nreturn y"


def scaled(op: str, scale: list[int], dtype: str = "int4") -> str:
    return weight(op, f"constexpr_blockwise_shift_scale(data={dtype}[W], scale=fp16{scale})")


def palettised(op: str, tables: list[int], bits: int = 4, entries: str = "fp16", vector: int = 1) -> str:
    return weight(op, f"constexpr_lut_to_dense(indices=uint{bits}[W], lut={entries}{[*tables, 1 << bits, vector]})")


@pytest.mark.parametrize("op", IN)
@pytest.mark.parametrize(("blocks", "errors"), [(1, 0), (2, 1), (64, 1)])
def test_scales_in_blocks_along_the_contracted_axis(messages: Messages, op: str, blocks: int, errors: int) -> None:
    scale = at(len(OPS[op][1]), IN[op], blocks)
    scale[OUT[op]] = 128
    found = messages("ANE-QT-001", scaled(op, scale))
    assert found == [f"{blocks} blocks of {64 // blocks} with their own scales along the contracted axis"] * errors


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("scales", [1, 4, 128])
@pytest.mark.parametrize("dtype", ["int4", "uint4", "int8"])
def test_scales_along_the_output_channels_are_fine(check: Check, op: str, scales: int, dtype: str) -> None:
    report = check(scaled(op, at(len(OPS[op][1]), OUT[op], scales), dtype))
    assert not [f for f in report.findings if f.rule.code.startswith("ANE-QT") and f.severity.value != "info"]


@pytest.mark.parametrize(
    ("dtype", "four", "eight"), [("int4", 1, 0), ("uint4", 1, 0), ("int8", 0, 1), ("uint8", 0, 1), ("fp16", 0, 0)]
)
def test_the_width_of_weights_is_told(messages: Messages, dtype: str, four: int, eight: int) -> None:
    text = scaled("conv", [128, 1, 1, 1], dtype)
    assert len(messages("ANE-QT-002", text)) == four
    assert len(messages("ANE-QT-011", text)) == eight


def test_weights_of_a_function_are_counted_in_one_finding(messages: Messages) -> None:
    text = """
    x: fp16[1, 64, 1, 16]
    for _ in range(5):
        w: fp16[64, 64, 1, 1] = constexpr_blockwise_shift_scale(data=int4[64, 64, 1, 1], scale=fp16[64, 1, 1, 1])
        x: fp16[1, 64, 1, 16] = conv(x=x, weight=w)
    return x
    """
    assert messages("ANE-QT-002", text) == ["5 weights of 4 bits with a scale for each output channel, the form to use"]


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize(
    ("tables", "slow", "recommended"), [(1, 0, 1), (16, 0, 1), (32, 0, 0), (64, 1, 0), (128, 1, 0)]
)
def test_groups_of_output_channels_by_their_size(
    messages: Messages, op: str, tables: int, slow: int, recommended: int
) -> None:
    text = palettised(op, at(len(OPS[op][1]), OUT[op], tables))
    assert len(messages("ANE-QT-003", text)) == slow
    assert len(messages("ANE-QT-005", text)) == recommended


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("device", ["m1", "m4", "m5", "a19", "m6"])
def test_palettes_of_three_bits_are_widened_before_h18(messages: Messages, bits: int, device: str) -> None:
    found = messages("ANE-QT-006", palettised("conv", [1, 1, 1, 1], bits), device=device)
    assert len(found) == (bits == 3 and device in ("m1", "m4", "m5"))


def test_the_flat_palette_of_ios_16_is_one_table(messages: Messages) -> None:
    text = weight("conv", "constexpr_lut_to_dense(indices=uint8[4096], lut=fp16[16], shape=[128, 64, 1, 1])")
    assert len(messages("ANE-QT-005", text)) == 1
    for code in ("ANE-QT-003", "ANE-QT-004", "ANE-QT-006", "ANE-QT-008"):
        assert not messages(code, text)


@pytest.mark.parametrize(("op", "findings"), [("conv", 1), ("linear", 0), ("matmul", 0)])
def test_tables_of_six_axes_come_of_weights_with_four(messages: Messages, op: str, findings: int) -> None:
    text = palettised(op, [1] * len(OPS[op][1]))
    assert (
        messages("ANE-QT-004", text)
        == ["1 lookup table of 6 axes, as weights with 4 axes have them: Core AI rejects those"] * findings
    )


WHOLE = "constexpr_lut_to_dense(indices=uint4[128, 64], lut={}[1, 1, 16, 1])"
SCALE = "constexpr_blockwise_shift_scale(data=v, scale=fp16[128, 1])"


@pytest.mark.parametrize(("entries", "integer", "before"), [("int8", 1, 0), ("uint8", 1, 0), ("fp16", 0, 1)])
def test_a_scaled_palette_is_told_by_its_entries(messages: Messages, entries: str, integer: int, before: int) -> None:
    text = weight("linear", SCALE, f"v: {entries}[128, 64] = {WHOLE.format(entries)}")
    assert len(messages("ANE-QT-007", text)) == integer
    assert len(messages("ANE-QT-014", text)) == before


def test_a_table_that_is_unpacked_has_integer_entries(messages: Messages) -> None:
    head = "t: fp16[1, 1, 16, 1] = constexpr_blockwise_shift_scale(data=int8[1, 1, 16, 1], scale=fp16[1, 1, 1, 1])"
    text = weight("linear", "constexpr_lut_to_dense(indices=uint4[W], lut=t)", head)
    assert messages("ANE-QT-007", text) == ["a lookup table of 8-bit entries"]
    assert not messages("ANE-QT-001", text)


def test_a_table_with_scales_of_its_own_is_scaled_before_the_op(messages: Messages) -> None:
    """What coremltools 9 writes for enable_per_channel_scale."""
    head = "t: fp16[1, 64, 16, 1] = constexpr_blockwise_shift_scale(data=fp16[1, 64, 16, 1], scale=fp16[1, 64, 1, 1])"
    text = weight("linear", "constexpr_lut_to_dense(indices=uint4[W], lut=t)", head)
    assert messages("ANE-QT-014", text) == [
        "the scale of a palettised weight is applied before the op, not to its result"
    ]
    for code in ("ANE-QT-001", "ANE-QT-005", "ANE-QT-007"):
        assert not messages(code, text)


@pytest.mark.parametrize(("axis", "findings"), [("0", 0), ("-2", 0), ("1", 1), ("-1", 1)])
def test_vectors_along_another_axis_than_the_output(messages: Messages, axis: str, findings: int) -> None:
    form = f"constexpr_lut_to_dense(indices=uint4[64, 64], lut=fp16[1, 1, 16, 2], vector_axis={axis})"
    assert len(messages("ANE-QT-008", weight("linear", form))) == findings


@pytest.mark.parametrize(
    ("group", "inside", "findings"), [(64, 1, 1), (32, 2, 0), (1, 64, 0)], ids=["depthwise", "grouped", "full"]
)
def test_only_depthwise_palettes_are_in_doubt(messages: Messages, group: int, inside: int, findings: int) -> None:
    text = f"""
    x: fp16[1, 64, 8, 8]
    w: fp16[64, {inside}, 3, 3] = constexpr_lut_to_dense(indices=uint4[64, {inside}, 3, 3], lut=fp16[1, 1, 1, 1, 16, 1])
    y: fp16[1, 64, 6, 6] = conv(x=x, weight=w, groups={group})
    return y
    """
    assert len(messages("ANE-QT-015", text)) == findings


@pytest.mark.parametrize(("bits", "state", "findings"), [(4, True, 1), (4, False, 0), (6, True, 0), (8, True, 0)])
def test_palettes_of_four_bits_beside_a_state(messages: Messages, bits: int, state: bool, findings: int) -> None:
    head = "s: state[fp16[1, 64]]\n" if state else ""
    assert len(messages("ANE-QT-017", head + palettised("conv", [1, 1, 1, 1], bits))) == findings


SPARSE = (
    "m: (uint1[128, 64], fp16[4096]) = constexpr_lut_to_sparse("
    "indices_mask=uint1[128, 64], indices_nonzero_data=uint4[4096], lut=fp16[64, 1, 16, 1])"
)


def test_a_palette_beneath_a_mask_is_found(messages: Messages) -> None:
    text = weight("linear", "constexpr_sparse_to_dense(nonzero_data=m_1, mask=m)", SPARSE)
    assert messages("ANE-QT-013", text) == ["a weight both sparse and palettised"]
    assert messages("ANE-QT-003", text) == [
        "a lookup table for every 2 output channels, slow below 4: 2.1 times the time of one table on an iPhone 15 Pro"
    ]


def test_scales_in_blocks_beneath_a_mask_are_found(messages: Messages) -> None:
    head = (
        "m: (uint1[128, 64], fp16[4096]) = constexpr_sparse_blockwise_shift_scale("
        "data_mask=uint1[128, 64], nonzero_data=int8[4096], scale=fp16[128, 4])"
    )
    text = weight("linear", "constexpr_sparse_to_dense(nonzero_data=m_1, mask=m)", head)
    assert messages("ANE-QT-001", text) == ["4 blocks of 16 with their own scales along the contracted axis"]


def affine(dtype: str, point: str) -> str:
    return weight("conv", f"constexpr_affine_dequantize(quantized_data={dtype}[W], scale=fp16[128], {point} axis=0)")


@pytest.mark.parametrize(
    ("dtype", "point", "findings"),
    [
        ("int8", "zero_point=int8[128](0),", 0),
        ("int8", "zero_point=int8(0),", 0),
        ("int8", "zero_point=int8[128](1),", 1),
        ("int8", "zero_point=int8(-128),", 1),
        ("uint8", "zero_point=uint8[128](128),", 0),
        ("uint8", "zero_point=uint8(0),", 0),
        ("uint8", "zero_point=uint8[128](127),", 0),
        ("uint8", "zero_point=uint8[128](126),", 1),
        ("uint8", "zero_point=uint8[128](129),", 1),
        ("int8", "zero_point=fp32(0.5),", 1),
        ("int8", "", 0),
        ("int8", "zero_point=missing,", 0),
    ],
)
def test_zero_points_off_the_middle(messages: Messages, dtype: str, point: str, findings: int) -> None:
    assert len(messages("ANE-QT-016", affine(dtype, point))) == findings


@pytest.mark.parametrize(("offset", "findings"), [("8", 0), ("7", 0), ("6", 1), ("9", 1)])
def test_offsets_of_four_bits(messages: Messages, offset: str, findings: int) -> None:
    form = f"constexpr_blockwise_shift_scale(data=uint4[W], scale=fp16[128, 1], offset=uint4[128, 1]({offset}))"
    assert len(messages("ANE-QT-016", weight("linear", form))) == findings


def quantised(*inside: bool, point: int = 0) -> str:
    """Convolutions one after another; those named take quantised activations."""
    lines = ["x: fp16[1, 64, 8, 8]"]
    for each in inside:
        if each:
            lines += [
                f"q: int8[1, 64, 8, 8] = quantize(input=x, scale=fp16(0.5), zero_point=int8({point}))",
                f"x: fp16[1, 64, 8, 8] = dequantize(input=q, scale=fp16(0.5), zero_point=int8({point}))",
            ]
        lines.append("x: fp16[1, 64, 8, 8] = conv(x=x, weight=fp16[64, 64, 3, 3], pad_type='same')")
    return "\n".join([*lines, "return x"])


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ((True, True), None),
        ((False, False), None),
        ((True, False), "1 of 2 convolutions and products take quantised activations"),
        ((True, True, False), "2 of 3 convolutions and products take quantised activations"),
    ],
)
def test_a_chain_quantised_in_part(messages: Messages, inside: tuple[bool, ...], message: str | None) -> None:
    assert messages("ANE-QT-010", quantised(*inside)) == ([message] if message else [])


@pytest.mark.parametrize(
    ("device", "says"),
    [("m1", "nothing to gain, H13"), ("m3", "nothing to gain, H15"), ("m4", "may be faster"), ("a17", "may be faster")],
)
def test_quantised_activations_by_family(messages: Messages, device: str, says: str) -> None:
    found = messages("ANE-QT-009", quantised(True), device=device)
    assert len(found) == 2
    assert all(says in message for message in found)


def test_zero_points_of_activations(messages: Messages) -> None:
    assert not messages("ANE-QT-016", quantised(True))
    assert messages("ANE-QT-016", quantised(True, point=3)) == [
        "quantize of an activation with zero points off the middle",
        "dequantize of an activation with zero points off the middle",
    ]


@pytest.mark.parametrize(
    "form",
    [
        "constexpr_blockwise_shift_scale(data=w, scale=fp16(1.0))",
        "constexpr_lut_to_dense(indices=w, lut=w)",
        "constexpr_blockwise_shift_scale(data=missing, scale=missing)",
        "constexpr_blockwise_shift_scale()",
        "constexpr_blockwise_shift_scale(data=int4[W], scale=fp16(1.0))",
        "constexpr_blockwise_shift_scale(data=int4[W], scale=fp16[_, _, 1, 1])",
        "constexpr_lut_to_dense(indices=missing, lut=missing)",
        "constexpr_lut_to_dense(indices=uint4[W], lut=fp16(1.0))",
        "constexpr_lut_to_dense(indices=uint4[W], lut=fp16[0, 0, 0, 0, 0, 0], vector_axis=99)",
        "constexpr_affine_dequantize(quantized_data=int8[W], scale=fp16[7], zero_point='a', axis=-9)",
        "constexpr_something_new(data=int4[W])",
    ],
)
@pytest.mark.parametrize("op", OPS)
def test_weights_that_make_no_sense_are_no_trouble(check: Check, op: str, form: str) -> None:
    report = check(weight(op, form))
    assert not [each for each in report.findings if each.rule.code == "ANE-QT-001"]


@pytest.mark.parametrize("scale", ["fp16", "fp16[2]", "fp16[2, 2]"])
@pytest.mark.parametrize("call", ["conv(x=x, weight=w)", "linear(x=x, weight=w)", "matmul(x=x, y=w)"])
def test_weights_without_axes_are_no_trouble(messages: Messages, call: str, scale: str) -> None:
    form = f"constexpr_blockwise_shift_scale(data=int4, scale={scale})"
    assert not messages("ANE-QT-001", f"x: fp16\nw: fp16 = {form}\ny: fp16 = {call}\nreturn y")
