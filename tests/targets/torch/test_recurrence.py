"""A scan of a spec is a loop over frames in the module, in `forward` and in `step`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from .made import Made, make_spec

SPEC = """model looped(width = 8) {
    dim B: batch
    dim T: time @ 100 Hz
    component c(x: f32[B, T, width]) -> f32[B, T, width] {
        param start: f32[width] = normal(std = 1)
        x = conv1d(x, width, 3, look_ahead = 1) as conv
        scan h: f32[B, T, width] = start, n: f32[B, T, 1] {
            gate = sigmoid(linear(x, width) as into + linear(h, width) as back)
            n = 0.5 * n + 1
            h = gate * h + (1 - gate) * x / n
        }
        return h + gate
    }
    stream { chunk = 40 ms }
}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("looped")
    (folder / "looped.mct").write_text(SPEC)
    return make_spec(folder / "looped.mct", folder)


def test_forward_computes_what_the_spec_says_and_has_gradients(made: Made) -> None:
    given = made.inputs("c", B=2, T=7)["x"]
    result = made.model.c(torch.tensor(given, dtype=torch.float32))
    np.testing.assert_allclose(result.detach().numpy(), made.reference("c", {"x": given})[0], atol=1e-5)
    result.square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in made.model.parameters())


def test_steps_over_chunks_equal_forward(made: Made) -> None:
    x = torch.tensor(made.inputs("c", B=1, T=8)["x"], dtype=torch.float32)
    whole, state, frames = made.model.c(x), made.model.c.initial_state(), []
    for begin in range(0, 12, 4):
        chunk, valid = torch.zeros(1, 8, 1, 4), torch.zeros(4)
        if begin < 8:
            chunk, valid = x[..., begin : begin + 4], torch.ones(4)
        y, state = made.model.c.step(chunk, valid, state)
        frames.append(y)
    torch.testing.assert_close(torch.cat(frames, 3)[..., 1:9], whole, atol=1e-5, rtol=1e-5)


def test_a_state_of_any_name_leaves_what_the_loop_reads_as_it_is(tmp_path: Path) -> None:
    """Values without a name of their own are called `y` in a module, and `y_` in a loop."""
    (tmp_path / "named.mct").write_text("""model named(width = 4) {
    dim B: batch
    dim T: time @ 100 Hz
    component c(x: f32[B, T, width]) -> f32[B, T, width] {
        y_ = sin(x)
        scan y: f32[B, T, width], t: f32[B, T, 1] {
            y = relu(cos(x) * y - y_ * (y + y_)) + cos(x)
            t = 0.5 * t + reduce_max(y, "channel")
        }
        return y * t + y_
    }
    stream { chunk = 40 ms }
}
""")
    made = make_spec(tmp_path / "named.mct", tmp_path)
    given = made.inputs("c", B=2, T=7)["x"]
    result = made.model.c(torch.tensor(given, dtype=torch.float32))
    np.testing.assert_allclose(result.numpy(), made.reference("c", {"x": given})[0], atol=1e-5)
