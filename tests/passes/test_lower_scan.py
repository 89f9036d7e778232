"""A scan in a step becomes its ops once a frame, with the same results call after call."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.evaluate.reference import evaluate
from mctc.ir.text import parse_program
from mctc.passes.lower_scan import LowerScan
from mctc.rewrite.base import Context

STEP = """function @f(%x: f32[batch 1, channel 4, unit 1, time {frames}]) {{
  state %h: f32[batch 1, channel 4, unit 1, unit 1]
  %0 = scan_state(%h, axes = [batch 1, channel 4, unit 1, time {frames}], state = h)
  %1 = scale(%x, factor = 2.0)
  %2 = add(%0, %1)
  %3 = tanh(%2)
  %4 = scale(%0, factor = 0.5)
  %y, %g, %e = scan(%0, %3, %4)
  next %h = %e
  return y = %y, g = %g
}}"""


@pytest.mark.parametrize("frames", [1, 3])
def test_a_scan_becomes_its_ops_once_a_frame(frames: int) -> None:
    program = parse_program(STEP.format(frames=frames))
    lowered = LowerScan().run(program, Context())
    names = [op.name for op in lowered.functions["f"].ops]
    assert names.count("tanh") == frames
    assert names.count("scale") == 2, "what depends on no state, and what no state depends on, is computed once"
    assert not {"scan", "scan_state"} & set(names)
    states: list[dict[str, np.ndarray]] = [{"h": np.zeros((1, 4, 1, 1))}] * 2
    for call in range(2):
        x = np.random.default_rng(call).normal(size=(1, 4, 1, frames))
        given = [
            evaluate(each.functions["f"], {"x": x}, {}.__getitem__, s) for each, s in zip((program, lowered), states)
        ]
        np.testing.assert_allclose(given[1][0]["y"], given[0][0]["y"])
        np.testing.assert_allclose(given[1][0]["g"], given[0][0]["g"])
        states = [state for _, state in given]
