"""The transducer (RNN-T) loss, as operations that autograd, torch.compile and torch.export know.

Two steps, of which only the first sees the vocabulary. `mctc::rnnt_collapse` reads the logits once and keeps, for each
cell of the lattice, log p of the blank, of the next label and of all the rest; its gradient is written straight from
the logits, so no log-softmax is ever stored. `mctc::rnnt_loss` sums over all alignments, with the gradient in closed
form. Each is computed by rnnt_loss_gpu, rnnt_loss_cpu or rnnt_loss_reference, always in fp32 or better.

Source: Graves 2012, "Sequence transduction with recurrent neural networks".
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from . import rnnt_loss_cpu, rnnt_loss_reference
from .bounds import check_labels, check_lengths, readable, wrong_labels

TYPES = (torch.float32, torch.float16, torch.bfloat16)
REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {"mean": torch.mean, "sum": torch.sum, "none": torch.clone}


class Collapsed(NamedTuple):
    """The three outcomes of each cell of a transducer's lattice; their probabilities sum to 1."""

    blank: Tensor
    """(B, T, U+1), log p of the blank."""
    label: Tensor
    """(B, T, U), log p of the next label; -inf where the target is outside the vocabulary or the blank."""
    rest: Tensor
    """(B, T, U+1), log p of all other classes together."""


def rnnt_loss(
    logits: Tensor,
    targets: Tensor,
    frame_lengths: Tensor,
    label_lengths: Tensor,
    *,
    blank: int = 0,
    dim: int = -1,
    classes: int | None = None,
    reduction: str = "mean",
    fast_emit: float = 0.0,
    delay_penalty: float = 0.0,
) -> Tensor:
    """Minus log p(targets), summed over all alignments, from a joiner's unnormalised outputs.

    What lies beyond an utterance's lengths is not read and gets a gradient of zero. Two settings have labels come out
    earlier. Neither touches the kernels: they act on log p of the next label, between the two steps.

    Args:
        logits: (B, T, U+1, V), or with dim=1 (B, V, U+1, T), the channels-first layout of the emitted modules; fp32,
            fp16 or bf16 (fp64 on a CPU). Classes that only pad the vocabulary are harmless at logits of about -1e4.
        targets: (B, U) integers, padded with anything.
        frame_lengths, label_lengths: (B,) integers, 1 to T and 0 to U.
        classes: how many classes a target may be one of, V if the vocabulary was not padded.
        reduction: "mean" over the utterances, "sum", or "none".
        fast_emit: the gradient with respect to the labels' log p is multiplied by 1 + fast_emit; the loss keeps its
            value. Source: Yu et al. 2020, "FastEmit: low-latency streaming ASR with sequence-level emission
            regularization" (arXiv 2010.11148).
        delay_penalty: so many times (T - 1) / 2 - t is added to log p of each label at frame t of T, also in the loss.
            Source: Kang et al. 2022, "Delay-penalized transducer for low-latency streaming ASR" (arXiv 2211.00490).

    Returns: a number, or (B,) for "none"; fp32 (fp64 for fp64).

    Raises ValueError for shapes, types or a blank that don't fit; and for lengths and targets that are out of bounds,
    if they are on the CPU and the call is not being compiled. On a GPU that would mean to wait for it: there a wrong
    length makes the loss of that utterance NaN, and a target outside the vocabulary makes it infinite.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"rnnt_loss: reduction is {reduction!r}; it must be one of {', '.join(REDUCTIONS)}")
    cells = lattice(logits, targets, frame_lengths, label_lengths, blank=blank, dim=dim, classes=classes)
    frames, labels = (each.to(cells.blank.device, torch.int32) for each in (frame_lengths, label_lengths))
    label = emitted_early(cells.label, frames, fast_emit, delay_penalty)
    loss: Tensor = torch.ops.mctc.rnnt_loss(cells.blank, label, frames, labels)[0]
    return REDUCTIONS[reduction](loss)


def lattice(
    logits: Tensor,
    targets: Tensor,
    frame_lengths: Tensor,
    label_lengths: Tensor,
    *,
    blank: int = 0,
    dim: int = -1,
    classes: int | None = None,
    loss: str = "rnnt_loss",
) -> Collapsed:
    """What `collapse` gives, of arguments that are checked as rnnt_loss says, in whose name or in that of `loss`."""
    for name, each in {"frame_lengths": frame_lengths, "label_lengths": label_lengths}.items():
        if each.shape != logits.shape[:1] or each.is_floating_point():
            raise ValueError(
                f"{loss}: {name} is {tuple(each.shape)} of {each.dtype}; it must be (B,) = ({len(logits)},) integers"
            )
    cells = collapse(logits, targets, blank=blank, dim=dim)
    if readable(targets, frame_lengths, label_lengths):
        _check_lengths(frame_lengths, label_lengths, *cells.blank.shape[1:])
        known = logits.shape[dim] if classes is None else classes
        check_labels(loss, targets, wrong_labels(targets, label_lengths, known, blank), known, blank)
    return cells


def emitted_early(label: Tensor, frame_lengths: Tensor, fast_emit: float, delay_penalty: float) -> Tensor:
    """log p of the next label (B, T, U) as a loss counts it. Raises ValueError for negative settings."""
    if fast_emit < 0 or delay_penalty < 0:
        raise ValueError(f"fast_emit {fast_emit} and delay_penalty {delay_penalty} must be 0 or more")
    if delay_penalty:
        frame = torch.arange(label.shape[1], device=label.device)
        early = (frame_lengths[:, None] - 1) / 2 - frame
        label = label + delay_penalty * early[..., None].to(label.dtype)
    if fast_emit:
        label = _Emphasised.apply(label, 1 + fast_emit)  # type: ignore[no-untyped-call]
    return label


class _Emphasised(torch.autograd.Function):
    """x as it is, and its gradient times a factor."""

    @staticmethod
    def forward(x: Tensor, factor: float) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        ctx.factor = inputs[1]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.factor, None


def collapse(logits: Tensor, targets: Tensor, *, blank: int = 0, dim: int = -1) -> Collapsed:
    """What a lattice of logits says of the blank, the next label and all the rest.

    The same arguments as those of rnnt_loss. Differentiable, in one pass over the logits each way.

    Source: Panchapagesan et al. 2020, "Efficient knowledge distillation for RNN-transducer models", section 3.
    """
    if logits.dim() != 4 or dim not in (-1, 3, 1):
        raise ValueError(
            f"rnnt_loss: logits is {tuple(logits.shape)} and dim {dim}; they must be (B, T, U+1, V) and -1, or "
            "(B, V, U+1, T) and 1"
        )
    cells = logits.permute(0, 3, 2, 1) if dim == 1 else logits
    wanted = (cells.shape[0], cells.shape[2] - 1)
    if tuple(targets.shape) != wanted or targets.is_floating_point():
        raise ValueError(
            f"rnnt_loss: targets is {tuple(targets.shape)} of {targets.dtype}; beside logits of {tuple(logits.shape)} "
            f"with dim {dim} it must be (B, U) = {wanted} integers"
        )
    if not cells.numel():
        raise ValueError(f"rnnt_loss: logits is {tuple(logits.shape)}; none of its sizes may be 0")
    if cells.dtype not in TYPES and not (cells.dtype == torch.float64 and cells.device.type == "cpu"):
        raise ValueError(
            f"rnnt_loss: logits is {cells.dtype}; it must be float32, float16 or bfloat16 (or float64 on a CPU)"
        )
    if not 0 <= blank < cells.shape[3]:
        raise ValueError(f"rnnt_loss: blank is {blank}; it must be one of the {cells.shape[3]} classes")
    blanks, labels, rest, _ = torch.ops.mctc.rnnt_collapse(cells, targets.to(cells.device, torch.int32), blank)
    return Collapsed(blanks, labels, rest)


def passed(cells: Collapsed, frame_lengths: Tensor, label_lengths: Tensor, *, sharpness: float = 1.0) -> Tensor:
    """(B, T, U+1): how likely an alignment of the labels passes each cell, 0 beyond an utterance's lengths.

    `sharpness` is a power of the alignments' probabilities before they are made to sum to 1: 1 for the lattice's own,
    0 for all alignments alike, a large one for the best alone. The lattice gets no gradient.

    Source: the arcs' posteriors are minus the gradient of the loss (Graves 2012, section 2.5), and a cell is left by
    one arc.
    """
    lengths = [each.to(cells.blank.device, torch.int32) for each in (frame_lengths, label_lengths)]
    with torch.enable_grad():
        blank, label = ((each.detach() * sharpness).requires_grad_() for each in (cells.blank, cells.label))
        loss = torch.ops.mctc.rnnt_loss(blank, label, *lengths)[0]
        left = torch.autograd.grad(loss.sum(), (blank, label))
    return -(left[0] + torch.nn.functional.pad(left[1], (0, 1)))


def _check_lengths(frame_lengths: Tensor, label_lengths: Tensor, frames: int, columns: int) -> None:
    bounds = {"frame_lengths": (frame_lengths, 1, frames), "label_lengths": (label_lengths, 0, columns - 1)}
    check_lengths("rnnt_loss", bounds)


def _backend(x: Tensor) -> ModuleType:
    """What computes for tensors like x."""
    if x.device.type in ("cuda", "mps"):
        from . import rnnt_loss_gpu  # which a CPU has no use for

        return rnnt_loss_gpu
    fast = x.dtype in TYPES and rnnt_loss_cpu.available()
    return rnnt_loss_cpu if fast else rnnt_loss_reference


def _forward(*arguments: Tensor) -> tuple[Tensor, Tensor]:
    blank, _, frame_lengths, label_lengths = arguments
    if blank.device.type == "cpu":  # a wrong length would have the kernel read beyond the lattice
        _check_lengths(frame_lengths, label_lengths, *blank.shape[1:])
    computed: tuple[Tensor, Tensor] = _backend(blank).forward(*_contiguous(arguments))
    return computed


def _forward_fake(blank: Tensor, *_: Tensor) -> tuple[Tensor, Tensor]:
    return blank.new_empty(len(blank)), blank.new_empty(blank.shape, dtype=_recursion_type(blank))


def _recursion_type(blank: Tensor) -> torch.dtype:
    """A CPU can afford the precision that a long utterance's small differences of large numbers would like."""
    return torch.float64 if blank.device.type == "cpu" else blank.dtype


def _backward(*arguments: Tensor) -> tuple[Tensor, Tensor]:
    computed: tuple[Tensor, Tensor] = _backend(arguments[1]).backward(*_contiguous(arguments))
    return computed


def _backward_fake(_: Tensor, blank: Tensor, label: Tensor, *__: Tensor) -> tuple[Tensor, Tensor]:
    return blank.new_empty(blank.shape), label.new_empty(label.shape)


def _keep(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, Tensor]) -> None:
    loss, alphas = output
    ctx.save_for_backward(*inputs, alphas, loss)


def _differentiate(ctx: Any, dloss: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    dblank, dlabel = torch.ops.mctc.rnnt_loss_backward(dloss, *ctx.saved_tensors)
    return dblank, dlabel, None, None


def _collapse(logits: Tensor, targets: Tensor, blank: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    computed: tuple[Tensor, Tensor, Tensor, Tensor] = _backend(logits).collapse(logits, targets.contiguous(), blank)
    return computed


def _collapse_fake(logits: Tensor, targets: Tensor, blank: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    batch, frames, columns, _ = logits.shape
    wide = torch.promote_types(logits.dtype, torch.float32)
    blanks, rest, total = (logits.new_empty(batch, frames, columns, dtype=wide) for _ in range(3))
    return blanks, logits.new_empty(batch, frames, columns - 1, dtype=wide), rest, total


def _collapse_backward(*arguments: Any) -> Tensor:
    dblank, dlabel, drest, logits, targets, rest, total, blank = arguments
    computed: Tensor = _backend(logits).collapse_backward(
        *_contiguous((dblank, dlabel, drest)), logits, targets.contiguous(), rest, total, blank
    )
    return computed


def _collapse_backward_fake(*arguments: Any) -> Tensor:
    return torch.empty_like(arguments[3])


def _collapse_keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    (logits, targets, ctx.blank), (_, _, rest, total) = inputs, output
    ctx.save_for_backward(logits, targets, rest, total)


def _collapse_differentiate(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
    # The logsumexp, the last output, is kept for this function alone: nobody differentiates it.
    return torch.ops.mctc.rnnt_collapse_backward(*gradients[:3], *ctx.saved_tensors, ctx.blank), None, None


def _contiguous(tensors: tuple[Tensor, ...]) -> list[Tensor]:
    return [tensor.contiguous() for tensor in tensors]


LATTICE = "Tensor blank, Tensor label, Tensor frame_lengths, Tensor label_lengths"
COLLAPSED = "Tensor logits, Tensor targets"
GRADIENTS = "Tensor dblank, Tensor dlabel"
# name: (schema, implementation, fake implementation)
OPERATIONS: dict[str, tuple[str, Callable[..., Any], Callable[..., Any]]] = {
    "rnnt_loss": (f"({LATTICE}) -> (Tensor loss, Tensor alphas)", _forward, _forward_fake),
    "rnnt_loss_backward": (
        f"(Tensor dloss, {LATTICE}, Tensor alphas, Tensor loss) -> ({GRADIENTS})",
        _backward,
        _backward_fake,
    ),
    "rnnt_collapse": (
        f"({COLLAPSED}, int blank) -> (Tensor blanks, Tensor labels, Tensor rest, Tensor total)",
        _collapse,
        _collapse_fake,
    ),
    "rnnt_collapse_backward": (
        f"({GRADIENTS}, Tensor drest, {COLLAPSED}, Tensor rest, Tensor total, int blank) -> Tensor",
        _collapse_backward,
        _collapse_backward_fake,
    ),
}


def _register() -> None:
    ops = {}
    for name, (schema, implementation, fake) in OPERATIONS.items():
        ops[name] = torch.library.custom_op(f"mctc::{name}", implementation, mutates_args=(), schema=schema)
        ops[name].register_fake(fake)
    ops["rnnt_loss"].register_autograd(_differentiate, setup_context=_keep)
    ops["rnnt_collapse"].register_autograd(_collapse_differentiate, setup_context=_collapse_keep)


# A training repository's copy of this file and mctc's own may be imported in one process: the first registers.
if not hasattr(torch.ops.mctc, "rnnt_loss"):
    _register()
