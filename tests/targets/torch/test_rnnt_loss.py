"""The transducer loss: its operations, on the CPU, against the definition in fp64."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mctc.targets.torch.runtime import rnnt_loss as module
from mctc.targets.torch.runtime import rnnt_loss_cpu, rnnt_loss_reference
from mctc.targets.torch.runtime.rnnt_loss import collapse, rnnt_loss

from .rnnt_loss_cases import Batch, agree, gradient, log_probs, make

TYPES = {torch.float64: 1e-12, torch.float32: 2e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}
LAYOUTS = (-1, 1)


@pytest.mark.parametrize(("frames", "labels"), [(1, 0), (1, 2), (3, 1), (4, 3)])
def test_the_definition_sums_over_every_alignment(frames: int, labels: int) -> None:
    batch = make(1, frames, labels, 4, torch.float64)
    blank, label = log_probs(batch.logits, batch.targets)
    alignments = []
    for emitting in itertools.combinations_with_replacement(range(frames), labels):  # the frame of each label
        steps = [label[0, t, u] for u, t in enumerate(emitting)]
        steps += [blank[0, t, sum(each <= t for each in emitting)] for t in range(frames)]
        alignments.append(torch.stack(steps).sum())
    expected = -torch.stack(alignments).logsumexp(0)
    found = rnnt_loss_reference.definition(blank, label, batch.frame_lengths, batch.label_lengths)
    torch.testing.assert_close(found[0], expected)


def occupied(batch: Batch, fast_emit: float, delay_penalty: float) -> tuple[Tensor, Tensor]:
    """The loss (B,) and the gradient of its sum by the logits, from every alignment with its share of all probability.

    The step of an alignment pulls its class up, a label's 1 + fast_emit times.
    """
    every = batch.logits.double().log_softmax(-1)
    losses, gradients = [], torch.zeros_like(every)
    for b, (frames, labels) in enumerate(zip(batch.frame_lengths.tolist(), batch.label_lengths.tolist())):
        scores, walks = [], []
        for emitting in itertools.combinations_with_replacement(range(frames), labels):
            steps = [(t, u, int(batch.targets[b, u]), 1 + fast_emit) for u, t in enumerate(emitting)]
            steps += [(t, sum(each <= t for each in emitting), 0, 1.0) for t in range(frames)]
            early = sum((frames - 1) / 2 - t for t in emitting)
            scores.append(sum(float(every[b, t, u, v]) for t, u, v, _ in steps) + delay_penalty * early)
            walks.append(steps)
        shares = torch.tensor(scores, dtype=torch.float64).softmax(0)
        losses.append(-torch.tensor(scores, dtype=torch.float64).logsumexp(0))
        for share, steps in zip(shares, walks):
            for t, u, v, factor in steps:  # d log p(v) / dz is 1 at v less the softmax
                gradients[b, t, u] += share * factor * every[b, t, u].exp()
                gradients[b, t, u, v] -= share * factor
    return torch.stack(losses), gradients


@pytest.mark.parametrize("dim", LAYOUTS)
@pytest.mark.parametrize(("fast_emit", "delay_penalty"), [(0, 0), (0.25, 0), (0, 0.1), (0.005, 0.02)])
def test_labels_are_drawn_to_earlier_frames_as_defined(
    path: str, dim: int, fast_emit: float, delay_penalty: float
) -> None:
    batch = make(3, 4, 3, 5, torch.float64 if path == "torch" else torch.float32)
    leaf = batch.logits.clone().requires_grad_()
    laid_out = leaf if dim == -1 else leaf.permute(0, 3, 2, 1).contiguous()
    lengths = (batch.frame_lengths, batch.label_lengths)
    early = {"fast_emit": fast_emit, "delay_penalty": delay_penalty}
    found = rnnt_loss(laid_out, batch.targets, *lengths, dim=dim, reduction="none", **early)
    found.sum().backward()
    losses, gradients = occupied(batch, fast_emit, delay_penalty)
    within = TYPES[batch.logits.dtype]
    agree(found.detach(), losses, 10 * within)
    assert leaf.grad is not None
    agree(leaf.grad, gradients, 10 * within)


def test_a_target_outside_the_vocabulary_stays_infinite_under_a_delay_penalty() -> None:
    cells = torch.full((1, 3, 1), -torch.inf), torch.tensor([3], dtype=torch.int32)
    assert module.emitted_early(*cells, 0.1, 0.1).isneginf().all()


@pytest.mark.parametrize("early", [{"fast_emit": -0.1}, {"delay_penalty": -0.1}])
def test_labels_are_never_drawn_to_later_frames(early: dict[str, float]) -> None:
    batch = make(1, 2, 1, 4)
    with pytest.raises(ValueError, match="must be 0 or more"):
        rnnt_loss(batch.logits, batch.targets, batch.frame_lengths, batch.label_lengths, **early)


@pytest.mark.parametrize("dim", LAYOUTS)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("sizes", [(1, 1, 0, 2), (2, 1, 3, 5), (3, 7, 5, 64), (2, 5, 2, 67), (3, 20, 1, 16)])
def test_values_and_gradients_are_those_of_the_definition(
    path: str, sizes: tuple[int, int, int, int], dtype: torch.dtype, dim: int
) -> None:
    batch = make(*sizes, dtype)
    losses, found = gradient(lambda logits: batch.loss(logits, dim), batch.logits)
    expected, right = gradient(batch.defined, batch.logits.double())
    agree(losses, expected, min(TYPES[dtype], 1e-6))  # the arithmetic is fp32 whatever the logits' type
    agree(found, right, TYPES[dtype])
    assert found.dtype == dtype


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(0, 6), st.integers(2, 40)),
    dim=st.sampled_from(LAYOUTS),
)
def test_any_shape(sizes: tuple[int, int, int, int], dim: int) -> None:
    batch = make(*sizes)
    losses, found = gradient(lambda logits: batch.loss(logits, dim), batch.logits)
    expected, right = gradient(batch.defined, batch.logits.double())
    agree(losses, expected, 1e-6)
    agree(found, right, 5e-6)


def test_a_wide_lattice_and_a_long_utterance_keep_their_precision(path: str) -> None:
    for sizes in ((2, 6, 300, 3), (1, 3000, 4, 8)):
        batch = make(*sizes)
        losses, found = gradient(batch.loss, batch.logits)
        blank, label, rest, total = rnnt_loss_reference.collapse(batch.logits.double(), batch.targets, 0)
        lattice = (blank, label, batch.frame_lengths, batch.label_lengths)
        expected, alphas = rnnt_loss_reference.forward(*lattice)
        weights = torch.linspace(0.5, 2, len(losses)).double()
        steps = rnnt_loss_reference.backward(weights, *lattice, alphas, expected)
        cells = (batch.logits.double(), batch.targets, rest, total)
        right = rnnt_loss_reference.collapse_backward(*steps, torch.zeros_like(rest), *cells, 0)
        agree(losses, expected, 1e-6)
        agree(found, right, 1e-4)


@pytest.mark.parametrize("dim", LAYOUTS)
def test_what_lies_beyond_the_lengths_is_not_read_and_gets_no_gradient(path: str, dim: int) -> None:
    batch = make(3, 6, 4, 20)
    outside = torch.ones(batch.logits.shape[:3], dtype=torch.bool)
    for b, (frames, labels) in enumerate(zip(batch.frame_lengths.tolist(), batch.label_lengths.tolist())):
        outside[b, :frames, : labels + 1] = False
    unread = batch.logits.masked_fill(outside[..., None], torch.nan)
    batch.targets[1, batch.label_lengths[1] :] = -7
    losses, found = gradient(lambda logits: batch.loss(logits, dim), unread)
    _, kept = gradient(lambda logits: batch.loss(logits, dim), batch.logits)
    assert torch.isfinite(losses).all()
    assert not found[outside].any()
    assert torch.equal(found[~outside], kept[~outside])


@pytest.mark.parametrize("dim", LAYOUTS)
def test_the_collapsed_cells_and_their_gradients_are_those_of_the_softmax(path: str, dim: int) -> None:
    batch = make(2, 6, 3, 21)
    batch.targets[1, 1] = 0  # the blank: no next label there
    laid_out = batch.logits if dim == -1 else batch.logits.permute(0, 3, 2, 1).contiguous()
    leaf, exact = laid_out.clone().requires_grad_(), batch.logits.double().requires_grad_()
    found = collapse(leaf, batch.targets, dim=dim)
    p = exact.softmax(-1)
    index = batch.targets[:, None, :, None].expand(-1, 6, -1, 1)
    no_label = torch.nn.functional.pad((batch.targets == 0)[:, None].expand(-1, 6, -1), (0, 1), value=True)
    label = torch.nn.functional.pad(p[:, :, :-1].gather(-1, index)[..., 0], (0, 1)).masked_fill(no_label, 0)
    expected = (p[..., 0].log(), label.log(), (1 - p[..., 0] - label).log())
    gradients = [torch.randn(2, 6, 4).double() for _ in expected]
    gradients[1].masked_fill_(no_label, 0)
    agree(found.blank.detach(), expected[0], 1e-6)
    agree(found.rest.detach(), expected[2], 1e-6)
    torch.testing.assert_close(found.label.double(), expected[1][..., :-1], check_dtype=False, rtol=1e-5, atol=1e-6)
    (right,) = torch.autograd.grad(
        sum(
            (each.masked_fill(no_label & (k == 1), 0) * g).sum() for k, (each, g) in enumerate(zip(expected, gradients))
        ),
        exact,
    )
    (given_,) = torch.autograd.grad(
        found, leaf, [gradients[0].float(), gradients[1][..., :-1].float(), gradients[2].float()]
    )
    agree(given_ if dim == -1 else given_.permute(0, 3, 2, 1), right, 1e-5)


def test_padded_classes_change_nothing(path: str) -> None:
    batch = make(2, 5, 3, 30)
    padded = torch.cat([batch.logits, torch.full((2, 5, 4, 34), -1e4)], -1)
    losses, found = gradient(batch.loss, padded)
    expected, right = gradient(batch.loss, batch.logits)
    torch.testing.assert_close(losses, expected)
    torch.testing.assert_close(found[..., :30], right)
    assert not found[..., 30:].any()


def test_views_with_gaps_and_other_layouts_are_fine(path: str) -> None:
    batch = make(2, 5, 3, 20)
    expected = gradient(batch.loss, batch.logits)
    wide = torch.zeros(2, 5, 4, 23)
    wide[..., 2:22] = batch.logits
    for view in (
        wide[..., 2:22],
        batch.logits.transpose(0, 1).contiguous().transpose(0, 1),
        batch.logits.mT.contiguous().mT,
    ):
        leaf = view.detach().requires_grad_()
        losses = batch.loss(leaf)
        (found,) = torch.autograd.grad((losses * torch.linspace(0.5, 2, 2)).sum(), leaf)
        torch.testing.assert_close((losses.detach(), found), expected)


def test_a_class_of_probability_zero_is_no_nan(path: str) -> None:
    batch = make(1, 4, 2, 5)
    batch.logits[0, 1, 0, 0] = batch.logits[0, 2, :, 3] = -torch.inf
    losses, found = gradient(batch.loss, batch.logits)
    expected, _ = gradient(batch.defined, batch.logits.double())
    agree(losses, expected, 1e-6)
    assert torch.isfinite(found).all()


@pytest.mark.skipif(not rnnt_loss_cpu.available(), reason="no C++ compiler")
def test_the_number_of_threads_changes_no_bit() -> None:
    batch = make(3, 40, 5, 50)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            found.append(gradient(lambda logits: batch.loss(logits, 1), batch.logits))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, other) for one, other in zip(*found))


def test_reductions() -> None:
    batch = make(3, 6, 4, 10)
    arguments = (batch.logits, batch.targets, batch.frame_lengths, batch.label_lengths)
    each = rnnt_loss(*arguments, reduction="none")
    torch.testing.assert_close(rnnt_loss(*arguments), each.mean())
    torch.testing.assert_close(rnnt_loss(*arguments, reduction="sum"), each.sum())
    with pytest.raises(ValueError, match="reduction is 'avg'; it must be one of mean, sum, none"):
        rnnt_loss(*arguments, reduction="avg")


WRONG = {
    "logits": ({"logits": torch.zeros(2, 5, 7)}, r"logits is \(2, 5, 7\) and dim -1; they must be \(B, T, U\+1, V\)"),
    "dim": ({"dim": 2}, r"logits is \(2, 5, 4, 8\) and dim 2"),
    "no frames": ({"logits": torch.zeros(2, 0, 4, 8)}, "none of its sizes may be 0"),
    "type": (
        {"logits": torch.zeros(2, 5, 4, 8, dtype=torch.int32)},
        "logits is torch.int32; it must be float32, float16",
    ),
    "targets": (
        {"targets": torch.ones(2, 4, dtype=torch.int32)},
        r"targets is \(2, 4\) .* must be \(B, U\) = \(2, 3\)",
    ),
    "target type": ({"targets": torch.ones(2, 3)}, r"targets is \(2, 3\) of torch.float32"),
    "lengths": ({"frame_lengths": torch.tensor([5])}, r"frame_lengths is \(1,\) .* must be \(B,\) = \(2,\) integers"),
    "blank": ({"blank": 8}, "blank is 8; it must be one of the 8 classes"),
    "no frame": ({"frame_lengths": torch.tensor([5, 0])}, r"frame_lengths\[1\] is 0; it must be from 1 to 5"),
    "too long": ({"label_lengths": torch.tensor([4, 0])}, r"label_lengths\[0\] is 4; it must be from 0 to 3"),
    "class": ({"targets": torch.tensor([[1, 2, 8], [1, 1, 1]])}, r"targets\[0, 2\] is 8; within label_lengths"),
    "padding class": (
        {"targets": torch.tensor([[1, 2, 6], [1, 1, 1]]), "classes": 6},
        r"targets\[0, 2\] is 6; .* one of the 6 classes",
    ),
    "blank target": ({"targets": torch.tensor([[1, 2, 3], [1, 0, 1]])}, r"targets\[1, 1\] is 0; .* not the blank, 0"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_fit_is_named(what: str) -> None:
    arguments = {
        "logits": torch.zeros(2, 5, 4, 8),
        "targets": torch.tensor([[1, 2, 3], [4, 5, 6]]),
        "frame_lengths": torch.tensor([5, 4]),
        "label_lengths": torch.tensor([3, 2]),
    }
    wrong, message = WRONG[what]
    with pytest.raises(ValueError, match=message):
        rnnt_loss(**{**arguments, **wrong})


def test_a_wrong_length_never_reaches_the_kernel() -> None:
    blank, label = torch.zeros(1, 4, 3), torch.zeros(1, 4, 2)
    with pytest.raises(ValueError, match=r"frame_lengths\[0\] is 5; it must be from 1 to 4"):
        torch.ops.mctc.rnnt_loss(
            blank, label, torch.tensor([5], dtype=torch.int32), torch.tensor([2], dtype=torch.int32)
        )


def test_an_impossible_target_makes_the_loss_infinite(path: str) -> None:
    cells = collapse(torch.zeros(1, 4, 3, 8), torch.tensor([[1, 99]]))
    loss, _ = torch.ops.mctc.rnnt_loss(
        *cells[:2], torch.tensor([4], dtype=torch.int32), torch.tensor([2], dtype=torch.int32)
    )
    assert loss.isinf().all()
