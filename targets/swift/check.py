"""check.json: numbers that the tests of a Swift package compare with, on whatever machine they run."""

from __future__ import annotations

from typing import Any

import numpy as np

from mctc.audio.front_end import FrontEnd, frames_of

SECONDS, SEED = 0.25, 0


def checked(config: FrontEnd | None) -> dict[str, Any]:
    """A quarter of a second of noise and tones, and its frames in half precision."""
    if config is None:
        return {"samples": [], "frames": []}
    count = int(SECONDS * config.sample_rate)
    time = np.arange(count) / config.sample_rate
    sound = np.sin(2 * np.pi * 440 * time) + np.sin(2 * np.pi * 3000 * time)
    sound = 0.1 * sound + 0.02 * np.random.default_rng(SEED).standard_normal(count)
    samples = np.round(sound * 2**15).astype(np.float32) / np.float32(2**15)
    frames = frames_of(samples, config).astype(np.float16)
    return {"samples": samples.tolist(), "frames": frames.ravel().tolist()}
