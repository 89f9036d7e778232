"""Speech to measure with, from the recording that ships with mctc."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mctc.audio import bundled_recording, load_audio
from mctc.audio.mel import log_mel

RATE = 16_000
SEED = 0


def short_mel() -> NDArray[np.float32]:
    """Log-mel frames [frames, 80] of the recording, about eleven seconds at 100 frames a second."""
    return log_mel(load_audio(bundled_recording()))


def long_mel(seconds: int) -> NDArray[np.float32]:
    """Log-mel frames [100 * seconds, 80] of the recording again and again, from other places and at other levels.

    Gains from -20 to +6 dB, clipped at full scale as a microphone would.
    """
    speech, rng = load_audio(bundled_recording()), np.random.default_rng(SEED)
    parts, have = [], 0
    while have < seconds * RATE:
        gain = 10 ** (rng.uniform(-20, 6) / 20)
        part = np.clip(gain * np.roll(speech, -int(rng.integers(speech.size))), -1, 1)
        parts.append(part)
        have += part.size
    return log_mel(np.concatenate(parts)[: seconds * RATE].astype(np.float32))
