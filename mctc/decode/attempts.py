"""Attempts at one window of speech, hotter and hotter, until its text looks sound.

The strategy is Whisper's (Radford et al. 2022, section 4.5, and the code published with it); repetition is measured on
labels, as the transformers library does.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np

from mctc.decode.engine import LabelEngine
from mctc.decode.label_beam import LabelSettings
from mctc.decode.label_sample import Noise, Sample, label_sample
from mctc.decode.vocabulary import Vocabulary
from mctc.records import dataclass

COOL = 0.5  # below this temperature a text is fit for the prompt of the next window


@dataclass(frozen=True)
class Attempts:
    """What a text has to hold to, and what is done where it doesn't.

    temperatures: at which a window is decoded, one after another until the text holds to the limits; the last is final.
    repetition: how many times larger labels may be than zlib makes them. likelihood: least mean natural logarithm of
    a label's probability. silence: a window whose probability of no speech is above it, and whose text is below the
    likelihood, says nothing. previous: the prompt of a window has the text before it, unless that was drawn at a
    temperature of 0.5 or more. Raises ValueError naming the field that can't be.
    """

    temperatures: tuple[float, ...] = (0.0,)
    repetition: float | None = None
    likelihood: float | None = None
    silence: float | None = None
    previous: bool = False

    def __post_init__(self) -> None:
        if not self.temperatures or min(self.temperatures) < 0:
            raise ValueError("temperatures are 0 or more, at least one of them")
        if self.silence is not None and self.likelihood is None:
            raise ValueError("silence is told by a text that is unlikely: likelihood says how unlikely")

    def unlikely(self, sample: Sample) -> bool:
        return self.likelihood is not None and sample.mean_log_probability < self.likelihood

    def sound(self, sample: Sample, size: int, end: int | None) -> bool:
        """Whether a text holds to the limits; `size` is how many labels there are."""
        said = (*sample.labels, end) if sample.ended and end is not None else sample.labels
        repeats = self.repetition is not None and repetition(said, size) > self.repetition
        return not (repeats or self.unlikely(sample))


@dataclass(frozen=True)
class Attempt:
    """The labels that a window says, None for no speech, and the temperature at which they were found."""

    labels: tuple[int, ...] | None
    temperature: float


def attempt(
    engine: LabelEngine, vocabulary: Vocabulary, settings: LabelSettings, attempts: Attempts, noise: Noise,
    no_speech: float = 0.0,
) -> Attempt:  # fmt: skip
    """The first sound text of a window that the engine has heard, or the last. no_speech: the probability that nothing
    is said. Raises what `label_sample` raises."""
    for temperature in attempts.temperatures:
        sample = label_sample(engine, vocabulary, settings, temperature, noise)
        if attempts.silence is not None and no_speech > attempts.silence and attempts.unlikely(sample):
            return Attempt(None, temperature)
        if attempts.sound(sample, vocabulary.size, settings.end):
            break
    return Attempt(sample.labels, temperature)


def no_speech(
    engine: LabelEngine, vocabulary: Vocabulary, prompt: Sequence[int], label: int, begin: int
) -> float:  # fmt: skip
    """The probability of `label`, which says that nothing is said, behind the label `begin` of a prompt."""
    at = len(prompt) - 1 - list(reversed(prompt)).index(begin) if begin in prompt else len(prompt) - 1
    logits, _ = engine.start(prompt[: at + 1])
    return float(np.exp(vocabulary.log_probabilities(logits)[label]))


def repetition(labels: Sequence[int], size: int) -> float:
    """How many times larger labels are, as bytes, than what zlib makes of them; `size` is how many labels there are."""
    width = int(math.log2(size) / 8) + 1
    data = b"".join(label.to_bytes(width, "little") for label in labels)
    return len(data) / len(zlib.compress(data))
