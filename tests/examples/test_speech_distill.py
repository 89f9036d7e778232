"""examples/speech: what a student learns from a teacher, whatever both frame rates and widths."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from mctc.driver import BuildOptions, build
from speech.config import ConfigError, Distill, Model
from speech.distill import Distillation, Lattice, at_rate, mean_at_rate, unlikeness
from speech.emitted import Emitted
from tests.conftest import ROOT

DEFINES = {"width": 16, "depth": 2, "vocab": 11}
FRAMES, LABELS = torch.tensor([64, 37]), torch.tensor([3, 1])
TARGETS = torch.tensor([[4, 2, 7], [9, 0, 0]])
FAST = """
model fast(mels = 80, width = 24, classes = 12) {
    dim B: batch
    dim T: time @ 100 Hz
    dim U: label
    dim V: vocabulary = classes
    component encoder(mel: f32[B, T, mels]) -> f32[B, T/2, width] {
        return relu(conv1d(mel, width, kernel = 3, stride = 2) as front)
    }
    component predictor(token: i32[B, U] < V) -> f32[B, U, width] { return lstm(embedding(token, V, width), width) }
    component joiner(enc: f32[B, T/2, width], pred: f32[B, U, width]) -> f32[B, T/2, U, V] {
        return linear(tanh(enc + pred), V) as out
    }
    train { objective = rnnt(blank = 0); auxiliary = ctc(of = encoder, weight = 0.3) }
}
"""


def lattice(frames: int, columns: int, seed: int = 0) -> Lattice:
    """Three outcomes of random logits, (1, frames, columns)."""
    x = torch.randn(1, frames, columns, 3, generator=torch.Generator().manual_seed(seed)).double().log_softmax(-1)
    return Lattice(x[..., 0], x[..., :-1, 1], torch.cat([x[:, :, :-1, 2], x[:, :, -1:, 1:].logsumexp(-1)], 2))


def sums(cells: Lattice) -> Tensor:
    return cells.blank.exp() + torch.nn.functional.pad(cells.label.exp(), (0, 1)) + cells.rest.exp()


def test_a_longer_frame_takes_the_first_step_that_is_no_blank() -> None:
    cells = lattice(5, 3)
    whole = at_rate(cells, torch.tensor([5]), Fraction(2), 3)
    blank, label, rest = (each.exp() for each in cells)
    first = blank[:, 0, :-1] * label[:, 1] + label[:, 0]
    torch.testing.assert_close(whole.label[:, 0].exp(), first)
    torch.testing.assert_close(whole.rest[:, 1].exp(), rest[:, 2] + blank[:, 2] * rest[:, 3])
    torch.testing.assert_close(whole.blank[:, 2], cells.blank[:, 4])  # what is beyond the end is no step
    torch.testing.assert_close(sums(whole), torch.ones(1, 3, 3).double())


def test_shorter_frames_are_together_the_longer_one() -> None:
    cells = lattice(3, 4)
    parts = at_rate(cells, torch.tensor([3]), Fraction(1, 2), 6)
    torch.testing.assert_close(sums(parts), torch.ones(1, 6, 4).double())
    for one, other in zip(at_rate(parts, torch.tensor([6]), Fraction(2), 3), cells, strict=True):
        torch.testing.assert_close(one, other)


def test_frames_are_averaged_or_said_again() -> None:
    x = torch.arange(5.0)[None, None]
    assert mean_at_rate(x, Fraction(2), 3).flatten().tolist() == [0.5, 2.5, 2.0]
    assert mean_at_rate(x, Fraction(1, 2), 9).flatten().tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4]


def test_a_layer_turned_and_scaled_is_alike_whatever_lies_beyond_the_end() -> None:
    x = torch.randn(2, 6, 1, 9, generator=torch.Generator().manual_seed(0))
    turn = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1)))[0]
    turned = 3 * torch.einsum("oc,bcst->bost", turn, x) + 1
    turned[1, :, :, 4:] = 50.0
    lengths = torch.tensor([9, 4])
    assert float(unlikeness(x, turned, lengths)) == pytest.approx(0.0, abs=1e-5)
    other = torch.randn(2, 3, 1, 9, generator=torch.Generator().manual_seed(2))
    assert 0.3 < float(unlikeness(x, other, lengths)) < 1.0


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The training/ folders of a student, and of a model of another width and twice its frames."""
    place = tmp_path_factory.mktemp("distill")
    (place / "fast.mct").write_text(FAST)
    build(ROOT / "spec/mct_tiny.mct", place / "student", BuildOptions(defines=DEFINES, target="torch"))
    build(place / "fast.mct", place / "fast", BuildOptions(target="torch"))
    folders = {name: str(place / name / "training") for name in ("student", "fast")}
    save_file(Emitted(Model(folders["fast"])).model().state_dict(), place / "fast.safetensors")
    return {**folders, "weights": str(place / "fast.safetensors")}


def fast(built: dict[str, str], **settings: Any) -> Distill:
    return Distill(built["fast"], built["weights"], **settings)


def student(built: dict[str, str]) -> torch.nn.Module:
    torch.manual_seed(0)
    model: torch.nn.Module = Emitted(Model(built["student"])).model()
    return model.eval()


def distilled(settings: Distill, model: torch.nn.Module, times: int = 1) -> Tensor:
    taught = Distillation(settings, model, 12, torch.device("cpu"))
    mel = torch.randn(2, 64, 80, generator=torch.Generator().manual_seed(0))
    for _ in range(times):
        said = taught.says(mel, FRAMES, TARGETS, LABELS, [5, 8])
    model(mel, FRAMES, TARGETS, LABELS)
    return taught.loss(said, FRAMES, TARGETS, LABELS)


def test_a_student_that_is_its_teacher_has_nothing_to_learn(built: dict[str, str], tmp_path: Path) -> None:
    model = student(built)
    save_file(model.state_dict(), tmp_path / "same.safetensors")
    pairs = ("encoder.layers.0 = encoder.layers.0",)
    settings = Distill(built["student"], str(tmp_path / "same.safetensors"), ctc=0.3, encoder=1.0, layers=pairs)
    loss = distilled(settings, model)
    assert float(loss.detach()) == pytest.approx(0.0, abs=1e-4)


def test_rates_and_widths_are_bridged_and_every_part_teaches(built: dict[str, str]) -> None:
    model, pairs = student(built), ("encoder.layers.1 = encoder.front",)
    both = fast(built, ctc=0.5, layers=pairs, layer=2.0)
    alone = (fast(built), fast(built, lattice=0, ctc=0.5),
             fast(built, lattice=0, layers=pairs, layer=2.0))  # fmt: skip
    parts = [float(distilled(each, model).detach()) for each in alone]
    loss = distilled(both, model)
    assert min(parts) > 0.01
    assert float(loss.detach()) == pytest.approx(sum(parts), rel=1e-5)
    loss.backward()
    gradients = {name: each.grad for name, each in model.named_parameters()}
    assert all(gradients[name] is not None for name in ("joiner.out.weight", "auxiliary_ctc.weight"))


def test_an_encoder_is_as_far_from_its_teacher_s_as_their_valid_frames_are(
    built: dict[str, str], tmp_path: Path
) -> None:
    model, teacher = student(built), student(built)
    with torch.no_grad():
        teacher.get_parameter("encoder.norm.weight").mul_(2.0)
    save_file(teacher.state_dict(), tmp_path / "double.safetensors")
    weights = str(tmp_path / "double.safetensors")
    loss = distilled(Distill(built["student"], weights, lattice=0, encoder=3.0), model)
    assert float(loss.detach()) == pytest.approx(3.0 * 0.25, rel=1e-4)  # half of its results
    loss.backward()
    assert model.get_parameter("encoder.norm.weight").grad is not None


def test_encoders_of_two_widths_are_told_of(built: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"distill.encoder .* gives 16 channels, the teacher's 24; distill.layers"):
        distilled(fast(built, lattice=0, encoder=1.0), student(built))


def test_what_was_said_once_is_remembered(built: dict[str, str]) -> None:
    model = student(built)
    fresh, again = (distilled(fast(built, cache=True), model, times) for times in (1, 2))
    assert float(again.detach()) == pytest.approx(float(fresh.detach()), rel=2e-3)
    assert float(again.detach()) != float(fresh.detach())


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"layers": ("encoder.layers.7 = encoder.front",)}, "has no module 'encoder.layers.7'"),
        ({"layers": ("encoder.layers.0",)}, "'encoder.layers.0' is no 'student.module = teacher.module'"),
    ],
)
def test_what_can_not_be_taught_is_named(
    built: dict[str, str], settings: dict[str, tuple[str, ...]], told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        Distillation(fast(built, layers=settings["layers"]), student(built), 12, torch.device("cpu"))
    with pytest.raises(ConfigError, match="makes 13 classes"):
        Distillation(fast(built), student(built), 13, torch.device("cpu"))


def test_a_teacher_of_other_tokens_or_weights_is_called_the_teacher(built: dict[str, str]) -> None:
    model, cpu = student(built), torch.device("cpu")
    with pytest.raises(ConfigError, match=r"makes 13 classes with the blank, and distill.teacher has fewer"):
        Distillation(fast(built), model, 13, cpu)
    with pytest.raises(ConfigError, match=r"distill.weights: .*fast.safetensors holds weights of another model"):
        Distillation(Distill(built["student"], built["weights"]), model, 12, cpu)
    with pytest.raises(ConfigError, match=r"distill.teacher: nowhere is no training/ folder"):
        Distillation(Distill("nowhere", built["weights"]), model, 12, cpu)
