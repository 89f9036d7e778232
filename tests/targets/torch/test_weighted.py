"""Objectives that are weighted sums, and heads of other tasks, against their definitions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from mctc.driver.compile import compile_program
from mctc.driver.options import BuildOptions
from mctc.ir.printer import print_program
from mctc.language import elaborate_file
from mctc.targets.torch.runtime.class_losses import frame_classes, utterance_classes
from mctc.targets.torch.runtime.losses import cross_entropy, ctc_loss

from .made import Made, make

OBJECTIVE = """0.3 * ctc(blank = 0) + (1 - 0.3) * cross_entropy(begin = 1, end = 2) + 0.1 * (
            utterance_classes(of = encoder, classes = 5, targets = speaker)
            + 2 * frame_classes(of = "encoder.layers.0", classes = 3, targets = voiced, ignored = 2,
                                label_smoothing = 0.1)
            + ctc(of = "encoder.layers.0", classes = 7, targets = phones)
        )"""
MODEL = """
model tasks(width = 8) {
    dim B: batch
    dim T: time @ 100 Hz
    dim U: label
    dim V: vocabulary = 12
    component encoder(mel: f32[B, T, 8]) -> (h: f32[B, T/2, width], said: f32[B, T/2, V]) {
        x = conv1d(mel, width, 3, stride = 2, look_ahead = 1) as front
        repeat 2 { x = x + relu(linear(x, width)) }
        return x, linear(x, V) as head
    }
    component decoder(token: i32[B, U] < V, h: f32[B, T/2, width]) -> f32[B, U, V] {
        y = embedding(token, V, width)
        y = y + attention(y, h, h, heads = 2)
        return linear(y, V) as out
    }
    train { objective = OBJECTIVE }
    utterance { length = 320 ms; labels = 8 }
}
"""
LENGTHS, LABELS = torch.tensor([24, 15, 20]), torch.tensor([3, 1, 2])


def _spec(folder: Path, objective: str = OBJECTIVE) -> Path:
    path = folder / "tasks.mct"
    path.write_text(MODEL.replace("OBJECTIVE", objective))
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("tasks")
    return make(elaborate_file(_spec(folder)), folder)


def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)

    def drawn(low: int, high: int, *shape: int) -> torch.Tensor:
        return torch.randint(low, high, shape, generator=generator)

    return {
        "mel": torch.randn(3, 24, 8, generator=generator), "lengths": LENGTHS,
        "targets": drawn(3, 12, 3, 3), "target_lengths": LABELS,
        "speaker": drawn(0, 5, 3), "voiced": drawn(0, 3, 3, 12),
        "phones": drawn(1, 7, 3, 4), "phones_lengths": torch.tensor([4, 2, 3]),
    }  # fmt: skip


def test_a_sum_is_each_term_times_its_weight(made: Made) -> None:
    given, frames = batch(), -(-LENGTHS // 2)
    inner: list[torch.Tensor] = []
    model = made.model
    with torch.no_grad():
        handle = model.encoder.layers[0].register_forward_hook(lambda *call: inner.append(call[2]))
        h, said = model.encoder(given["mel"].transpose(1, 2)[:, :, None], LENGTHS)
        handle.remove()
        valid = (torch.arange(24) < LENGTHS[:, None]).float()
        before = functional.pad(given["targets"], (1, 0), value=1)
        decoded = model.decoder(before[:, None, None], h, valid)
        heads = [
            model.auxiliary_utterance_classes(h),
            model.auxiliary_frame_classes(inner[0]),
            model.auxiliary_ctc(inner[0]),
        ]
        targets = given["targets"], frames, LABELS
        total = 0.3 * ctc_loss(said, *targets, dim=1, classes=12, zero_infinity=True)
        total += 0.7 * cross_entropy(decoded, given["targets"], LABELS, end=2, dim=1, classes=12)
        means = torch.stack([head[i, :, 0, :n].mean(-1) for head in heads[:1] for i, n in enumerate(frames)])
        total += 0.1 * functional.cross_entropy(means, given["speaker"])
        pairs = [
            (heads[1][i, :, 0, t], given["voiced"][i, t])
            for i, n in enumerate(frames) for t in range(int(n)) if given["voiced"][i, t] != 2
        ]  # fmt: skip
        x, wanted = torch.stack([x for x, _ in pairs]), torch.stack([y for _, y in pairs])
        total += 0.2 * functional.cross_entropy(x, wanted, label_smoothing=0.1)
        total += 0.1 * ctc_loss(
            heads[2], given["phones"], frames, given["phones_lengths"], dim=1, zero_infinity=True
        )  # fmt: skip
        torch.testing.assert_close(model(**given), total, rtol=1e-5, atol=1e-5)


def test_every_head_gets_a_gradient(made: Made) -> None:
    made.model(**batch()).backward()
    names = {name for name, each in made.model.named_parameters() if name.startswith("auxiliary")}
    assert {name.partition(".")[0] for name in names} == {
        "auxiliary_ctc", "auxiliary_frame_classes", "auxiliary_utterance_classes",
    }  # fmt: skip
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for _, each in made.model.named_parameters())


def test_what_is_deployed_is_that_of_the_objective_alone(tmp_path: Path) -> None:
    def deployed(objective: str) -> list[str]:
        compiled = compile_program(elaborate_file(_spec(tmp_path, objective)), BuildOptions())
        return [
            line
            for line in print_program(compiled.deployed).splitlines()
            if not line.startswith(("  train {", "    objective", "    auxiliary", "  }"))
        ]

    assert deployed(OBJECTIVE) == deployed("cross_entropy(begin = 1, end = 2)")


def test_classes_are_left_out_beyond_the_end_and_where_they_are_ignored() -> None:
    logits, lengths = torch.randn(2, 4, 1, 5, requires_grad=True), torch.tensor([5, 2])
    targets = torch.tensor([[0, 1, 2, 3, 3], [1, 3, 99, -7, 50]])
    (gradient,) = torch.autograd.grad(frame_classes(logits, targets, lengths, ignored=3), logits)
    counted = gradient.abs().sum(1)[:, 0] > 0
    assert counted.tolist() == [[True, True, True, False, False], [True, False, False, False, False]]
    assert frame_classes(logits, torch.full((2, 5), 3), lengths, ignored=3) == 0


def test_targets_that_do_not_fit_are_told() -> None:
    logits, lengths = torch.randn(2, 4, 1, 5), torch.tensor([5, 2])
    with pytest.raises(ValueError, match=r"they must be \(2, 5\)"):
        frame_classes(logits, torch.zeros(2, 4, dtype=torch.long), lengths)
    with pytest.raises(ValueError, match=r"they must be \(2,\)"):
        utterance_classes(logits, torch.zeros(3, dtype=torch.long), lengths)
    with pytest.raises(ValueError, match="a target is 4; classes are 0 to 3"):
        utterance_classes(logits, torch.tensor([0, 4]), lengths)
