"""One hypothesis from an attention decoder: the likeliest label each time, or labels drawn at a temperature."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from mctc.decode.engine import LabelEngine
from mctc.decode.frames import Floats
from mctc.decode.label_beam import LabelSettings
from mctc.decode.pruning import none_left
from mctc.decode.vocabulary import Vocabulary
from mctc.records import dataclass


class Noise(Protocol):
    """Where chance comes from: numpy's Generator, for example."""

    def gumbel(self, *, size: int) -> Floats:
        """Numbers of the standard Gumbel distribution [size]."""


@dataclass(frozen=True)
class Sample:
    """The labels without prompt and end token; whether the end token closed them; the mean natural logarithm of their
    probabilities, the end token's too, among the labels that the rules allow."""

    labels: tuple[int, ...]
    ended: bool
    mean_log_probability: float


def label_sample(
    engine: LabelEngine, vocabulary: Vocabulary, settings: LabelSettings, temperature: float, noise: Noise
) -> Sample:
    """Labels of what the engine has heard: at temperature 0 those of a greedy search, else drawn from probabilities to
    the power of 1 / temperature (by the largest of scores with Gumbel noise: Gumbel 1954).

    Raises DecodeError where the rules allow nothing, and for logits that are NaN or too few.
    """
    logits, state = engine.start(settings.prompt)
    labels: list[int] = []
    total, count = 0.0, 0
    while True:
        scores = vocabulary.log_probabilities(logits)
        for rule in settings.rules:
            rule(labels, scores)
        if not np.isfinite(scores).any():
            raise none_left(0)
        scores -= np.logaddexp.reduce(scores)
        drawn = scores if not temperature else scores / temperature + noise.gumbel(size=scores.size)
        label = int(drawn.argmax())
        total, count = total + float(scores[label]), count + 1
        if label == settings.end or label in settings.ends:
            return Sample(tuple(labels), True, total / count)
        labels.append(label)
        if count == settings.longest:
            return Sample(tuple(labels), False, total / count)
        row, (state,) = engine.predict([label], [state])
        logits = row[0]
