"""Weights of few bits tuned together: what rounding one by one can't make up for, the others can.

Speech goes through the rounded model, and the numbers and codes of its weights follow the gradient of how far it is
from the model before: in the distributions of classes that the loss takes, and in the hidden results of components. So
the model stays what it was, where the loss itself would learn the few utterances by heart. Fine-tuning of what codes
stand for comes from Egiazarian et al. 2024 (AQLM, arXiv:2401.06118) and Tseng et al. 2024 (QuIP#, arXiv:2402.04396).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mctc.compress.errors import CompressError
from mctc.compress.round import Rounded
from mctc.compress.search import Form
from mctc.compress.sensitivity import Model
from mctc.compress.speech import Speech
from mctc.compress.tuned_weight import Tuned, tunable
from mctc.driver.learner import Learner
from mctc.ir.op import Array
from mctc.records import dataclass

BATCH = 4  # utterances a step
HELD = 10  # of so many utterances one is not tuned with, and tells what tuning has done
WARM = 0.1  # of the steps until the rate is whole; it falls as a cosine does


@dataclass(frozen=True)
class Measured:
    """The mean over utterances held out: nats a label, and the hidden results' error as a share of their power."""

    loss: float
    apart: float

    @property
    def sum(self) -> float:
        """What tuning makes small."""
        return self.loss + self.apart


@dataclass
class Tuning:
    """teacher: with the weights as they were. student: whose weights are put."""

    teacher: Learner
    student: Learner
    speech: Speech
    told: Callable[[str], None]

    def __post_init__(self) -> None:
        """Raises CompressError for too little speech: before weights are rounded for minutes."""
        if len(self.speech.utterances) < 2:
            raise CompressError(
                "tuning takes two utterances, one of which it is measured with", hint="give more --data"
            )

    def __call__(
        self, model: Model, forms: Mapping[str, Form], found: Mapping[str, Rounded], steps: int
    ) -> tuple[dict[str, Rounded], str]:
        """Other values of the same forms, and a line that tells what that came to. Deterministic.

        Raises CompressError where no weight has few bits.
        """
        weights = self._weights(model, forms, found)
        count = len(self.speech.utterances)
        held = list(range(0, count, HELD))
        rest = [at for at in range(count) if at not in set(held)]
        self.student.put({name: each.values for name, each in found.items()})
        before = self.measured(held)
        self._moved(weights, rest, steps)
        after = self.measured(held)
        line = (
            f"tuned {_counted(len(weights), 'weight')} in {_counted(steps, 'step')} over "
            f"{_counted(len(rest), 'utterance')}; over {_counted(len(held), 'other')} the loss a label was "
            f"{before.loss:.4f} and is {after.loss:.4f}, hidden results were {before.apart:.2%} off and are "
            f"{after.apart:.2%}"
        )
        if after.sum >= before.sum:
            return dict(found), f"{line}: no better, so the weights stay as they were"
        better = {
            name: replace(found[name], way=f"{found[name].way}, tuned", values=self._shaped(each, found[name]))
            for name, each in weights.items()
        }
        return {**found, **better}, line

    def _weights(self, model: Model, forms: Mapping[str, Form], found: Mapping[str, Rounded]) -> dict[str, Tuned]:
        known, made = self.student.shapes(), {}
        for layer in model.layers:
            form, values = forms[layer.name], found[layer.name].values
            if form is None or math.prod(known.get(layer.name, ())) != values.size:
                continue
            if (weight := tunable(values, layer.stored(form))) is not None:
                made[layer.name] = weight
        if not made:
            raise CompressError("no weight has few enough bits to tune", hint="--tune is for forms of up to 4 bits")
        return made

    def measured(self, which: Sequence[int]) -> Measured:
        """Over some utterances."""
        losses, apart = [], []
        for at in which:
            frames, labels = self.speech.heard(at)
            loss, distance = self.student.apart(frames, labels, self.teacher.given(frames, labels))
            losses.append(loss / max(len(labels), 1))
            apart.append(distance)
        return Measured(float(np.mean(losses)), float(np.mean(apart)))

    def _moved(self, weights: Mapping[str, Tuned], which: Sequence[int], steps: int) -> None:
        random, left = np.random.default_rng(0), list[int]()
        for step in range(1, steps + 1):
            gradients: dict[str, Array] = {}
            for _ in range(BATCH):
                left = left or [which[at] for at in random.permutation(len(which))]
                self._added(gradients, weights, left.pop())
            rate = min(1.0, step / (WARM * steps)) * (1 + math.cos(math.pi * step / steps)) / 2
            for name, weight in weights.items():
                if name in gradients:
                    weight.move(gradients[name], rate)
            self.student.put({name: self._flat(weight, name) for name, weight in weights.items()})
            self.told(f"step {step:,} of {steps:,}")

    def _added(self, gradients: dict[str, Array], weights: Mapping[str, Tuned], at: int) -> None:
        def give(name: str, gradient: Array) -> None:
            if name in weights:
                gradients[name] = gradients.get(name, 0.0) + gradient / BATCH

        frames, labels = self.speech.heard(at)
        self.student.gradients(frames, labels, give, toward=self.teacher.given(frames, labels))

    def _flat(self, weight: Tuned, name: str) -> Array:
        return weight.values().reshape(self.student.shapes()[name])

    @staticmethod
    def _shaped(weight: Tuned, found: Rounded) -> Array:
        return weight.values().reshape(found.values.shape)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun if number == 1 else noun + 's'}"
