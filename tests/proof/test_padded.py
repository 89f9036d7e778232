"""An utterance in a padded batch: what is fed, and which of its frames count."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array
from mctc.numerics.battery import NOISE
from mctc.proof.padded import LENGTHS, STRIDES, can_pad, over_padded
from mctc.proof.proof import Proof


def test_the_shorter_utterance_is_padded_with_zeros_and_its_frames_alone_are_compared(ahead: Path) -> None:
    subject = Proof(ahead).subject
    function, value = subject.whole.functions["encoder"], subject.parameter(subject.whole)
    told: list[Mapping[str, Array]] = []

    def call(inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        told.append(inputs)
        return evaluate(function, inputs, value)[0]

    results = over_padded(subject, "encoder", call)
    (fed,) = told
    shorter, longer = fed[LENGTHS]
    (name,) = (each.name for each in function.inputs)
    time = fed[name].shape.index(longer)
    assert longer > shorter
    assert longer - shorter >= STRIDES
    rows = np.moveaxis(fed[name], time, 1)
    assert not rows[0, shorter:].any()
    assert rows[1, shorter:].any()
    alone = subject.utterance("encoder", NOISE).results
    assert {key: array.shape for key, array in results.items()} == {k: a.shape for k, a in alone.items()}


def test_what_takes_a_fixed_length_or_no_time_is_not_padded(ahead: Path) -> None:
    subject = Proof(ahead).subject
    assert can_pad(subject, "encoder")
    assert not can_pad(subject, "predictor")
