"""A tensor that one op reads in codes and another as fp16 numbers: the engine gives each what the package stores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mctc
from mctc.evaluate.reference import evaluate
from mctc.numerics.battery import draw
from mctc.targets.torch.engine import TorchEngine
from mctc.targets.torch.reserved import FORWARD
from mctc.weights import Weights

SPEC = """
model both(width = 64) {
    dim B: batch
    dim T: time @ 100 Hz
    component whole(x: f32[B, T, width]) -> f32[B, T, width] {
        param w: f32[width, width]
        return op.linear(tanh(op.linear(x, w)), tanh(w))
    }
    component parts(x: f32[B, T, width]) -> f32[B, T, width] {
        param w: f32[2 * width, width]
        first, second = split(w, 2, axis = 0)
        a, b = split(op.linear(conv1d(x, width, 3), w), 2)
        return op.linear(a, first) + op.linear(b, second)
    }
    stream { chunk = 40 ms }
    quantize { **.w: SCHEME }
}
"""


@pytest.mark.parametrize("scheme", ["int8(per_channel)", "palette(bits = 4, group = 16)"])
def test_each_op_has_what_the_package_stores(scheme: str, tmp_path: Path) -> None:
    (tmp_path / "both.mct").write_text(SPEC.replace("SCHEME", scheme))
    built = mctc.build(tmp_path / "both.mct", tmp_path / "built", target="torch")
    whole, weights = built.compiled.whole, Weights(built.compiled.whole.sources)
    engine = TorchEngine(built.folder / "training" / "both.py", lambda program: Weights(program.sources))
    for name, called in {"whole": "Whole", "parts": "Parts"}.items():
        function = whole.functions[name]
        inputs = draw(function, {"B": 1, "T": 8})
        expected, _ = evaluate(function, inputs, lambda each: weights.deployed(whole.parameters[each]))
        for _ in range(2):
            run = engine.function(called + FORWARD)
            (actual,) = run({each: np.float32(array) for each, array in inputs.items()}).values()
            (wanted,) = expected.values()
            assert np.abs(actual - wanted).max() <= 1e-5 * np.abs(wanted).max()
