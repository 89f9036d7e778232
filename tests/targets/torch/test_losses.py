"""The other losses, against plain loops over utterances, frames and classes in fp64."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor

from mctc.targets.torch.runtime import losses
from mctc.targets.torch.runtime.losses import (
    ctc_loss,
    joint_ctc_attention,
    lattice_distillation,
    posterior_distillation,
)
from mctc.targets.torch.runtime.rnnt_loss import Collapsed, collapse, passed

LAYOUTS = (-1, 1)
FRAMES, LABELS = torch.tensor([7, 5, 3]), torch.tensor([3, 1, 0])
TARGETS = torch.tensor([[2, 2, 4], [1, 0, 0], [0, 0, 0]])
CLASSES, PADDED = 6, 8


def logits(*shape: int, seed: int = 0) -> Tensor:
    return 2 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def padded(x: Tensor) -> Tensor:
    return torch.cat([x, torch.full((*x.shape[:-1], PADDED - x.shape[-1]), -1e4)], -1)


def laid_out(x: Tensor, dim: int) -> Tensor:
    """(B, T, V) to (B, V, 1, T)."""
    return x if dim == -1 else x.mT[:, :, None].contiguous()


def ctc_by_loops(x: Tensor, targets: Tensor, frames: int, labels: int) -> Tensor:
    """Of one utterance: every way to write the labels with blanks between, frame by frame."""
    log_probs = x.double().log_softmax(-1)
    extended = [0]
    for label in targets[:labels].tolist():
        extended += [label, 0]
    reached = {0: log_probs[0, 0]} | ({1: log_probs[0, extended[1]]} if labels else {})
    for t in range(1, frames):
        now = {}
        for s, label in enumerate(extended):
            skips = s > 1 and label not in (0, extended[s - 2])
            ways = [reached[r] for r in (s, s - 1, s - 2 if skips else -1) if r in reached]
            if ways:
                now[s] = torch.stack(ways).logsumexp(0) + log_probs[t, label]
        reached = now
    return -torch.stack([reached[s] for s in (len(extended) - 1, len(extended) - 2) if s in reached]).logsumexp(0)


def same_with_gradient(
    loss: Callable[[Tensor], Tensor], by_loops: Callable[[Tensor], Tensor], x: Tensor, within: float = 1e-5
) -> None:
    found, right = x.clone().requires_grad_(), x.double().requires_grad_()
    value, expected = loss(found), by_loops(right)
    torch.testing.assert_close(value.double(), expected, rtol=within, atol=within)
    (gradient,), (wanted,) = torch.autograd.grad(value, found), torch.autograd.grad(expected, right)
    torch.testing.assert_close(gradient.double(), wanted, rtol=within, atol=within)


@pytest.mark.parametrize("dim", LAYOUTS)
def test_ctc_is_the_sum_over_all_ways_to_write_the_labels(dim: int) -> None:
    def by_loops(x: Tensor) -> Tensor:
        each = [ctc_by_loops(x[b], TARGETS[b], int(FRAMES[b]), int(LABELS[b])) for b in range(3)]
        return torch.stack([loss / max(1, int(n)) for loss, n in zip(each, LABELS)]).mean()

    same_with_gradient(
        lambda x: ctc_loss(laid_out(padded(x), dim), TARGETS, FRAMES, LABELS, dim=dim, classes=CLASSES),
        by_loops,
        logits(3, 7, CLASSES),
    )


def test_ctc_in_low_precision_is_computed_in_fp32() -> None:
    x = logits(3, 7, CLASSES).bfloat16()
    loss = ctc_loss(x, TARGETS, FRAMES, LABELS)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, ctc_loss(x.float(), TARGETS, FRAMES, LABELS))


WRONG = {
    "class": ({"targets": [[2, 6, 4], [1, 0, 0], [0, 0, 0]]}, r"targets\[0, 1\] is 6; .* one of the 6 classes"),
    "negative": ({"targets": [[2, 2, -1], [1, 0, 0], [0, 0, 0]]}, r"targets\[0, 2\] is -1"),
    "blank label": ({"targets": [[2, 2, 4], [0, 0, 0], [0, 0, 0]]}, r"targets\[1, 0\] is 0; .* not the blank, 0"),
    "frames": ({"frame_lengths": [7, 8, 3]}, r"frame_lengths\[1\] is 8; it must be from 0 to 7"),
    "labels": ({"label_lengths": [4, 1, 0]}, r"label_lengths\[0\] is 4; it must be from 0 to 3"),
    "blank": ({"blank": 6}, "blank is 6; it must be one of the 6 classes"),
    "rows": ({"targets": [2, 2, 4]}, r"targets is \(3,\) .* beside 3 utterances"),
    "count": ({"label_lengths": [1]}, r"label_lengths is \(1,\) .* must be \(B,\) = \(3,\) integers"),
    "reduction": ({"reduction": "max"}, "reduction is 'max'"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_ctc_cannot_take_is_named(what: str) -> None:
    wrong, message = WRONG[what]
    given = {name: torch.tensor(value) if isinstance(value, list) else value for name, value in wrong.items()}
    known = {"targets": TARGETS, "frame_lengths": FRAMES, "label_lengths": LABELS}
    with pytest.raises(ValueError, match=message):
        ctc_loss(padded(logits(3, 7, CLASSES)), classes=CLASSES, **{**known, **given})


def test_what_pads_the_targets_of_ctc_is_never_read() -> None:
    x = logits(3, 7, CLASSES)
    other = torch.tensor([[2, 2, 4], [1, -7, 99], [0, 0, 0]])
    assert torch.equal(ctc_loss(x, other, FRAMES, LABELS), ctc_loss(x, TARGETS, FRAMES, LABELS))


def test_a_wrong_label_that_nobody_may_look_at_makes_its_utterance_infinite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(losses, "readable", lambda *_: False)
    x, wrong = logits(3, 7, CLASSES).requires_grad_(), torch.tensor([[2, 6, 4], [1, 0, 0], [0, 0, 0]])
    found = ctc_loss(x, wrong, FRAMES, LABELS, reduction="none", zero_infinity=True)
    assert found.isinf().tolist() == [True, False, False]
    found[1:].sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_ctc_of_nothing_is_nothing() -> None:
    empty = torch.tensor([0, 0, 0])
    assert ctc_loss(logits(3, 7, CLASSES), TARGETS[:, :0], empty, empty, reduction="none").tolist() == [0, 0, 0]


class OnMps(Tensor):
    """A CPU tensor that says it is on MPS and counts the copies to the CPU."""

    copies = 0

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return torch.device("mps")

    def cpu(self, *_: object, **__: object) -> Tensor:
        OnMps.copies += 1
        return self.as_subclass(Tensor)


@pytest.mark.parametrize(("version", "copies"), [("2.7.1", 2), ("2.13.0+cpu", 2), ("2.14.0", 0), ("3.0.0a0+git", 0)])
def test_only_where_mps_has_no_ctc_the_loss_alone_goes_to_the_cpu(
    monkeypatch: pytest.MonkeyPatch, version: str, copies: int
) -> None:
    given_devices = []

    def recorded(log_probs: Tensor, targets: Tensor, frames: Tensor, labels: Tensor, *_: object) -> Tensor:
        given_devices.extend(each.device.type for each in (log_probs, targets))
        return torch.zeros(())

    monkeypatch.setattr(OnMps, "copies", 0)
    monkeypatch.setattr(torch, "__version__", version)
    monkeypatch.setattr(losses.functional, "ctc_loss", recorded)
    monkeypatch.setattr(losses, "_ctc_targets", lambda x, targets, *_: (targets, torch.zeros(3, dtype=torch.bool)))
    monkeypatch.setattr(Tensor, "to", lambda self, *_, **__: self)
    ctc_loss(logits(3, 7, CLASSES).as_subclass(OnMps), TARGETS.as_subclass(OnMps), FRAMES, LABELS)
    assert OnMps.copies == copies
    assert given_devices == (["cpu", "cpu"] if copies else ["mps", "mps"])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("dim", LAYOUTS)
def test_joint_loss_weighs_ctc_and_the_cross_entropy_of_labels_and_end(dim: int, smoothing: float) -> None:
    end, heard = 5, logits(3, 7, CLASSES, seed=1)

    def by_loops(x: Tensor) -> Tensor:
        terms = []
        for b in range(3):
            for u, label in enumerate([*TARGETS[b, : LABELS[b]].tolist(), end]):
                log_probs = x[b, u].log_softmax(-1)
                terms.append(-(1 - smoothing) * log_probs[label] - smoothing * log_probs.mean())
        return 0.7 * torch.stack(terms).mean() + 0.3 * ctc_loss(heard.double(), TARGETS, FRAMES, LABELS)

    def joint(x: Tensor) -> Tensor:
        both = joint_ctc_attention(
            laid_out(padded(heard), dim),
            laid_out(padded(x), dim),
            TARGETS,
            FRAMES,
            LABELS,
            end=end,
            label_smoothing=smoothing,
            dim=dim,
            classes=CLASSES,
        )
        torch.testing.assert_close(both.loss, 0.3 * both.ctc + 0.7 * both.attention)
        return both.loss

    same_with_gradient(joint, by_loops, logits(3, 4, CLASSES))


@pytest.mark.parametrize("dim", LAYOUTS)
def test_posterior_distillation_is_the_divergence_of_softened_frames(dim: int) -> None:
    temperature, teacher = 2.5, logits(3, 7, CLASSES, seed=1)

    def by_loops(x: Tensor) -> Tensor:
        total, frames = torch.zeros(()).double(), 0
        for b in range(3):
            for t in range(int(FRAMES[b])):
                p = (teacher[b, t].double() / temperature).softmax(-1)
                q = (x[b, t] / temperature).softmax(-1)
                total = total + sum(p[v] * (p[v].log() - q[v].log()) for v in range(CLASSES)) * temperature**2
                frames += 1
        return total / frames

    def distilled(x: Tensor) -> Tensor:
        both = (laid_out(padded(x), dim), laid_out(teacher, dim))  # only the student's vocabulary is padded
        return posterior_distillation(*both, FRAMES, temperature=temperature, dim=dim, classes=CLASSES)

    same_with_gradient(distilled, by_loops, logits(3, 7, CLASSES))


def lattice_by_loops(teacher: Tensor, x: Tensor, b: int) -> Tensor:
    total = torch.zeros(()).double()
    for t in range(int(FRAMES[b])):
        for u in range(int(LABELS[b]) + 1):
            kept = [0] + ([int(TARGETS[b, u])] if u < LABELS[b] else [])
            for_teacher, for_student = ([each[b, t, u].double().softmax(-1)[v] for v in kept] for each in (teacher, x))
            for_teacher.append(1 - sum(for_teacher))
            for_student.append(1 - sum(for_student))
            total = total + sum(p * (p.log() - q.log()) for p, q in zip(for_teacher, for_student))
    return total


@pytest.mark.parametrize("dim", LAYOUTS)
def test_lattice_distillation_is_the_divergence_of_blank_label_and_rest(dim: int) -> None:
    teacher = logits(3, 7, 4, CLASSES, seed=1)
    cells = int((FRAMES * (LABELS + 1)).sum())

    def by_loops(x: Tensor) -> Tensor:
        return sum((lattice_by_loops(teacher, x, b) for b in range(3)), torch.zeros(()).double()) / cells

    def distilled(x: Tensor) -> Tensor:
        student, wide = (each if dim == -1 else each.permute(0, 3, 2, 1).contiguous() for each in (x, padded(teacher)))
        return lattice_distillation(student, wide, TARGETS, FRAMES, LABELS, dim=dim)

    same_with_gradient(distilled, by_loops, logits(3, 7, 4, CLASSES), within=2e-5)


def test_lattice_distillation_takes_a_collapsed_teacher_and_reduces_as_asked() -> None:
    student, teacher = logits(3, 7, 4, CLASSES), logits(3, 7, 4, CLASSES, seed=1)
    targets = torch.where(torch.arange(3) < LABELS[:, None], TARGETS, 0)
    kept = collapse(teacher, targets)
    each = lattice_distillation(student, kept, TARGETS, FRAMES, LABELS, reduction="none")
    for b in range(3):
        torch.testing.assert_close(each[b].double(), lattice_by_loops(teacher, student, b), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(
        lattice_distillation(student, kept, TARGETS, FRAMES, LABELS, reduction="sum"), each.sum()
    )


def outcomes(frames: int, columns: int) -> Collapsed:
    """Three outcomes of random logits, (1, frames, columns)."""
    x = logits(1, frames, columns, 3).double().log_softmax(-1)
    return Collapsed(x[..., 0], x[..., :-1, 1], torch.cat([x[:, :, :-1, 2], x[:, :, -1:, 1:].logsumexp(-1)], 2))


@pytest.mark.parametrize("sharpness", [0.0, 1.0, 60.0])
def test_cells_weigh_what_alignments_pass_them(sharpness: float) -> None:
    frames, labels = 4, 2
    cells, expected, total = outcomes(frames, labels + 1), torch.zeros(frames, labels + 1).double(), 0.0
    for at in product(range(frames), repeat=labels):
        if list(at) != sorted(at):
            continue
        path, u, score = [], 0, 0.0
        for t in range(frames):
            while u < labels and at[u] == t:
                path.append((t, u))
                score, u = score + float(cells.label[0, t, u]), u + 1
            path.append((t, u))
            score += float(cells.blank[0, t, u])
        likely = float(torch.tensor(sharpness * score).double().exp())
        total += likely
        for cell in path:
            expected[cell] += likely
    found = passed(cells, torch.tensor([frames]), torch.tensor([labels]), sharpness=sharpness)
    torch.testing.assert_close(found[0].double(), expected / total, rtol=1e-4, atol=1e-5)


def test_lattice_distillation_weighs_cells() -> None:
    student, teacher = logits(3, 7, 4, CLASSES), logits(3, 7, 4, CLASSES, seed=1)
    weights = torch.rand(3, 7, 4, generator=torch.Generator().manual_seed(2))
    ones, halves = torch.ones(3, 7, 4), weights.new_full((3, 7, 4), 0.5)
    plain, same, half, other = (
        lattice_distillation(student, teacher, TARGETS, FRAMES, LABELS, reduction="none", weights=each)
        for each in (None, ones, halves, weights)
    )
    torch.testing.assert_close(same, plain)
    torch.testing.assert_close(half, plain / 2)
    assert ((other > 0) & (other < plain)).all()


def test_padding_of_frames_and_targets_counts_for_nothing() -> None:
    beyond = torch.arange(7) >= FRAMES[:, None]
    student, teacher = logits(3, 7, CLASSES), logits(3, 7, CLASSES, seed=1)
    spoilt = student.masked_fill(beyond[..., None], torch.nan).requires_grad_()
    loss = posterior_distillation(spoilt, teacher, FRAMES)
    torch.testing.assert_close(loss, posterior_distillation(student, teacher, FRAMES))
    assert not torch.autograd.grad(loss, spoilt)[0][beyond].any()

    cells, other = logits(3, 7, 4, CLASSES), logits(3, 7, 4, CLASSES, seed=1)
    outside = beyond[..., None] | (torch.arange(4) > LABELS[:, None])[:, None]
    spoilt = cells.masked_fill(outside[..., None], torch.nan).requires_grad_()
    targets = torch.where(torch.arange(3) < LABELS[:, None], TARGETS, 5)
    loss = lattice_distillation(spoilt, other, targets, FRAMES, LABELS)
    torch.testing.assert_close(loss, lattice_distillation(cells, other, TARGETS, FRAMES, LABELS))
    assert not torch.autograd.grad(loss, spoilt)[0][outside].any()


def test_a_student_equal_to_its_teacher_has_nothing_to_learn() -> None:
    x = logits(3, 7, 4, CLASSES).requires_grad_()
    loss = lattice_distillation(x, x, TARGETS, FRAMES, LABELS)
    assert math.isclose(loss.item(), 0, abs_tol=1e-7)
    assert torch.autograd.grad(loss, x)[0].abs().max() < 1e-6


def test_what_does_not_fit_is_named() -> None:
    x, cells = logits(3, 7, CLASSES), logits(3, 7, 4, CLASSES)
    with pytest.raises(ValueError, match=r"logits of \(3, 7, 6\) with dim 1: they must be"):
        ctc_loss(x, TARGETS, FRAMES, LABELS, dim=1)
    with pytest.raises(ValueError, match=r"classes is 9; logits of .* have 6"):
        ctc_loss(x, TARGETS, FRAMES, LABELS, classes=9)
    with pytest.raises(ValueError, match=r"logits have 7 positions; .* must have 4"):
        joint_ctc_attention(x, x, TARGETS, FRAMES, LABELS, end=5)
    with pytest.raises(ValueError, match=r"the teacher has \(3, 7, 8\) of \(B, T, V\) and the student \(3, 7, 6\)"):
        posterior_distillation(x, padded(x), FRAMES)
    with pytest.raises(ValueError, match=r"the teacher's lattice is \(2, 7, 4\) and the student's \(3, 7, 4\)"):
        lattice_distillation(cells, collapse(cells[:2], TARGETS[:2]), TARGETS, FRAMES, LABELS)
    with pytest.raises(ValueError, match="reduction is 'avg'; it must be one of mean, sum, none"):
        posterior_distillation(x, x, FRAMES, reduction="avg")


def test_cross_entropy_names_a_label_that_is_no_class(monkeypatch: pytest.MonkeyPatch) -> None:
    x, wrong = logits(3, 4, CLASSES), torch.tensor([[2, -100, 4], [1, 0, 0], [0, 0, 0]])
    with pytest.raises(ValueError, match=r"cross_entropy: targets\[0, 1\] is -100; .* one of the 6 classes$"):
        losses.cross_entropy(x, wrong, LABELS, end=5)
    with pytest.raises(ValueError, match="end is 6; it must be one of the 6 classes"):
        losses.cross_entropy(x, TARGETS, LABELS, end=6)
    monkeypatch.setattr(losses, "readable", lambda *_: False)
    assert losses.cross_entropy(x, wrong, LABELS, end=5).isinf()
