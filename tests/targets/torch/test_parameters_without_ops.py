"""Blocks that hold a parameter and compute nothing: the emitted modules hold it under its name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from .made import error, listed, make_spec, tensors

HEAD = """
block gain(x: f32[..., C]) {
    param w: f32[C] = uniform(bound = 1)
    return w
}
block gains(x: f32[..., C]) {
    a = gain(x) as first
    b = gain(x) as second
    return a, b
}
block scaled(x: f32[..., C]) -> f32[..., C] { return x * (gain(x) as gain) }
model held(mels = 8, width = 16) {
    dim B: batch
    dim T: time @ 100 Hz
    component encoder(mel: f32[B, T, mels]) -> f32[B, T, width] {
        x = linear(mel, width) as proj
        BODY
    }
    stream { chunk = 40 ms }
    quantize { encoder.**: int8(per_channel) }
}
"""
BODIES = {
    "alone": ("return x * (gain(x) as r)", {"r.w"}),
    "nested": ("a, b = gains(x) as r\n        return x * a + b", {"r.first.w", "r.second.w"}),
    "inside": ("return scaled(x) as s", {"s.gain.w"}),
    "rounds": (
        "all = []\n        repeat 2 { all = all + [gain(x) as r] }\n        return x * all[0] + all[1]",
        {"layers.0.r.w", "layers.1.r.w"},
    ),
    "of rounds": ("repeat 2 { x = x * (gain(x) as r) }\n        return x", {"layers.0.r.w", "layers.1.r.w"}),
}


@pytest.mark.parametrize("which", BODIES)
def test_a_block_without_an_op_holds_its_parameter(which: str, tmp_path: Path) -> None:
    body, names = BODIES[which]
    spec = tmp_path / "held.mct"
    spec.write_text(HEAD.replace("BODY", body))
    made = make_spec(spec, tmp_path)
    assert set(made.model.state_dict()) == {f"encoder.{name}" for name in {"proj.weight", "proj.bias", *names}}
    inputs = made.inputs("encoder", B=2, T=8)
    with torch.no_grad():
        found = listed(made.model.encoder(*tensors(inputs)))
    assert error(found[0], made.reference("encoder", inputs)[0]) <= 1e-6


def test_a_component_that_is_one_op_holds_its_parameters(tmp_path: Path) -> None:
    """The class of a component is no layer of another one, though it computes what a layer does."""
    spec = tmp_path / "bare.mct"
    spec.write_text("""model bare(mels = 8, width = 16) {
    dim B: batch
    dim T: time @ 100 Hz
    component encoder(mel: f32[B, T, mels]) -> f32[B, T, width] {
        param weight: f32[width, mels]
        param bias: f32[width]
        return op.linear(mel, weight, bias)
    }
    stream { chunk = 40 ms }
}
""")
    made = make_spec(spec, tmp_path)
    assert set(made.model.state_dict()) == {"encoder.weight", "encoder.bias"}
    inputs = made.inputs("encoder", B=2, T=8)
    with torch.no_grad():
        found = listed(made.model.encoder(*tensors(inputs)))
    assert error(found[0], made.reference("encoder", inputs)[0]) <= 1e-6
