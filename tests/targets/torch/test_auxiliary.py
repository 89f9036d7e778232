"""Auxiliary CTC and consistency regularisation of an emitted module, against their definitions one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from mctc.language import elaborate_file
from mctc.targets.torch.runtime.losses import ctc_consistency, ctc_loss
from mctc.targets.torch.runtime.rnnt_loss import rnnt_loss

from .made import Made, make

CLASSES = 12
TRANSDUCER = """
model heard(weight = 0.3, inner = 0.2, dropout = 0, emit = 0, penalty = 0) {
    dim B: batch
    dim T: time @ 100 Hz
    dim U: label
    dim V: vocabulary = 12
    component encoder(mel: f32[B, T, 8]) -> f32[B, T/2, 16] {
        x = conv1d(mel, 16, 3, stride = 2, look_ahead = 1) as front
        repeat 3 { x = x + relu(linear(layer_norm(x) as norm, 16) as ffn) }
        return layer_norm(x) as norm
    }
    component predictor(token: i32[B, U] < V) -> f32[B, U, 16] { return lstm(embedding(token, V, 16), 16) }
    component joiner(e: f32[B, T/2, 16], p: f32[B, U, 16]) -> f32[B, T/2, U, V] { return linear(tanh(e + p), V) as out }
    train {
        objective = rnnt(blank = 0, fast_emit = emit, delay_penalty = penalty)
        auxiliary = [
            ctc(of = encoder, weight = weight, dropout = dropout),
            ctc(of = "encoder.layers.1", weight = inner),
        ]
    }
    stream { chunk = 40 ms }
}
"""


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("heard")
    (folder / "heard.mct").write_text(TRANSDUCER)
    return make(elaborate_file(folder / "heard.mct"), folder)


def batch() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    mel = torch.randn(4, 24, 8, generator=generator)
    targets = torch.randint(1, CLASSES, (4, 3), generator=generator)
    return mel, torch.tensor([24, 20, 24, 15]), targets, torch.tensor([3, 2, 3, 1])


def parts(model: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The transducer's loss, and logits (B, T/2, V) of both heads, from the components themselves."""
    mel, lengths, targets, target_lengths = batch()
    inner: list[torch.Tensor] = []
    handle = model.encoder.layers[1].register_forward_hook(lambda *call: inner.append(call[2]))
    encoded = model.encoder(mel.transpose(1, 2)[:, :, None], lengths)
    handle.remove()
    before = functional.pad(targets, (1, 0))
    logits = model.joiner(encoded, model.predictor(before[:, None, None]).transpose(2, 3))
    loss = rnnt_loss(logits, targets, -(-lengths // 2), target_lengths, dim=1, classes=CLASSES)
    heads = (model.auxiliary_ctc(encoded), model.auxiliary_ctc_1(inner[0]))
    return loss, *(head[:, :, 0].mT for head in heads)


def whole_ctc(logits: torch.Tensor) -> torch.Tensor:
    """The mean over utterances of minus log p of each whole transcript, one utterance at a time."""
    _, lengths, targets, target_lengths = batch()
    each = []
    for i in range(len(lengths)):
        frames, labels = int(-(-lengths[i] // 2)), int(target_lengths[i])
        log_probs = logits[i, :frames].log_softmax(-1)
        counts = torch.tensor(frames), torch.tensor(labels)
        each.append(functional.ctc_loss(log_probs, targets[i, :labels], *counts, reduction="sum"))
    return torch.stack(each).mean()


def test_a_loss_adds_what_each_head_says_of_its_part(heard: Made) -> None:
    with torch.no_grad():
        loss, outer, inner = parts(heard.model)
        expected = loss + 0.3 * whole_ctc(outer) + 0.2 * whole_ctc(inner)
        torch.testing.assert_close(heard.model(*batch()), expected, rtol=1e-5, atol=1e-5)


def test_consistency_adds_the_divergence_of_the_two_halves(heard: Made) -> None:
    with torch.no_grad():
        _, outer, _ = parts(heard.model)
        frames = -(-batch()[1] // 2)
        total = 0.0
        p = outer.double().softmax(-1)
        for a in range(2):
            for t in range(int(min(frames[a], frames[a + 2]))):
                x, y = p[a, t], p[a + 2, t]
                total += float((x * (x / y).log()).sum() + (y * (y / x).log()).sum()) / 2
        added = heard.model(*batch(), consistency=0.5) - heard.model(*batch())
        assert added.item() == pytest.approx(0.5 * total / 2, rel=1e-4)


def test_each_view_learns_from_the_other_alone() -> None:
    """The gradient of a view is that of the divergence towards the other's posteriors, which stay as they are."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(4, 5, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([5, 3, 4, 3])
    (found,) = torch.autograd.grad(ctc_consistency(logits, lengths), logits)
    for i, (other, frames) in enumerate([(2, 4), (3, 3), (0, 4), (1, 3)]):
        expected = torch.zeros(5, 6, dtype=torch.float64)  # of KL(p || softmax z) by z: softmax z - p
        expected[:frames] = (logits[i].softmax(-1) - logits[other].softmax(-1)).detach()[:frames] / 4
        torch.testing.assert_close(found[i], expected)


def test_consistency_counts_labels_where_ctc_does() -> None:
    logits, lengths, labels = torch.randn(2, 5, 6), torch.tensor([5, 5]), torch.tensor([2, 2])
    torch.testing.assert_close(ctc_consistency(logits, lengths, labels), ctc_consistency(logits, lengths) / 2)
    with pytest.raises(ValueError, match="a batch of 3 is no two views"):
        ctc_consistency(logits[[0, 1, 0]], lengths[[0, 1, 0]])


def test_recomputed_layers_give_the_same_gradients_to_heads_and_layers(heard: Made) -> None:
    model, found = heard.model.train(), []
    for on in (False, True):
        model.set_gradient_checkpointing(on)
        model.zero_grad(set_to_none=True)
        model(*batch(), consistency=0.2).backward()
        found.append({name: parameter.grad for name, parameter in model.named_parameters()})
    model.set_gradient_checkpointing(False)
    model.eval()
    for name, grad in found[0].items():
        assert grad.abs().max() > 0, name
        torch.testing.assert_close(grad, found[1][name])


def test_an_utterance_of_more_labels_than_frames_costs_the_head_nothing(heard: Made) -> None:
    mel, _, targets, target_lengths = batch()
    loss = heard.model(mel, torch.tensor([2, 2, 2, 2]), targets, target_lengths)
    assert torch.isfinite(loss)


def test_a_head_that_weighs_nothing_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "heard.mct").write_text(TRANSDUCER)
    made = make(elaborate_file(tmp_path / "heard.mct", defines={"weight": 0, "inner": 0}), tmp_path)
    assert not any("auxiliary" in name for name in made.model.state_dict())
    with pytest.raises(TypeError, match="consistency"):
        made.model(*batch(), consistency=0.1)


def test_settings_of_the_transducer_reach_its_loss(tmp_path: Path) -> None:
    (tmp_path / "heard.mct").write_text(TRANSDUCER)
    made = make(elaborate_file(tmp_path / "heard.mct", defines={"emit": 0.005, "penalty": 0.02}), tmp_path)
    text = (made.folder / "heard.py").read_text()
    assert "fast_emit=0.005, delay_penalty=0.02" in " ".join(text.split())
    made.model(*batch()).backward()


def test_a_ctc_model_has_consistency_of_its_own_posteriors(tmp_path: Path) -> None:
    text = TRANSDUCER[: TRANSDUCER.index("    component predictor")].replace("f32[B, T/2, 16] {", "f32[B, T/2, V] {")
    text = text.replace("return layer_norm(x) as norm", "return linear(x, V) as head")
    (tmp_path / "m.mct").write_text(text + "train { objective = ctc(blank = 0) }\nstream { chunk = 40 ms }\n}\n")
    made = make(elaborate_file(tmp_path / "m.mct"), tmp_path)
    mel, lengths, targets, target_lengths = batch()
    with torch.no_grad():
        frames = -(-lengths // 2)
        logits = made.model.encoder(mel.transpose(1, 2)[:, :, None], lengths)[:, :CLASSES, 0].mT
        expected = ctc_loss(logits, targets, frames, target_lengths)
        expected = expected + 0.2 * ctc_consistency(logits, frames, target_lengths)
        torch.testing.assert_close(made.model(*batch(), consistency=0.2), expected)
