"""Whether fp16 loses its way when the state is carried for long."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.row import Row
from bench.setting import Setting
from bench.speech import long_mel
from mctc.evaluate.coreml import Precision
from mctc.numerics.difference import signal_to_noise
from mctc.runtime.built import Built, open_built
from mctc.runtime.encoder import Encoder
from mctc.runtime.step import Packages

MINUTES, MOST = 10, 3.0  # dB


def rows(setting: Setting) -> list[Row]:
    """Signal to noise of every minute of the encoder's output, fp16 against fp32, one stream from start to end."""
    built, mel = open_built(setting.built), long_mel(60 * MINUTES)
    expected, actual = encode(built, "fp32", mel), encode(built, "fp16", mel)
    minutes = zip(np.array_split(expected, MINUTES), np.array_split(actual, MINUTES))
    ratios = [signal_to_noise(*minute) for minute in minutes]
    lower = ratios[0] - ratios[-1]
    return [
        Row(
            f"drift: {MINUTES} minutes of speech streamed with the state carried, fp16 against fp32, "
            "last minute against first",
            f"≤ {MOST:g} dB lower",
            f"{lower:.1f} dB lower" if lower >= 0 else f"{-lower:.1f} dB higher",
            lower <= MOST,
            "dB by minute: " + ", ".join(f"{ratio:.1f}" for ratio in ratios),
        )
    ]


def encode(built: Built, precision: Precision, mel: NDArray[np.float32]) -> NDArray[np.float64]:
    """Encoded frames [T / 4, width] of log-mel frames [T, 80], T a multiple of the chunk."""
    encoder = Encoder(Packages(built, precision).step("encoder"))
    parts = [encoder.push(mel[start : start + encoder.chunk]) for start in range(0, len(mel), encoder.chunk)]
    return np.concatenate([*parts, encoder.finish()]).astype(np.float64)
