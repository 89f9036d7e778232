"""Frames at another rate: folded into channels and back, moved, interpolated, and spectra of frames of samples."""

from __future__ import annotations

from fractions import Fraction

from bench.fuzz.body import MOST_STRIDE, Body, Generator, Tensor
from bench.fuzz.generators.pointwise import project, unary
from bench.fuzz.generators.windows import convolution_block


def _runs_in_time(b: Body) -> bool:
    """The library's blocks of rates take a batch, frames and channels."""
    return b.roles() == ["batch", "time", "channel"]


def fold(b: Body) -> Tensor:
    """Frames side by side in the channels, mixed, and back or left so."""
    known = [v for v in b.slow() if 2 * v.jump <= MOST_STRIDE and _runs_in_time(b)]
    if not known:
        return unary(b)
    x = b.choice(*known)
    count = b.choice(*(n for n in (2, 3, 4) if x.jump * n <= MOST_STRIDE))
    wide = b.let(f"fold_time({x.name}, {count})", count * x.channels, count * x.jump)
    if b.choice(True, False):
        return project(b, wide, 4)
    return b.like(x, f"unfold_time(tanh({project(b, wide, count * x.channels).name}), {count})")


def interpolate(b: Body) -> Tensor:
    """Frames between frames."""
    known = [v for v in b.pool if v.jump > Fraction(1, 2) and _runs_in_time(b)]
    if not known:
        return unary(b)
    x = b.choice(*known)
    turned = f"conv_transpose1d({x.name}, {x.channels}, {b.whole(4, 5)}, stride = 2, groups = {b.choice(1, 2)}"
    made = b.choice(f"upsample_linear({x.name}, 2)", f"{turned}, look_ahead = {b.whole(0, 3)})")
    return b.let(made, x.channels, Fraction(x.jump) / 2)


def move(b: Body) -> Tensor:
    """Frames of earlier or later."""
    if b.joint:
        return convolution_block(b)
    x = b.any()
    to = "delay" if b.labels and b.causal else b.choice("delay", "ahead")
    return b.like(x, f"{x.name} - 0.5 * {to}({b.partner(x).name}, {b.whole(1, 3)})")


def spectrum(b: Body) -> Tensor:
    """Columns of a transform of frames of samples, weighed, and the samples that they stand for."""
    if not _runs_in_time(b):
        return unary(b)
    b.shared.imports.add("lib/spectrum.mct")
    x = b.any()
    n, look = x.channels, b.whole(0, 1)
    real, imaginary = b.shared.fresh("re"), b.shared.fresh("im")
    window = b.choice('"hann"', '"sqrt_hann"', '"ones"')
    b.say(f"{real}, {imaginary} = stft({x.name}, {2 * n}, window = {window}, look_ahead = {look})")
    weight = b.parameter(n + 1)
    if window == '"ones"' or b.choice(True, False):
        return project(b, b.let(f"0.25 * ({real} + {imaginary}) * {weight}", n + 1, x.jump), 4)
    return b.like(x, f"istft({real} * {weight}, {imaginary}, {n}, window = {window}, look_ahead = {look})")


GENERATORS: tuple[Generator, ...] = (fold, fold, interpolate, move, spectrum)
