"""The two kinds of front end behind one name: log-mel frames, and frames of samples as they are."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mctc.audio.mel import MelConfig, StreamingMel, log_mel, mel_frames
from mctc.audio.samples import SampleConfig, StreamingSamples, frames_of_samples

FrontEnd = MelConfig | SampleConfig


def streaming(config: FrontEnd) -> StreamingMel | StreamingSamples:
    """Frames of sound that arrives in pieces. Raises `ValueError` for a front end that needs the whole recording."""
    return StreamingMel(config) if isinstance(config, MelConfig) else StreamingSamples(config)


def frames_of(samples: ArrayLike, config: FrontEnd) -> NDArray[np.float32]:
    """The frames [frames, bins] of a whole recording."""
    if isinstance(config, MelConfig):
        return log_mel(samples, config)
    return frames_of_samples(samples, config)


def existing_frames(samples: int, config: FrontEnd) -> Fraction:
    """How many frames a recording of so many samples has; of samples as they are, a part of the last one perhaps."""
    return Fraction(mel_frames(samples, config) if isinstance(config, MelConfig) else Fraction(samples, config.bins))
