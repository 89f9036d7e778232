"""What lies behind an utterance is zero, and moves nothing where an op, or its gradient, is not finite at zero."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from mctc.language import elaborate_file

from .made import Made, make

SPEC = """
model padded(width = 4) {{
    dim B: batch
    dim T: time @ 100 Hz
    dim U: label
    dim V: vocabulary = 5
    component encoder(x: f32[B, T, width], level: f32[B, {level}, width] > 0) -> f32[B, {frames}, {classes}] {{
        {body}
    }}
    {more}
    train {{ objective = {objective} }}
}}
block root(x: f32[..., C]) -> f32[..., C] {{ return sqrt(abs(linear(x, C, bias = false))) }}
"""
CTC = {"classes": "V", "more": "", "objective": "ctc(blank = 0)"}
TRANSDUCER = {
    "classes": "width",
    "objective": "rnnt(blank = 0)",
    "more": """
    component predictor(token: i32[B, U] < V) -> f32[B, U, width] { return embedding(token, V, width) }
    component joiner(enc: f32[B, T, width], pred: f32[B, U, width]) -> f32[B, T, U, V] {
        return linear(tanh(log(enc) + pred), V)
    }""",
}
CASES = {
    "a logarithm": "h = linear(x, width) * log(level)",
    "a quotient": "h = linear(x, width) / level",
    "an inverse": "h = linear(x, width) * reciprocal(level)",
    "an inverse root": "h = linear(x, width) * rsqrt(level)",
    "a root, whose slope is infinite": "h = linear(x, width) * sqrt(linear(level, width, bias = false) ** 2)",
    "a root in a block of its own": "h = linear(root(level), width)",
    "rounds of a block": "h = level\n repeat 2 { h = h + root(h) }",
    "the length of a vector": "h = linear(x, width)\n h = h * rsqrt(reduce_sum((h * level) ** 2, axis = -1))",
    "a mean of logarithms": 'h = linear(x, width) + reduce_mean(log(level), axis = "time")',
    "a look ahead": "h = conv1d(linear(x, width) * log(level), width, 3, look_ahead = 2)",
    "frames that others read as well": "h = conv1d(level, width, 3, look_ahead = 1) * log(level)",
    "a recurrence": "scan s: f32[B, T, width] { s = tanh(x * log(level / (1 + abs(s)))) }\n h = linear(s, width)",
}


def emitted(folder: Path, body: str, *, rate: int = 1, **parts: str) -> Made:
    frames = f"T/{rate}" if rate > 1 else "T"
    (folder / "padded.mct").write_text(SPEC.format(**{"body": body, "frames": frames, "level": frames, **parts}))
    return make(elaborate_file(folder / "padded.mct"), folder)


def spoken(rate: int = 1) -> tuple[Tensor, Tensor]:
    """Features and levels of two utterances."""
    rng = torch.Generator().manual_seed(5)
    return torch.randn(2, 32, 4, generator=rng), torch.rand(2, 32 // rate, 4, generator=rng) + 0.5


def gradients(made: Made, x: Tensor, level: Tensor, lengths: list[int], rows: slice = slice(None)) -> dict[str, Tensor]:
    made.model.zero_grad()
    targets = torch.tensor([[1, 2], [3, 4]])[rows]
    counts = torch.tensor([2, 2])[rows]
    loss = made.model(x[rows], torch.tensor(lengths)[rows], targets, counts, level[rows])
    loss.backward()
    grads = {name: p.grad.clone() for name, p in made.model.named_parameters() if p.grad is not None}
    return {"loss": loss.detach(), **grads}


def check(made: Made, rate: int = 1) -> None:
    """A padded batch has the mean loss and gradient of its utterances, each alone and without padding."""
    x, level = spoken(rate)
    lengths = [32, 20]
    x[1, 20:] = level[1, 20 // rate :] = 0.0
    together = gradients(made, x, level, lengths)
    first = gradients(made, x, level, lengths, slice(0, 1))
    second = gradients(made, x[:, :20], level[:, : 20 // rate], lengths, slice(1, 2))
    assert len(together) > 1
    for name, found in together.items():
        expected = (first[name] + second[name]) / 2
        assert bool(found.isfinite().all()), name
        scale = float(expected.abs().max()) + 1e-3
        assert float((found - expected).abs().max()) <= 1e-4 * scale, name


@pytest.mark.parametrize("name", CASES)
def test_padding_leaves_gradients_finite_and_as_they_are(name: str, tmp_path: Path) -> None:
    check(emitted(tmp_path, f"{CASES[name]}\n return linear(h, V)", **CTC))


def test_inputs_of_a_slower_rate_have_the_padding_of_their_own_frames(tmp_path: Path) -> None:
    body = "h = conv1d(x, width, 4, stride = 4, look_ahead = 3)\n return linear(h * log(level), V)"
    check(emitted(tmp_path, body, rate=4, **CTC), 4)


def test_the_last_stride_is_filled_up_with_what_the_spec_allows(tmp_path: Path) -> None:
    """The rest of it counts as the utterance's: the module computes it from what a stream's last chunk holds."""
    body = "h = linear(x, width) * log(level)\n return conv1d(h, V, 4, stride = 4, look_ahead = 3)"
    made = emitted(tmp_path, body, rate=4, **CTC | {"level": "T"})
    x, level = spoken()
    found = gradients(made, x, level, [30, 21])
    assert all(bool(each.isfinite().all()) for each in found.values())
    silence = made.whole.functions["encoder"].domains["level"].silence
    assert 0.0 < silence < 1e-4
    x[0, 30:] = x[1, 21:] = 0.0
    level[0, 30:] = level[1, 21:] = silence
    for name, each in gradients(made, x, level, [32, 24]).items():
        torch.testing.assert_close(found[name], each)


def test_a_component_behind_the_first_is_told_which_frames_exist(tmp_path: Path) -> None:
    check(emitted(tmp_path, "return conv1d(x, width, 3, bias = false) ** 2 + level", **TRANSDUCER))


@pytest.mark.parametrize(
    "body",
    [
        "log(x ** 2 + 1e-4)",
        "x / maximum(level, 0.1)",
        "x / (1 + abs(level))",
        "x * rsqrt(clip(level, 0.25, 4))",
        "x * reciprocal(exp(x) + softplus(level))",
        'x / op.reshape(reduce_sum(exp(x), axis = -1), axes = [["batch", B], ["time", T], ["channel", 1]])',
    ],
)
def test_what_cannot_be_zero_is_left_as_it_is(body: str, tmp_path: Path) -> None:
    made = emitted(tmp_path, f"return linear(conv1d({body}, width, 3, look_ahead = 1), V)", **CTC)
    check(made)
    assert "value=1.0" not in next((made.folder).glob("padded.py")).read_text()
