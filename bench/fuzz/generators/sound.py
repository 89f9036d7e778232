"""Samples of sound as a component's input, and what makes frames of them: folding, framed convolutions, spectra."""

from __future__ import annotations

from bench.fuzz.body import Body, Tensor

SIZES = (1, 4, 8)  # samples that follow one another in a frame of the input
RATE = 800  # samples a second, where nothing depends on it


def samples(b: Body) -> None:
    """Makes the samples the component's input, and two tensors of them."""
    count = b.choice(*SIZES)
    b.shared.samples = count
    b.inputs.append(f"samples: f32[{', '.join(b.axes(1, count))}] in [-1, 1]")
    if count == 1:
        folded = b.choice(2, 4)
        b.pool.append(b.let(f"fold_time(samples, {folded})", folded, folded))
    else:
        b.pool.append(Tensor("samples", count, 1))
    for _ in range(b.whole(1, 2)):
        b.pool.append(b.choice(framed, spectral)(b, b.pool[0]))


def framed(b: Body, x: Tensor) -> Tensor:
    """A kernel over samples that goes on by a frame of them."""
    b.shared.imports.add("lib/waveform.mct")
    kernel, out = b.whole(x.channels, 3 * x.channels), b.choice(2, 4)
    return b.let(f"framed_conv1d({x.name}, {out}, {kernel}{b.choice('', ', bias = false')})", out, x.jump)


def spectral(b: Body, x: Tensor) -> Tensor:
    """Bands of the power of what a window of samples holds."""
    b.shared.imports.add("lib/spectrum.mct")
    size = b.choice(2, 3) * x.channels
    points = size + (size % 2) if b.choice(True, False) else 2 * size
    if b.choice(True, False):
        told = f"mels = 4, rate = {RATE}, size = {size}, points = {2 * points}, floor = 0.0625"
        return b.let(f"log_mel({x.name}, {told})", 4, x.jump)
    real, imaginary = b.shared.fresh("re"), b.shared.fresh("im")
    b.say(f"{real}, {imaginary} = stft({x.name}, {size}, points = {points}, look_ahead = {b.whole(0, 1)})")
    filters = f"mel_filters({points}, 2, {RATE}, low = 20)"
    return b.let(f"log(op.linear({real} ** 2 + {imaginary} ** 2, {filters}) + 0.125)", 2, x.jump)
