"""Ops over blocks of frames, counted from the first one, stream where calls take whole blocks."""

from __future__ import annotations

import pytest

from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.ir.dims import Extent
from mctc.ir.program import Value
from mctc.ir.types import Axis, DType, Role, TensorType

from .programs import Draft
from .small import conv, small
from .test_equals_whole import assert_equal

BLOCK = 3


def within(g: Draft, x: Value, mask: Value | None = None, before: int = 0) -> Value:
    return g.op("attention", x, x, x, mask, heads=2, within=BLOCK, before=before)


def layers(g: Draft, x: Value) -> Value:
    """Two layers of attention with what stands beside it in a model, behind a convolution that looks back."""
    x = conv(g, x, 2, 0)
    x = g.op("add", x, g.op("positional_embedding", x, g.param(BLOCK, 4), cyclic=True))
    for _ in range(2):
        x = g.op("add", x, within(g, x))
    return x


@pytest.mark.parametrize("chunks", [[3], [6, 3], [12]])
@pytest.mark.parametrize("frames", [9, 10, 14])
@pytest.mark.parametrize("laid_out", [False, True])
def test_calls_of_whole_blocks_equal_the_whole(chunks: list[int], frames: int, laid_out: bool) -> None:
    case = small(layers, laid_out=laid_out)
    inputs = case.inputs(frames)
    assert_equal(case.whole(inputs), case.streamed(inputs, chunks))


@pytest.mark.parametrize("before", [1, BLOCK, 7])
@pytest.mark.parametrize("laid_out", [False, True])
def test_blocks_see_frames_before_them_too(before: int, laid_out: bool) -> None:
    """Scores by content, then by distance, behind a look-ahead of a whole block."""

    def layers(g: Draft, x: Value) -> Value:
        x = within(g, conv(g, x, 0, BLOCK), before=before)
        parameters = (g.param(4, 4), g.param(4), g.param(4))
        settings = {"heads": 2, "within": BLOCK, "before": before}
        return g.op("add", x, g.op("relative_attention", x, x, x, *parameters, **settings))

    case = small(layers, laid_out=laid_out)
    inputs = case.inputs(14)
    for chunk in (BLOCK, 2 * BLOCK):
        assert_equal(case.whole(inputs), case.streamed(inputs, [chunk]))
    timing = case.step(BLOCK)[1].timings["y"]
    assert (timing.past, timing.ahead) == (2 * before + BLOCK - 1, 2 * BLOCK - 1)


@pytest.mark.parametrize("before", [0, 4])
def test_a_mask_of_the_author_s_own_is_kept(before: int) -> None:
    frames = TensorType(DType.F32, (Axis(Role.TIME, Extent.of("T")),))
    case = small(lambda g, x: within(g, x, g.input(frames), before))
    inputs = case.inputs(11)
    inputs["x1"] = (inputs["x1"] > 0).astype(float)
    assert_equal(case.whole(inputs), case.streamed(inputs, [BLOCK]))


def test_what_comes_a_block_late_is_still_whole_blocks() -> None:
    case = small(lambda g, x: within(g, conv(g, x, 0, BLOCK)))
    inputs = case.inputs(13)
    assert_equal(case.whole(inputs), case.streamed(inputs, [BLOCK]))


@pytest.mark.parametrize(("chunk", "late"), [(4, 0), (3, 1)])
def test_calls_that_cut_a_block_are_refused(chunk: int, late: int) -> None:
    with pytest.raises(DiagnosticError, match="give calls whole blocks"):
        small(lambda g, x: within(g, conv(g, x, 0, late))).step(chunk)


def test_several_layers_see_no_further_than_the_first() -> None:
    timing = small(layers).step(6)[1].timings["y"]
    assert (timing.past, timing.ahead) == (2 + BLOCK - 1, BLOCK - 1)
