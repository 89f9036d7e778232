"""Kernels larger than the device takes become sums over pieces that its lint accepts."""

from __future__ import annotations

import pytest

from mctc.hardware.families import FAMILIES
from mctc.passes.split_kernels import SplitKernels, pieces


def program(kernel: str, how: str = "", frames: int = 40, rows: int = 1, quantized: str = "", groups: int = 1) -> str:
    weights = (
        f"source @w: f32[6, {6 // groups}, {kernel}] = normal() param @w {quantized}"
        " source @b: f32[6] = normal() param @b"
    )
    body = f"%k = parameter @w %b = parameter @b %y = conv2d(%x, %k, %b, groups = {groups}{how})"
    height = f"feature {rows}" if rows > 1 else "unit 1"
    return (
        f"program @m {{ {weights} function @f(%x: f32[batch 1, channel 6, {height}, time {frames}])"
        f" {{ {body} return y = %y }} }}"
    )


def kernels(made) -> list[tuple[int, int]]:
    return [op.operands[1].type.shape[2:] for op in made.functions["f"].ops if op.name == "conv2d"]


@pytest.mark.parametrize(("device", "widths"), [(None, [13, 13, 5]), ("m1", [13, 13, 5]), ("m4", [15, 15, 1])])
@pytest.mark.parametrize(
    ("frames", "how", "groups"),
    [(20, ", pad = [15, 15]", 6), (31, "", 6), (70, ", stride = [1, 2], dilation = [1, 2]", 1)],
)
def test_a_wide_kernel_is_a_sum_over_pieces_of_the_device_s_width(rewrites, device, widths, frames, how, groups):
    made, _ = rewrites(SplitKernels, program("1, 31", how, frames, groups=groups), device=device)
    assert kernels(made) == [(1, width) for width in widths]


@pytest.mark.parametrize(("device", "heights"), [("m1", [29, 5]), ("m2", [31, 3])])
def test_a_high_kernel_is_cut_along_its_height(rewrites, device, heights):
    how = ", pad_feature = [2, 1], stride = [2, 1]"
    made, _ = rewrites(SplitKernels, program("34, 1", how, frames=3, rows=40), device=device)
    assert kernels(made) == [(height, 1) for height in heights]


def test_a_kernel_that_is_too_large_both_ways_is_cut_both_ways(rewrites):
    made, _ = rewrites(SplitKernels, program("30, 14", ", pad = [13, 0]", rows=33), device="m1")
    assert kernels(made) == [(29, 13), (29, 1), (1, 13), (1, 1)]


@pytest.mark.parametrize("kernel", ["1, 13", "2, 13", "29, 1"])
def test_kernels_that_every_device_takes_stay_whole(rewrites, kernel):
    text = program(kernel, rows=32)
    for family in FAMILIES:
        rewrites(SplitKernels, text, text, device=family)


def test_a_stack_that_is_not_core_ml_keeps_its_kernels(rewrites):
    text = program("1, 31")
    rewrites(SplitKernels, text, text, stack="onnx")


def test_a_compressed_kernel_stays_whole(rewrites):
    text = program("1, 31", quantized="as int8(bits = 8)")
    rewrites(SplitKernels, text, text)


def test_pieces_cover_every_tap_once():
    for taps, limit in ((1, 13), (13, 13), (14, 13), (40, 13)):
        covered = [tap for start, count in pieces(taps, limit) for tap in range(start, start + count)]
        assert covered == list(range(taps))
