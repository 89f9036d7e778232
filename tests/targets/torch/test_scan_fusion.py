"""What is drawn into a scan, and what is not: the module computes what the program says either way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mctc.ir.text import parse_program

from .made import Made, error, listed, make, tensors

PROGRAM = """program @fused {
    dim B: batch dim T: time @ 100
    source @f.A: f32[8, 4] = normal()
    param @f.A
    function @f(
        %x: f32[batch B, time T, channel 8], %dt: f32[batch B, time T, channel 8], %z: f32[batch B, time T, channel 8],
        %b: f32[batch B, time T, channel 4]
    ) {
        %w = parameter @f.A
        %squares = square(%w)
        %A = neg(%squares)
        %delta = STEP(%dt)
        %y, %h = selective_scan(%x, %delta, %A, %b, %b)
        %gate = GATE(%z)
        %gated = mul(%y, %gate)
        return y = %gated RETURNED
    }
}"""


def made(folder: Path, step: str, gate: str, returned: str = "") -> Made:
    text = PROGRAM.replace("STEP", step).replace("GATE", gate).replace("RETURNED", returned)
    return make(parse_program(text), folder, chunk=4)


@pytest.mark.parametrize("gate", ["silu", "sigmoid"])
@pytest.mark.parametrize("step", ["softplus", "square"])
def test_only_softplus_and_a_gate_by_silu_are_drawn_in(step: str, gate: str, tmp_path: Path) -> None:
    model = made(tmp_path, step, gate)
    text = (model.folder / "fused.py").read_text()
    assert ("softplus=True" in text, "z=" in text) == (step == "softplus", gate == "silu")
    inputs = model.inputs("f", B=2, T=9)
    (actual,) = listed(model.model.f(*tensors(inputs)))
    assert error(actual, model.reference("f", inputs)[0]) <= 1e-4


def test_the_last_state_of_a_padded_batch_is_that_of_each_utterance(tmp_path: Path) -> None:
    """A frame of padding has step size 0 behind the softplus; before it, it would have log 2."""
    model = made(tmp_path, "softplus", "silu", ", h = %h")
    inputs = model.inputs("f", B=2, T=9)
    _, states = model.model.f(*tensors(inputs), torch.tensor([9, 5]))
    for row, length in enumerate((9, 5)):
        alone = {name: array[row : row + 1, ..., :length] for name, array in inputs.items()}
        assert error(states[row : row + 1], np.asarray(model.reference("f", alone)[1])) <= 1e-4
