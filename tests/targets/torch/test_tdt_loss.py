"""The loss of a token-and-duration transducer against a sum over every alignment, and the modules that compute it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mctc.language import elaborate_file
from mctc.targets.torch.runtime.rnnt_loss import rnnt_loss
from mctc.targets.torch.runtime.tdt_loss import tdt_loss

from .made import Made, make

SPEC = Path(__file__).parents[2] / "runtime" / "durations.mct"
CLASSES, FRAMES, LABELS = 5, 5, 3
LENGTHS = torch.tensor([FRAMES, 3, 1]), torch.tensor([LABELS, 1, 0])
TARGETS = torch.tensor([[1, 4, 4], [3, 9, 9], [9, 9, 9]])  # padded with what is no class

Arc = tuple[int, int, int, int]  # frame, labels so far, class, which of the durations


def alignments(frames: int, labels: Sequence[int], durations: Sequence[int]) -> Iterator[list[Arc]]:
    """Every way from the first frame to the end of the last, which a blank reaches, with the labels in their order."""

    def on(frame: int, said: int, arcs: list[Arc]) -> Iterator[list[Arc]]:
        for k, duration in enumerate(durations):
            if duration and frame + duration == frames and said == len(labels):
                yield [*arcs, (frame, said, 0, k)]
            if frame + duration < frames:
                if duration:
                    yield from on(frame + duration, said, [*arcs, (frame, said, 0, k)])
                if said < len(labels):
                    yield from on(frame + duration, said + 1, [*arcs, (frame, said, labels[said], k)])

    return on(0, 0, [])


def summed(logits: Tensor, spans: Tensor, durations: Sequence[int], sigma: float, early: dict[str, float]) -> Tensor:
    """Minus log p of each utterance of TARGETS, from all of its alignments."""
    tokens, goes_on = logits.double().log_softmax(-1), spans.double().log_softmax(-1)
    losses = []
    for b, (frames, labels) in enumerate(zip(*(each.tolist() for each in LENGTHS), strict=True)):
        scores = []
        for arcs in alignments(frames, TARGETS[b, :labels].tolist(), durations):
            penalty = sum((frames - 1) / 2 - t for t, _, v, _ in arcs if v) * early.get("delay_penalty", 0)
            scores.append(sum(tokens[b, t, u, v] + goes_on[b, t, u, k] - sigma for t, u, v, k in arcs) + penalty)
        losses.append(-torch.stack(scores).logsumexp(0))
    return torch.stack(losses)


def drawn(durations: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    torch.manual_seed(durations)
    sizes = (3, FRAMES, LABELS + 1)
    logits, spans = (2 * torch.randn(*sizes, n, dtype=dtype) for n in (CLASSES, durations))
    return logits.requires_grad_(), spans.requires_grad_()


@pytest.mark.parametrize("durations", [(0, 1, 2), (1, 3), (4, 0, 1), (1,)])
@pytest.mark.parametrize(("dim", "dtype"), [(-1, torch.float64), (1, torch.float32)])
def test_loss_and_gradient_are_those_of_all_alignments(
    durations: tuple[int, ...], dim: int, dtype: torch.dtype
) -> None:
    logits, spans = drawn(len(durations), dtype)
    sigma, early = 0.05, {"delay_penalty": 0.1}
    given = [each if dim == -1 else each.permute(0, 3, 2, 1).contiguous() for each in (logits, spans)]
    found = tdt_loss(
        *given, TARGETS, *LENGTHS, durations=durations, sigma=sigma, dim=dim, reduction="none", **early
    )  # fmt: skip
    right = summed(logits, spans, durations, sigma, early)
    weights = torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64)
    within = 1e-12 if dtype == torch.float64 else 5e-6
    torch.testing.assert_close(found.double(), right, rtol=within, atol=within)
    ours = torch.autograd.grad((found * weights.to(dtype)).sum(), (logits, spans))
    theirs = torch.autograd.grad((right * weights).sum(), (logits, spans))
    torch.testing.assert_close(ours, theirs, rtol=10 * within, atol=10 * within)


def test_loss_and_gradient_are_those_of_the_transformers_library() -> None:
    theirs = pytest.importorskip("transformers.loss.loss_tdt")
    torch.manual_seed(1)
    logits, spans = (torch.randn(2, 30, 8, n, requires_grad=True) for n in (CLASSES, 5))
    targets, lengths = torch.randint(1, CLASSES, (2, 7)), (torch.tensor([30, 17]), torch.tensor([7, 4]))
    durations = (0, 1, 2, 3, 4)
    found = tdt_loss(logits, spans, targets, *lengths, durations=durations, sigma=0.02, reduction="none")
    right = theirs.tdt_loss(logits, spans, targets, *lengths, 0, durations, 0.02, "none")
    torch.testing.assert_close(found, right)
    gradients = [torch.autograd.grad(each.sum(), (logits, spans)) for each in (found, right)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)


def test_logits_behind_the_classes_may_be_durations() -> None:
    logits, spans = (each.detach() for each in drawn(3))
    together = torch.cat([logits, spans, torch.full_like(logits, -1e4)], -1).permute(0, 3, 2, 1).contiguous()
    together.requires_grad_()
    told = {"durations": (0, 1, 2), "reduction": "none"}
    behind = together[:, CLASSES : CLASSES + 3]
    found = tdt_loss(together, behind, TARGETS, *LENGTHS, dim=1, classes=CLASSES, **told)  # type: ignore[arg-type]
    right = tdt_loss(logits, spans, TARGETS, *LENGTHS, **told)  # type: ignore[arg-type]
    torch.testing.assert_close(found, right)
    found.sum().backward()
    assert together.grad is not None
    assert together.grad[:, CLASSES + 3 :].eq(0).all()
    assert together.grad[:1, : CLASSES + 3].ne(0).all(-1).any()


def test_one_frame_for_a_blank_and_none_for_a_label_is_the_plain_transducer() -> None:
    """Where the joiner knows from the class which duration comes, as sharply as numbers can say."""
    logits, _ = (each.detach() for each in drawn(2))
    lengths = LENGTHS[0], torch.zeros(3, dtype=torch.int64)  # blanks alone
    spans = torch.tensor([0.0, 40.0]).double().expand(*logits.shape[:3], 2)
    found = tdt_loss(logits, spans, TARGETS, *lengths, durations=(0, 1), reduction="none")
    torch.testing.assert_close(found, rnnt_loss(logits, TARGETS, *lengths, reduction="none"))


def test_labels_are_drawn_to_earlier_frames_by_their_gradient_alone() -> None:
    logits, spans = drawn(3)
    plain, early = (
        tdt_loss(logits, spans, TARGETS, *LENGTHS, durations=(0, 1, 2), fast_emit=each) for each in (0.0, 0.5)
    )
    torch.testing.assert_close(plain, early)
    pulled = [torch.autograd.grad(each, logits)[0][0, :, 0, 1].sum() for each in (plain, early)]
    assert pulled[1] < pulled[0]


def test_frames_that_no_alignment_fits_are_infinite_and_pull_nothing() -> None:
    logits, spans = drawn(1)
    found = tdt_loss(logits, spans, TARGETS, *LENGTHS, durations=(2,), reduction="none")
    assert found.isposinf().tolist() == [True, True, True]  # frames are odd
    gradients = torch.autograd.grad(found.sum(), (logits, spans))
    assert all(each.eq(0).all() for each in gradients)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"durations": (0, 1)}, "they must be \\(3, 5, 4, 2\\)"),
        ({"durations": (0, 1, 1)}, "no number may be negative or twice"),
        ({"durations": (0, -1, 1)}, "no number may be negative or twice"),
        ({"sigma": -0.1}, "sigma is -0.1"),
        ({"reduction": "max"}, "reduction is 'max'"),
        ({"blank": 7}, "blank is 7"),
        ({"frame_lengths": torch.tensor([6, 3, 1])}, "tdt_loss: frame_lengths" ),
        ({"targets": TARGETS + 5}, "tdt_loss: targets"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(change: dict[str, object], words: str) -> None:
    logits, spans = drawn(3)
    given = {"targets": TARGETS, "frame_lengths": LENGTHS[0], "label_lengths": LENGTHS[1], "durations": (0, 1, 2)}
    with pytest.raises(ValueError, match=words.replace("tdt_loss: frame_lengths", "frame_lengths")):
        tdt_loss(logits, spans, **{**given, **change})  # type: ignore[arg-type]


def test_it_compiles_in_one_graph() -> None:
    logits, spans = drawn(3, torch.float32)
    loss = lambda x, y: tdt_loss(x, y, TARGETS, *LENGTHS, durations=(0, 1, 2))  # noqa: E731
    graph = torch.compile(loss, fullgraph=True, backend="aot_eager")
    ours = [torch.autograd.grad(each(logits, spans), (logits, spans)) for each in (graph, loss)]
    torch.testing.assert_close(*ours)


@pytest.fixture(scope="module", params=["behind", "apart"])
def module(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    program = elaborate_file(SPEC, defines={"apart": request.param == "apart"})
    return make(program, tmp_path_factory.mktemp(str(request.param)))


def test_a_module_costs_what_its_joiner_says(module: Made) -> None:
    mel, lengths = torch.randn(2, 32, 80), torch.tensor([32, 20])
    targets, counts = torch.tensor([[1, 2, 3], [4, 0, 0]]), torch.tensor([3, 1])
    loss = module.model(mel, lengths, targets, counts)
    alone = [
        module.model(mel[b : b + 1, :n], lengths[b : b + 1], targets[b : b + 1, :u], counts[b : b + 1])
        for b, (n, u) in enumerate([(32, 3), (20, 1)])
    ]
    torch.testing.assert_close(loss, torch.stack(alone).mean())
    loss.backward()
    assert all(each.grad is not None and each.grad.ne(0).any() for each in module.model.parameters())
