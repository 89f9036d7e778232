"""Scales of activations for a checkpoint, from the magnitudes that a calibration has counted."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mctc.compress.errors import CompressError
from mctc.compress.magnitudes import Held, best_scale, divided
from mctc.compress.statistics import Statistics
from mctc.ir.input_scales import scales_of
from mctc.ir.op import Array
from mctc.ir.program import Program


def held_inputs(program: Program, statistics: Statistics, factors: Mapping[str, Array]) -> dict[str, Held]:
    """The scales that a program reads, by their names.

    factors: by which smoothing divides the inputs of some weights. Raises CompressError, which names a weight whose
    inputs were not measured.
    """
    found: dict[str, Held] = {}
    for name, weight in scales_of(program).items():
        counts = statistics.magnitude(weight)
        if counts is None:
            hint = "mctc calibrate BUILD DATA --weights FILE -o STATS, with this mctc and a build of this spec"
            raise CompressError(f"the inputs of {weight} were not measured, so nothing tells their scale", hint=hint)
        if weight in factors:
            counts = divided(counts, np.repeat(factors[weight], len(counts) // len(factors[weight])))
        try:
            found[name] = best_scale(counts.sum(axis=0))
        except CompressError as error:
            raise CompressError(f"{weight}: {error.message}", hint="calibrate with other speech") from error
    return found


def told(held: Mapping[str, Held]) -> list[str]:
    """A line that says how well 8 bits hold the activations."""
    if not held:
        return []
    worst, best = (pick(held.items(), key=lambda item: item[1].decibels) for pick in (min, max))
    count = f"{len(held)} input{'s' * (len(held) != 1)} of layers in 8 bits"
    return [f"  {count}: {worst[1].decibels:.1f} dB ({worst[0]}) to {best[1].decibels:.1f} dB"]
