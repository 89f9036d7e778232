"""The loss of an encoder with CTC and a decoder with attention: the parts called one by one, utterance by utterance."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from .made import Made, make_spec

SIZES = {"width": 16, "heads": 2, "depth": 1, "decoder_depth": 2, "inner": 24, "kernel": 3, "vocab": 30}
WIDTH, CLASSES, WEIGHT, BEGIN, END = 16, 30, 0.3, 1, 2


@pytest.fixture(scope="module")
def joint(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_spec(root / "spec/conformer_s2s.mct", tmp_path_factory.mktemp("joint"), seconds=1, **SIZES)


def batch() -> tuple[torch.Tensor, ...]:
    """Features (2, 96, 80), their lengths, labels (2, 3) and theirs, and places of the labels (2, 4, 16)."""
    generator = torch.Generator().manual_seed(0)
    mel = torch.randn(2, 96, 80, generator=generator)
    targets = torch.randint(3, CLASSES, (2, 3), generator=generator)
    position = torch.randn(1, 4, WIDTH, generator=generator).expand(2, -1, -1)
    return mel, torch.tensor([96, 56]), targets, torch.tensor([3, 2]), position


def one_by_one(model: torch.nn.Module) -> torch.Tensor:
    """The same loss from calls of components with one utterance each, nothing padded."""
    mel, lengths, targets, target_lengths, position = batch()
    ctc, attention, labels = [], [], 0
    for i in range(2):
        frames, count = int(lengths[i]), int(target_lengths[i])
        memory, log_probs = model.encoder(mel[i : i + 1, :frames].transpose(1, 2)[:, :, None])
        keys, values = model.cross(memory)
        wanted = targets[i, :count]
        before = torch.cat([torch.tensor([BEGIN]), wanted])
        places = position[i : i + 1, : count + 1].transpose(1, 2)[:, :, None]
        said = model.decoder(before[None, None, None], places, keys, values, valid=torch.ones(1, frames))
        by_frame = log_probs[0, :CLASSES, 0].T.log_softmax(-1)
        loss = functional.ctc_loss(by_frame, wanted, torch.tensor(len(by_frame)), torch.tensor(count), reduction="sum")
        ctc.append(loss / count)
        behind = torch.cat([wanted, torch.tensor([END])])
        attention.append(functional.cross_entropy(said[0, :CLASSES, 0].T, behind, reduction="sum"))
        labels += count + 1
    return WEIGHT * torch.stack(ctc).mean() + (1 - WEIGHT) * torch.stack(attention).sum() / labels


def test_a_padded_batch_costs_what_its_utterances_cost_one_by_one(joint: Made) -> None:
    with torch.no_grad():
        torch.testing.assert_close(joint.model(*batch()), one_by_one(joint.model), rtol=1e-5, atol=1e-5)


def test_every_parameter_learns_from_it(joint: Made) -> None:
    joint.model.zero_grad(set_to_none=True)
    joint.model(*batch()).backward()
    gradients = {name: parameter.grad for name, parameter in joint.model.named_parameters()}
    assert all(grad is not None and torch.isfinite(grad).all() for grad in gradients.values())
    assert all(grad.abs().max() > 0 for grad in gradients.values() if grad is not None)


def test_a_mamba_encoder_with_the_same_decoder_has_it_too(root: Path, tmp_path: Path) -> None:
    made = make_spec(root / "spec/conmamba_s2s.mct", tmp_path, frames=96, **SIZES)
    with torch.no_grad():
        torch.testing.assert_close(made.model(*batch()), one_by_one(made.model), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("log_softmax(linear(x, V) as ctc)", "linear(x, width) as ctc"),  # no classes of frames
        ("log_softmax(linear(x, V) as out)", "linear(x, width) as out"),  # no classes of labels
    ],
)
def test_components_that_do_not_fit_have_no_loss(root: Path, tmp_path: Path, old: str, new: str) -> None:
    text = (root / "spec/conformer_s2s.mct").read_text().replace('import "lib/', f'import "{root}/spec/lib/')
    assert old in text
    results = ("log_probs: f32[B, T/4, V])", "log_probs: f32[B, T/4, width])")
    if "out" in old:
        results = ("log_probs: f32[B, U, V]", "log_probs: f32[B, U, width]")
    (tmp_path / "spec.mct").write_text(text.replace(old, new).replace(*results))
    made = make_spec(tmp_path / "spec.mct", tmp_path, seconds=1, **SIZES)
    assert "def forward(self, mel" not in (made.folder / "conformer_s2s.py").read_text().split("class ConformerS2s")[1]
