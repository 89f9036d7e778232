"""Shapes of all values of a function for given shapes of its inputs, worked out without computing the values.

propagate (at_shapes, Propagated) · known (what is known of a value before a run) · rules, spatial: how ops that compute
something shape their results; an op that only moves elements is asked itself, with stand-ins that take no memory.
"""

from __future__ import annotations

from mctc.evaluate.coreml.shapes.propagate import Misfit, Propagated, at_shapes

__all__ = ["Misfit", "Propagated", "at_shapes"]
