"""Frames of samples as they are: what a model takes that makes no spectrum."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mctc.audio.checked import checked
from mctc.records import dataclass

Float32 = NDArray[np.float32]


Normalisation = Literal["none", "recording"]
LEAST_VARIANCE = 1e-7  # is added to the variance of a recording, as the transformers library does


@dataclass(frozen=True)
class SampleConfig:
    """`bins` samples that follow one another are a frame. `ValueError` names the field that can't be.

    normalise: samples as they are ("none"), or with a mean of 0 and a deviation of 1 over the recording ("recording").
    """

    sample_rate: int = 16_000
    bins: int = 1
    normalise: Normalisation = "none"

    def __post_init__(self) -> None:
        if self.normalise not in get_args(Normalisation):
            raise ValueError("SampleConfig: normalise must be 'none' or 'recording' where samples are taken")
        for field, value in (("sample_rate", self.sample_rate), ("bins", self.bins)):
            if value < 1:
                raise ValueError(f"SampleConfig: {field} must be positive")

    @property
    def hop(self) -> int:
        """Samples from frame to frame."""
        return self.bins

    @property
    def rate(self) -> Fraction:
        """Frames a second."""
        return Fraction(self.sample_rate, self.bins)

    @property
    def frame_rate(self) -> float:
        """The same as a float."""
        return float(self.rate)

    def samples(self, frames: int) -> int:
        """Of so many frames."""
        return frames * self.bins

    @property
    def streams(self) -> bool:
        """Whether a frame is known as soon as its sound is."""
        return self.normalise == "none"

    @property
    def silence(self) -> float:
        return 0.0


class StreamingSamples:
    """Frames of sound that arrives in pieces of any length."""

    def __init__(self, config: SampleConfig) -> None:
        """Raises `ValueError` for a configuration that needs the whole recording."""
        if not config.streams:
            raise ValueError("SampleConfig: a normalisation over the recording needs all of it")
        self.config = config
        self.reset()

    def reset(self) -> None:
        """Forget everything heard: the next sample is again the first."""
        self._pending: Float32 = np.zeros(0, np.float32)

    def push(self, samples: ArrayLike) -> Float32:
        """The frames [frames, bins] that `samples` (floats in [-1, 1], one axis) complete; possibly none.

        Raises `ValueError` for more than one axis, for integers and for samples that are not finite.
        """
        heard = np.concatenate([self._pending, checked(samples).astype(np.float32)])
        whole = heard.size // self.config.bins * self.config.bins
        self._pending = heard[whole:].copy()
        return heard[:whole].reshape(-1, self.config.bins)

    def flush(self, multiple: int = 1) -> Float32:
        """The frames [frames, bins] left at the end of the sound, filled up with silence; then reset.

        With `multiple`, silence is added until the number of these frames is a multiple of it.
        """
        frames = math.ceil(math.ceil(self._pending.size / self.config.bins) / multiple) * multiple
        result = self.push(np.zeros(frames * self.config.bins - self._pending.size))
        self.reset()
        return result


def frames_of_samples(samples: ArrayLike, config: SampleConfig) -> Float32:
    """The frames [frames, bins] of a whole recording. Raises `ValueError` as `push` does."""
    given = checked(samples)
    if config.normalise == "recording" and given.size:
        given = (given - given.mean()) / np.sqrt(given.var() + LEAST_VARIANCE)
    stream = StreamingSamples(replace(config, normalise="none"))
    return np.concatenate([stream.push(given), stream.flush()])
