"""Frames that become several: transposed convolutions, upsampling and folding in time, branches of several rates."""

from __future__ import annotations

from fractions import Fraction
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest

from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array
from mctc.ir.program import Program
from mctc.language import elaborate_file
from mctc.streaming.derive import StepInfo, derive_program
from mctc.streaming.run import stream
from mctc.weights import Weights

U_NET = """
    y = conv1d(x, 6, 5, stride = 2, look_ahead = 2) as down
    z = tanh(conv1d(y, 6, 4, stride = 2, look_ahead = 1) as downer)
    y = y + conv_transpose1d(z, 6, 5, stride = 2, look_ahead = 1) as up
    y = conv1d(y, 6, 3, look_ahead = 1) as middle
    return x + conv_transpose1d(y, 4, 4, stride = 2) as top
"""


def program(folder: Path, body: str, result: str = "f32[B, T, 4]") -> Program:
    path = folder / "rates.mct"
    dims = "dim B: batch\n dim T: time @ 100 Hz\n"
    path.write_text(f"model rates {{ {dims} component c(x: f32[B, T, 4]) -> {result} {{\n{body}\n}}\n}}\n")
    return elaborate_file(path)


def run(made: Program, x: Array, chunk: int) -> tuple[Array, Array, StepInfo]:
    """The result over the whole, by chunks, and what is known of the step."""
    weights = Weights(made.sources)

    def value(key: str) -> Array:
        return weights.value(made.parameters[key])

    whole = evaluate(made.functions["c"], {"x": x}, value)[0]["output"]
    steps, infos = derive_program(made, chunk)
    step = (steps.functions["c"], infos["c"])
    got = stream(lambda _: step, {"x": x}, repeat(chunk), lambda f, i, s: evaluate(f, i, value, s))
    return whole, got["output"], infos["c"]


def samples(frames: int) -> Array:
    return np.random.default_rng(0).normal(size=(1, frames, 4))


@pytest.mark.parametrize("chunk", [4, 12])
def test_branches_of_three_rates_meet_frame_by_frame(chunk: int, tmp_path: Path) -> None:
    whole, streamed, info = run(program(tmp_path, U_NET), samples(52), chunk)
    np.testing.assert_allclose(streamed, whole, rtol=1e-9, atol=1e-12)
    timing = info.timings["output"]
    assert timing.jump == 1
    assert info.delay_ms("output") == 10.0 * timing.delay
    assert timing.delay % 2 == 0  # what is late at the slower rate is late by whole frames of it


def test_look_ahead_behind_a_finer_rate_is_counted_in_its_frames(tmp_path: Path) -> None:
    body = "return conv1d(upsample(conv1d(x, 4, 3, look_ahead = 1), 3) as fine, 4, 5, look_ahead = 2) as late"
    whole, streamed, info = run(program(tmp_path, body, "f32[B, 3 * T, 4]"), samples(20), 4)
    np.testing.assert_allclose(streamed, whole, rtol=1e-9, atol=1e-12)
    timing = info.timings["output"]
    assert (timing.delay, timing.jump, info.frames["output"]) == (3 * 1 + 2, Fraction(1, 3), 12)
    assert info.delay_ms("output") == pytest.approx(5 * 10 / 3)


@pytest.mark.parametrize(("factor", "parts"), [(2, 3), (3, 2)])
def test_a_rate_that_divides_no_other_knows_which_frames_exist(factor: int, parts: int, tmp_path: Path) -> None:
    """Three frames for two, or two for three: behind the end there are zeros, not what a bias makes of them."""
    body = f"y = conv1d(x, 4, {factor}, stride = {factor}, look_ahead = {factor - 1}) as slow\n"
    body += f"return conv1d(upsample(y, {parts}) as fine, 4, 4, look_ahead = 3) as late"
    made = program(tmp_path, body, f"f32[B, {parts} * T / {factor}, 4]")
    whole, streamed, info = run(made, samples(18), 6)
    assert info.needs_valid
    np.testing.assert_allclose(streamed, whole, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("kernel", "stride", "look_ahead"), [(2, 2, 0), (4, 2, 0), (5, 2, 1), (5, 3, 2), (3, 1, 1), (7, 2, 4), (2, 3, 0)]
)
def test_a_transposed_convolution_adds_a_kernel_for_each_frame(
    kernel: int, stride: int, look_ahead: int, tmp_path: Path
) -> None:
    """y[stride t + k] gets x[t] w[:, :, k]: its frames from number `look_ahead` on."""
    call = f"conv_transpose1d(x, 5, {kernel}, stride = {stride}, look_ahead = {look_ahead}) as up"
    made = program(tmp_path, f"return {call}", f"f32[B, {stride} * T, 5]")
    x = samples(6)
    whole, streamed, _ = run(made, x, 2)
    weights = Weights(made.sources)
    w, b = (weights.value(made.parameters[f"c.up.{name}"]) for name in ("weight", "bias"))
    full = np.zeros((stride * 6 + kernel + look_ahead, 5))
    for t in range(6):
        full[stride * t : stride * t + kernel] += np.einsum("c,cok->ko", x[0, t], w)
    np.testing.assert_allclose(whole[0], full[look_ahead : look_ahead + stride * 6] + b, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(streamed, whole, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("groups", "stride"), [(2, 2), (4, 3)])
def test_a_grouped_transposed_convolution_is_one_for_each_group(groups: int, stride: int, tmp_path: Path) -> None:
    call = f"conv_transpose1d(x, 8, 4, stride = {stride}, groups = {groups}, look_ahead = 1, bias = false) as up"
    made = program(tmp_path, f"return {call}", f"f32[B, {stride} * T, 8]")
    x = samples(6)
    whole, streamed, _ = run(made, x, 2)
    w = Weights(made.sources).value(made.parameters["c.up.weight"])
    full = np.zeros((stride * 6 + 5, groups, 8 // groups))
    for t in range(6):
        parts = x[0, t].reshape(groups, -1), w.reshape(groups, -1, 8 // groups, 4)
        full[stride * t : stride * t + 4] += np.einsum("gc,gcok->kgo", *parts)
    np.testing.assert_allclose(whole[0], full[1 : 1 + stride * 6].reshape(-1, 8), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(streamed, whole, rtol=1e-9, atol=1e-12)


def test_folding_and_unfolding_are_each_other_s_inverse(tmp_path: Path) -> None:
    x = samples(12)
    whole, streamed, info = run(program(tmp_path, "return unfold_time(fold_time(x, 3), 3)"), x, 6)
    assert np.array_equal(whole, x)
    assert np.array_equal(streamed, x)
    assert info.timings["output"].delay == 0
    folded = run(program(tmp_path, "return fold_time(x, 3)", "f32[B, T/3, 12]"), x, 6)[0]
    assert np.array_equal(folded[0, 1], x[0, 3:6].reshape(-1))
