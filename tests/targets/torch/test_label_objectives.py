"""The losses of decoders over labels, against the parts called one by one and torch's own functional."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from mctc.targets.torch.runtime.losses import cross_entropy
from mctc.targets.torch.runtime.teacher_forcing import frames_then_labels

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


def test_a_decoder_hears_the_encoder_though_a_head_of_as_many_classes_stands_between(
    root: Path, tmp_path: Path
) -> None:
    model = make_spec(root / "tests/runtime/head_between.mct", tmp_path).model
    mel, targets = torch.randn(1, 32, 80, generator=torch.Generator().manual_seed(0)), torch.tensor([[3, 4, 5]])
    with torch.no_grad():
        frames = model.encoder(mel.transpose(1, 2)[:, :, None])
        by_frame = model.ctc_head(frames)[0, :16, 0].T.log_softmax(-1)
        said = model.decoder(torch.tensor([[[[1, 3, 4, 5]]]]), frames)[0, :16, 0].T
        ctc = functional.ctc_loss(by_frame, targets[0], torch.tensor(32), torch.tensor(3), reduction="sum") / 3
        want = 0.3 * ctc + 0.7 * functional.cross_entropy(said, torch.tensor([3, 4, 5, 2]))
        found = model(mel, torch.tensor([32]), targets, torch.tensor([3]))
    torch.testing.assert_close(found, want, rtol=1e-5, atol=1e-5)


MAMBA = {"width": 16, "depth": 1, "decoder_depth": 2, "inner": 24, "state": 4, "vocab": CLASSES}
WHISPER = {"width": 16, "heads": 2, "depth": 1, "vocab": CLASSES, "frames": 48, "labels": 12}
QWEN = {"mels": 16, "audio_width": 32, "audio_depth": 1, "audio_heads": 2, "audio_inner": 48, "audio_channels": 8}
QWEN |= {"window": 2, "width": 16, "depth": 1, "heads": 4, "kv_heads": 2, "head": 16, "inner": 48}
QWEN |= {"vocab": CLASSES, "labels": 40, "prefill": 4}


def cost(said: list[torch.Tensor]) -> torch.Tensor:
    """Cross-entropy of what is said (V, labels + 1) of each utterance, by torch's functional."""
    _, _, targets, target_lengths, _ = batch()
    total, labels = torch.zeros(()), 0
    for i, each in enumerate(said):
        wanted = torch.cat([targets[i, : int(target_lengths[i])], torch.tensor([END])])
        total = total + functional.cross_entropy(each[:CLASSES].T, wanted, reduction="sum")
        labels += len(wanted)
    return total / labels


def read(i: int) -> torch.Tensor:
    """What stands before each label of an utterance and behind the last: (labels + 1,)."""
    _, _, targets, target_lengths, _ = batch()
    return torch.cat([torch.tensor([BEGIN]), targets[i, : int(target_lengths[i])]])


def heard(model: torch.nn.Module, i: int, *more: torch.Tensor) -> Any:
    mel, lengths, *_ = batch()
    return model.encoder(mel[i : i + 1, : int(lengths[i])].transpose(1, 2)[:, :, None], *more)


def test_whisper_learns_labels_by_cross_entropy(root: Path, tmp_path: Path) -> None:
    model = make_spec(root / "spec/whisper_tiny.mct", tmp_path, **WHISPER).model
    mel, lengths, targets, counts, _ = batch()
    places = torch.arange(4).expand(2, -1)
    said = []
    for i in range(2):
        keys, values = model.cross(heard(model, i))
        n, frames = len(read(i)), int(lengths[i])
        given = read(i)[None, None, None], places[i, :n][None, None, None], keys, values
        said.append(model.decoder(*given, valid=torch.ones(1, frames))[0, :, 0])
    torch.testing.assert_close(model(mel, lengths, targets, counts, places), cost(said), rtol=1e-4, atol=1e-5)


def test_a_decoder_reads_the_frames_before_its_labels(root: Path, tmp_path: Path) -> None:
    model = make_spec(root / "spec/samba_asr.mct", tmp_path, **MAMBA).model
    mel, lengths, targets, counts, _ = batch()
    said = []
    for i in range(2):
        memory = heard(model, i)
        frames, tokens = memory.shape[3], read(i)
        order = torch.cat([torch.zeros(frames, dtype=torch.long), tokens])
        shown = functional.pad(memory, (0, len(tokens)))
        told = (torch.arange(len(order)) >= frames).float()
        said.append(model.decoder(order[None, None, None], shown, told[None, None, None])[0, :, 0, frames:])
    torch.testing.assert_close(model(mel, lengths, targets, counts), cost(said), rtol=1e-4, atol=1e-5)


def test_a_mamba_decoder_learns_beside_ctc(root: Path, tmp_path: Path) -> None:
    model = make_spec(root / "spec/conmambamamba_s2s.mct", tmp_path, kernel=3, frames=96, **MAMBA).model
    mel, lengths, targets, counts, _ = batch()
    position = torch.randn(1, 24 + 4, WIDTH, generator=torch.Generator().manual_seed(1)).expand(2, -1, -1)
    said, ctc = [], []
    for i in range(2):
        memory, log_probs = heard(model, i)
        frames, tokens, n = memory.shape[3], read(i), int(counts[i])
        order = torch.cat([torch.zeros(frames, dtype=torch.long), tokens])
        places = position[i : i + 1, : len(order)].transpose(1, 2)[:, :, None]
        told = (torch.arange(len(order)) >= frames).float()[None, None, None]
        shown = functional.pad(memory, (0, len(tokens)))
        said.append(model.decoder(order[None, None, None], places, shown, told)[0, :, 0, frames:])
        by_frame = log_probs[0, :CLASSES, 0].T.log_softmax(-1)
        ctc.append(functional.ctc_loss(by_frame, targets[i, :n], torch.tensor(frames), torch.tensor(n)))
    expected = WEIGHT * torch.stack(ctc).mean() + (1 - WEIGHT) * cost(said)
    torch.testing.assert_close(model(mel, lengths, targets, counts, position), expected, rtol=1e-4, atol=1e-5)


def test_a_language_model_reads_frames_among_the_rows_of_its_table(root: Path, tmp_path: Path) -> None:
    model = make_spec(root / "spec/qwen3_asr_0_6b.mct", tmp_path, **QWEN).model
    generator = torch.Generator().manual_seed(2)
    mel, lengths = torch.randn(2, 208, 16, generator=generator), torch.tensor([208, 104])
    _, _, targets, counts, _ = batch()
    length = 1 + 26 + 1 + 3
    places = torch.arange(length).expand(2, -1)
    said = []
    for i in range(2):
        frames = int(lengths[i])
        memory = model.encoder(mel[i : i + 1, :frames].transpose(1, 2)[:, :, None])
        table = model.decoder.embed_tokens.flatten(1)
        rows = torch.cat([table[torch.tensor([0])], memory[0, :, 0].T, table[read(i)]])
        first = 1 + memory.shape[3]
        said.append(model.decoder(rows.T[None, :, None], places[:1, None, None, : len(rows)])[0, :, 0, first:])
    together = model(mel, lengths, targets, counts, places)
    torch.testing.assert_close(together, cost(said), rtol=1e-4, atol=1e-5)


def test_smoothing_and_an_ignored_class_are_those_of_torch() -> None:
    logits = torch.randn(2, 4, 9, generator=torch.Generator().manual_seed(0))
    targets, counts = torch.tensor([[3, 4, 5], [6, 3, -7]]), torch.tensor([3, 2])
    wanted = torch.tensor([[-100, 4, 5, END], [6, -100, END, -100]])
    expected = functional.cross_entropy(logits.mT, wanted, label_smoothing=0.1)
    got = cross_entropy(logits, targets, counts, end=END, label_smoothing=0.1, ignored=3)
    torch.testing.assert_close(got, expected)
    laid_out = functional.pad(logits, (0, 2), value=-1e4).transpose(1, 2)[:, :, None]
    torch.testing.assert_close(
        cross_entropy(laid_out, targets, counts, end=END, label_smoothing=0.1, ignored=3, dim=1, classes=9), expected
    )


def test_a_sequence_is_prompt_frames_begin_and_labels() -> None:
    memory = torch.tensor([[10.0, 11, 12], [20.0, 21, 22]])[:, None, None]
    targets = torch.tensor([[5, 6], [7, -1]])
    order = frames_then_labels(targets, torch.tensor([2, 1]), torch.tensor([3, 1]), memory, begin=(2, 3), prompt=(8, 9))
    assert order.tokens.tolist() == [[8, 9, 0, 0, 0, 2, 3, 5, 6], [8, 9, 0, 2, 3, 7, 3, 3, 3]]
    assert order.is_token.tolist() == [[1, 1, 0, 0, 0, 1, 1, 1, 1], [1, 1, 0, 1, 1, 1, 1, 1, 1]]
    assert order.frames(memory)[:, 0, 0].tolist() == [[0, 0, 10, 11, 12, 0, 0, 0, 0], [0, 0, 20, 0, 0, 0, 0, 0, 0]]
    places = torch.arange(9.0).expand(2, 1, 1, -1)
    assert order.labels(places, 3)[:, 0, 0].tolist() == [[6, 7, 8], [4, 5, 6]]


def test_several_classes_may_begin_a_text(root: Path, tmp_path: Path) -> None:
    text = (root / "spec/whisper_tiny.mct").read_text().replace('import "lib/', f'import "{root}/spec/lib/')
    (tmp_path / "spec.mct").write_text(text.replace("else [1]", "else [1, 3, 4]"))
    model = make_spec(tmp_path / "spec.mct", tmp_path, **WHISPER).model
    mel, lengths, targets, counts, _ = batch()
    places = torch.arange(6).expand(2, -1)
    memory = model.encoder(mel.transpose(1, 2)[:, :, None], lengths=lengths)
    before = torch.cat([torch.tensor([[1, 3, 4]]).expand(2, -1), targets], 1)
    valid = (torch.arange(96) < lengths[:, None]).float()
    said = model.decoder(before[:, None, None], places[:, None, None], *model.cross(memory), valid=valid)
    expected = cost([said[0, :, 0, 2:], said[1, :, 0, 2:5]])
    torch.testing.assert_close(model(mel, lengths, targets, counts, places), expected, rtol=1e-4, atol=1e-5)


def test_ctc_may_count_impossible_utterances_as_nothing(root: Path, tmp_path: Path) -> None:
    spec = """
    model m {
        dim B: batch
        dim T: time @ 100 Hz
        dim V: vocabulary = 9
        component encoder(x: f32[B, T, 8]) -> f32[B, T/4, V] {
            return linear(conv1d(x, 8, 4, stride = 4) as conv, V) as out
        }
        train { objective = ctc(blank = 8, zero_infinity = true) }
    }
    """
    (tmp_path / "m.mct").write_text(spec)
    model = make_spec(tmp_path / "m.mct", tmp_path).model
    x, targets = torch.randn(2, 8, 8), torch.tensor([[1, 2, 3], [1, 1, 1]])
    loss = model(x, torch.tensor([8, 8]), targets, torch.tensor([2, 3]))
    by_frame = model.encoder(x.transpose(1, 2)[:, :, None])[:, :9, 0].permute(2, 0, 1).log_softmax(-1)
    arguments = by_frame, targets, torch.tensor([2, 2]), torch.tensor([2, 3])
    torch.testing.assert_close(loss, functional.ctc_loss(*arguments, blank=8, zero_infinity=True))
    assert torch.isinf(functional.ctc_loss(*arguments, blank=8))
