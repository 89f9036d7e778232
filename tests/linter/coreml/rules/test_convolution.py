"""Convolutions: strides, dilations, groups, palettes, computed weights."""

from __future__ import annotations

import pytest

from tests.linter.coreml.conftest import Messages


def conv(weight: str, operands: str = "", x: str = "1, 64, 64, 64", kind: str = "conv") -> str:
    return f'x: fp16[{x}]\ny: fp16[1, 64, 32, 32] = {kind}(x=x, weight={weight}, pad_type="same"{operands})\nreturn y'


@pytest.mark.parametrize(
    ("strides", "slow"),
    [
        ("[1, 1]", False), ("[2, 2]", False), ("[3, 3]", True), ("[4, 4]", False), ("[5, 5]", True), ("[7, 7]", True),
        ("[9, 9]", False), ("[14, 14]", True), ("[16, 16]", False), ("[32, 32]", False), ("[64, 64]", True),
        ("[2, 3]", False), ("[9, 2]", False), ("[2, 5]", True), ("[3, 4]", True), ("[8, 4]", True), ("[1, 5]", False),
        ("[7, 1]", False),
    ],
)  # fmt: skip
def test_strides_are_those_of_apples_list(strides: str, slow: bool, messages: Messages) -> None:
    found = messages("ANE-CV-006", conv("fp16[64, 64, 3, 3]", f", strides={strides}"), device="m4")
    assert bool(found) is slow


def test_a_stride_of_a_1d_convolution_is_not_looked_up_in_a_list_of_pairs(messages: Messages) -> None:
    assert not messages("ANE-CV-006", conv("fp16[64, 64, 3]", ", strides=[5]", x="1, 64, 64"))


LUT = "lut=fp16[1, 1, 1, 1, 16, 1]"
PALETTE = f"w: fp16[64, 64, 3, 3] = constexpr_lut_to_dense(indices=uint4[64, 64, 3, 3], {LUT})\n"
SCALED = """\
v: int8[64, 64, 3, 3] = constexpr_lut_to_dense(indices=uint4[64, 64, 3, 3], lut=int8[1, 1, 1, 1, 16, 1])
w: fp16[64, 64, 3, 3] = constexpr_blockwise_shift_scale(data=v, scale=fp16[64, 1, 1, 1])
"""
SPARSE = """\
v: (uint1[64, 64, 3, 3], fp16[100]) = constexpr_lut_to_sparse(indices_mask=uint1[64, 64, 3, 3], \
indices_nonzero_data=uint4[100], lut=fp16[1, 1, 1, 1, 16, 1])
w: fp16[64, 64, 3, 3] = constexpr_sparse_to_dense(nonzero_data=v_1, mask=v)
"""
QUANTISED = "w: fp16[64, 64, 3, 3] = constexpr_affine_dequantize(quantized_data=int8[64, 64, 3, 3], scale=fp16(1))\n"


@pytest.mark.parametrize(
    ("packed", "strides", "found"),
    [
        (PALETTE, "[2, 2]", False), (PALETTE, "[2, 3]", True), (PALETTE, "[4, 4]", True), (SCALED, "[4, 4]", True),
        (SPARSE, "[4, 4]", True), (QUANTISED, "[4, 4]", False),
    ],
)  # fmt: skip
def test_palettes_go_with_strides_up_to_two(packed: str, strides: str, found: bool, messages: Messages) -> None:
    assert bool(messages("ANE-CV-007", packed + conv("w", f", strides={strides}"))) is found


@pytest.mark.parametrize(
    ("operands", "found"),
    [(", groups=1", False), (", groups=2", True), (", dilations=[2, 2]", True), (", dilations=[1, 1]", False)],
)
def test_a_palettised_deconvolution_is_neither_grouped_nor_dilated(
    operands: str, found: bool, messages: Messages
) -> None:
    text = PALETTE + conv("w", operands, kind="conv_transpose")
    assert bool(messages("ANE-CV-009", text)) is found
    assert not messages("ANE-CV-009", conv("fp16[64, 64, 3, 3]", operands, kind="conv_transpose"))


@pytest.mark.parametrize(("stride", "found"), [(2, False), (4, False), (7, False), (8, True), (16, True)])
def test_deconvolutions_with_large_strides_are_contested(stride: int, found: bool, messages: Messages) -> None:
    text = conv("fp16[64, 64, 16]", f", strides=[{stride}]", x="1, 64, 64", kind="conv_transpose")
    assert bool(messages("ANE-CV-010", text)) is found


@pytest.mark.parametrize(
    ("channels", "groups", "kernel", "found"),
    [
        (1024, 1024, "1, 3", True), (2048, 2048, "1, 3", True), (1024, 1024, "3", True), (1023, 1023, "1, 3", False),
        (1024, 512, "1, 3", False), (1024, 1024, "3, 1", False), (1024, 1024, "3, 3", False),
    ],
)  # fmt: skip
def test_wide_depthwise_convolutions_are_contested(
    channels: int, groups: int, kernel: str, found: bool, messages: Messages
) -> None:
    x = f"1, {channels}, 1, 64" if "," in kernel else f"1, {channels}, 64"
    text = conv(f"fp16[{channels}, {channels // groups}, {kernel}]", f", groups={groups}", x=x)
    assert bool(messages("ANE-CV-011", text)) is found


@pytest.mark.parametrize(("groups", "found"), [(1, False), (2, False), (3, True), (64, False), (0, False)])
def test_groups_divide_the_channels(groups: int, found: bool, messages: Messages) -> None:
    assert bool(messages("ANE-CV-012", conv("fp16[64, 1, 3, 3]", f", groups={groups}"))) is found


@pytest.mark.parametrize(
    ("x", "weight", "found"),
    [
        ("1, 64, 8, 8", "w", False), ("2, 64, 8, 8", "w", True), ("2, 64, 8, 8", "fp16[64, 64, 3, 3]", False),
        ("_, 64, 8, 8", "w", False),
    ],
)  # fmt: skip
def test_computed_weights_go_with_one_image(x: str, weight: str, found: bool, messages: Messages) -> None:
    assert bool(messages("ANE-CV-013", "w: fp16[64, 64, 3, 3]\n" + conv(weight, x=x))) is found


@pytest.mark.parametrize(
    ("device", "found"), [("m1", True), ("m3", True), ("a16", True), ("m4", False), ("a17", False), ("m6", False)]
)
def test_three_axes_are_questioned_before_the_m4(device: str, found: bool, messages: Messages) -> None:
    text = conv("fp16[64, 64, 3, 3, 3]", x="1, 64, 8, 8, 8")
    assert bool(messages("ANE-CV-015", text, device=device)) is found


@pytest.mark.parametrize(
    ("kernel", "channels", "slow"),
    [("13, 13", 64, True), ("16, 16", 64, True), ("16, 16", 3, False), ("12, 16", 64, False), ("17, 17", 64, False)],
)
def test_large_kernels_over_many_channels_are_slow_to_compile(
    kernel: str, channels: int, slow: bool, messages: Messages
) -> None:
    text = conv(f"fp16[64, {channels}, {kernel}]", x=f"1, {channels}, 64, 64")
    assert bool(messages("ANE-CV-005", text, device="m4")) is slow


@pytest.mark.parametrize("code", ["ANE-CV-001", "ANE-CV-002", "ANE-CV-003", "ANE-CV-003b", "ANE-CV-004"])
@pytest.mark.parametrize("weight", ["fp16[64, 64, _, 3]", "fp16[64, 64, 40, _]", "fp16[64, 64]", "fp16", "nothing"])
def test_a_kernel_that_the_file_does_not_give_is_left_alone(weight: str, code: str, messages: Messages) -> None:
    assert not messages(code, conv(weight))


def test_a_wide_kernel_of_a_transposed_convolution_is_left_alone(messages: Messages) -> None:
    """Nobody has measured one, and vocoders have them with strides of half their width."""
    text = conv("fp16[64, 64, 16]", ", strides=[4]", x="1, 64, 64", kind="conv_transpose")
    assert not messages("ANE-CV-001", text)
