"""What a step of mct_small's encoder takes in the Neural Engine's arithmetic, beside the same step in fp16."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from bench.row import Row
from bench.setting import Setting
from mctc.evaluate.coreml import Evaluator
from mctc.ir.op import Array
from mctc.package import TensorType, read_package

RATIO = 6.0
STEPS = 4


def rows(setting: Setting) -> list[Row]:
    """Every op counts as placed on the engine; the best of alternating runs over a few chunks of noise."""
    (path,) = setting.built.glob("*.mlpackage")
    package = read_package(path)
    taken = {name: float("inf") for name in ("fp16", "engine")}
    steps = {name: Evaluator(package, name).function("encoder") for name in taken}
    type_ = steps["fp16"].inputs[0].type
    assert isinstance(type_, TensorType)
    generator = np.random.default_rng(0)
    shape = tuple(extent or 1 for extent in type_.shape or ())
    chunks: list[Array] = [generator.standard_normal(shape).astype(np.float32) for _ in range(STEPS)]
    for _ in range(setting.pairs):
        for name, step in steps.items():
            state = step.make_state()
            start = perf_counter()
            for chunk in chunks:
                step({step.inputs[0].name: chunk}, state)
            taken[name] = min(taken[name], (perf_counter() - start) / STEPS)
    ratio = taken["engine"] / taken["fp16"]
    return [
        Row(
            "a step of mct_small's encoder in the engine's arithmetic against fp16, both in the evaluator",
            f"≤ {RATIO:g}x",
            f"{ratio:.1f}x",
            ratio <= RATIO,
            f"{1000 * taken['engine']:.0f} ms against {1000 * taken['fp16']:.0f} ms",
        )
    ]
