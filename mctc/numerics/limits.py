"""How far two results may be apart: one table, with the reason for every number in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from mctc.ir.rounding import Rounding
from mctc.records import dataclass


@dataclass(frozen=True)
class Limit:
    """error: of the largest magnitude in a result; None where `decibels` judge.

    decibels: the least ratio of the signal to the noise. rounding: what every result of an op is rounded to on the
    side that is judged. Where the limit is passed, rounding the reference to that has to explain it, to the nearest
    number, or all that goes into an op by half of a last digit.
    """

    name: str
    reason: str
    error: float | None = None
    decibels: float | None = None
    rounding: Any = None

    @property
    def roundings(self) -> tuple[Rounding, ...]:
        """The ways to round the reference, any of which may explain an error."""
        if self.rounding is None:
            return ()
        return (Rounding(self.rounding), *(Rounding(self.rounding, seed) for seed in JITTERS))

    def __str__(self) -> str:
        return f"{self.error:g}" if self.decibels is None else f"{self.decibels:g} dB"


PASS = Limit(
    "a pass that promises exactness",
    "float64 on both sides: what is left is the order of sums",
    error=1e-9,
    rounding=np.float64,
)
STEPS = Limit(
    "steps against the whole component, both in the IR, parameters as they are",
    "float64 on both sides, but parameters that are compressed are held in float32",
    error=1e-7,
    rounding=np.float64,
)
FP32 = Limit(
    "what an engine computes in fp32 against the reference",
    "both hold the same numbers; a sum of ten thousand fp32 products is off by 6e-8 times its square root",
    error=1e-5,
    rounding=np.float32,
)
FP16 = Limit(
    "what an engine computes in fp16 against the reference",
    "an op rounds by 2^-11; some hundred of them in a row leave 40 dB, and deeper models what rounding predicts",
    decibels=40.0,
    rounding=np.float16,
)
LIMITS = (PASS, STEPS, FP32, FP16)

JITTERS = range(1, 9)
"""Seeds: in one draw of signs, two terms that cancel move the same way half of the time."""

PREDICTED = 16.0
"""How many times as much as rounding the results of ops predicts an engine may be off: sums inside of an op round too,
a product of a thousand terms by up to thirty-two roundings in a random walk."""


def limit_of(precision: str) -> Limit:
    """The limit for an engine that computes in 'fp32' or 'fp16'."""
    return {"fp32": FP32, "fp16": FP16}[precision]
