"""The losses of a speech model beside the transducer's: CTC, cross-entropy, both, and distillation from a teacher.

All take a model's unnormalised outputs (logits) in any floating type, compute in fp32 or better, and leave out what
lies beyond an utterance's lengths, which gets a gradient of zero. `dim` says where the classes are: -1 for the usual
layout, 1 for the emitted modules' channels-first one. `classes` is the size of the vocabulary where the logits have
more, because the vocabulary was padded: the padding takes no part, which matters to label smoothing and to a teacher.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from .bounds import check_labels, check_lengths, readable, wrong_labels
from .rnnt_loss import REDUCTIONS, Collapsed, collapse

IGNORED = -100  # the target that cross_entropy leaves out
# The first torch whose CTC loss runs on MPS. Older ones would need PYTORCH_ENABLE_MPS_FALLBACK for the whole program.
CTC_ON_MPS = (2, 14)


class Joint(NamedTuple):
    """What joint_ctc_attention returns; the parts are for the log."""

    loss: Tensor
    ctc: Tensor
    attention: Tensor


def ctc_loss(
    logits: Tensor,
    targets: Tensor,
    frame_lengths: Tensor,
    label_lengths: Tensor,
    *,
    blank: int = 0,
    dim: int = -1,
    classes: int | None = None,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Connectionist temporal classification, torch's own; on an MPS whose torch has none, this one loss on the CPU.

    Source: Graves et al. 2006, "Connectionist temporal classification".

    Args:
        logits: (B, T, V), or with dim=1 (B, V, 1, T).
        targets: (B, U) integers, padded with anything.
        frame_lengths, label_lengths: (B,) integers, 0 to T and 0 to U.
        reduction: as torch's: "mean" divides each loss by its number of labels, then averages over the utterances.
        zero_infinity: count an utterance that has more labels than its frames can hold as 0 and not as infinite.

    Raises ValueError for shapes or a blank that don't fit; and for lengths and targets that are out of bounds, if they
    are on the CPU and the call is not being compiled. On a GPU that would mean to wait for it: there a target that is
    the blank or outside the vocabulary makes its utterance infinite, whatever zero_infinity says.
    """
    x = _classes_last(logits, dim, classes)
    targets, wrong = _ctc_targets(x, targets, frame_lengths, label_lengths, blank)
    log_probs = x.to(_wide(x)).log_softmax(-1).transpose(0, 1)
    if log_probs.device.type == "mps" and _torch_version() < CTC_ON_MPS:
        log_probs, targets = log_probs.cpu(), targets.cpu()
    lengths = (frame_lengths.to(targets.device), label_lengths.to(targets.device))
    each = functional.ctc_loss(log_probs, targets, *lengths, blank, "none", zero_infinity)
    each = each.masked_fill(wrong.to(each.device), torch.inf)
    if reduction == "mean":
        each = each / lengths[1].clamp(min=1)
    return REDUCTIONS[_known(reduction)](each).to(logits.device)


def _ctc_targets(
    x: Tensor, targets: Tensor, frame_lengths: Tensor, label_lengths: Tensor, blank: int
) -> tuple[Tensor, Tensor]:
    """Targets that torch's kernels may read, all of them, and (B,) the utterances with one that they may not."""
    batch, frames, classes = x.shape
    if targets.dim() != 2 or len(targets) != batch or targets.is_floating_point():
        raise ValueError(
            f"ctc_loss: targets is {tuple(targets.shape)} of {targets.dtype}; beside {batch} utterances it must be "
            f"(B, U) = ({batch}, U) integers"
        )
    lengths = {"frame_lengths": (frame_lengths, 0, frames), "label_lengths": (label_lengths, 0, targets.shape[1])}
    for name, (each, _, _) in lengths.items():
        if each.shape != (batch,) or each.is_floating_point():
            raise ValueError(
                f"ctc_loss: {name} is {tuple(each.shape)} of {each.dtype}; it must be (B,) = ({batch},) integers"
            )
    if not 0 <= blank < classes:
        raise ValueError(f"ctc_loss: blank is {blank}; it must be one of the {classes} classes")
    wrong = wrong_labels(targets, label_lengths, classes, blank)
    if readable(targets, frame_lengths, label_lengths):
        check_lengths("ctc_loss", lengths)
        check_labels("ctc_loss", targets, wrong, classes, blank)
    used = _before(targets.shape[1], label_lengths, targets.device)
    return targets.where(used & ~wrong, int(blank == 0 and classes > 1)), wrong.any(1)


def joint_ctc_attention(
    ctc_logits: Tensor,
    attention_logits: Tensor,
    targets: Tensor,
    frame_lengths: Tensor,
    label_lengths: Tensor,
    *,
    end: int,
    ctc_weight: float = 0.3,
    label_smoothing: float = 0.0,
    blank: int = 0,
    ignored: int | None = None,
    zero_infinity: bool = False,
    dim: int = -1,
    classes: int | None = None,
) -> Joint:
    """ctc_weight * CTC + (1 - ctc_weight) * cross-entropy of a decoder with attention, both per label.

    Source: Watanabe et al. 2017, "Hybrid CTC/attention architecture for end-to-end speech recognition".

    Args:
        ctc_logits: (B, T, V), or with dim=1 (B, V, 1, T).
        attention_logits: (B, U+1, V), or with dim=1 (B, V, 1, U+1): what the decoder says after the start symbol and
            after each label, so that position u predicts label u+1 and the last one `end`.
        targets: (B, U) integers, without start and end.
        end, label_smoothing, ignored: as of cross_entropy. zero_infinity: as of ctc_loss.
    """
    ctc = ctc_loss(
        ctc_logits, targets, frame_lengths, label_lengths, blank=blank, dim=dim, classes=classes,
        zero_infinity=zero_infinity,
    )  # fmt: skip
    attention = cross_entropy(
        attention_logits, targets, label_lengths, end=end, label_smoothing=label_smoothing, ignored=ignored, dim=dim,
        classes=classes,
    )  # fmt: skip
    return Joint(ctc_weight * ctc + (1 - ctc_weight) * attention, ctc, attention)


def cross_entropy(
    logits: Tensor,
    targets: Tensor,
    label_lengths: Tensor,
    *,
    end: int,
    label_smoothing: float = 0.0,
    ignored: int | None = None,
    dim: int = -1,
    classes: int | None = None,
) -> Tensor:
    """Cross-entropy of what a decoder says under teacher forcing, the mean over all labels of the batch and their ends.

    Args:
        logits: (B, U+1, V), or with dim=1 (B, V, 1, U+1): position u predicts label u+1, and `end` behind the
            last one.
        targets: (B, U) integers, padded with anything.
        label_lengths: (B,) integers.
        end: the class that ends a sentence.
        label_smoothing: the share of the target's probability that is spread over all classes.
        ignored: a class that costs nothing where it is the target.

    Raises ValueError for shapes that don't fit; and for targets that are no class, if they are on the CPU and the call
    is not being compiled. Elsewhere they make the loss infinite.
    """
    x = _classes_last(logits, dim, classes)
    if x.shape[1] != targets.shape[1] + 1:
        raise ValueError(
            f"cross_entropy: logits have {x.shape[1]} positions; beside targets of {tuple(targets.shape)} they must "
            f"have {targets.shape[1] + 1}, one for the end too"
        )
    if not 0 <= end < x.shape[-1]:
        raise ValueError(f"cross_entropy: end is {end}; it must be one of the {x.shape[-1]} classes")
    wrong = wrong_labels(targets, label_lengths, x.shape[-1])
    if readable(targets, label_lengths):
        check_lengths("cross_entropy", {"label_lengths": (label_lengths, 0, targets.shape[1])})
        check_labels("cross_entropy", targets, wrong, x.shape[-1])
    targets = targets.masked_fill(wrong, end)
    position = torch.arange(x.shape[1], device=x.device)
    lengths = label_lengths.to(x.device)[:, None]
    wanted = functional.pad(targets.to(x.device).long(), (0, 1))
    wanted = torch.where(position < lengths, wanted, torch.where(position == lengths, end, IGNORED))
    if ignored is not None:
        wanted = wanted.masked_fill(wanted == ignored, IGNORED)
    loss = functional.cross_entropy(x.to(_wide(x)).mT, wanted, ignore_index=IGNORED, label_smoothing=label_smoothing)
    return loss.masked_fill(wrong.any().to(loss.device), torch.inf)


def posterior_distillation(
    student: Tensor,
    teacher: Tensor,
    lengths: Tensor,
    *,
    temperature: float = 1.0,
    dim: int = -1,
    classes: int | None = None,
    reduction: str = "mean",
) -> Tensor:
    """KL(teacher || student) of each frame's posteriors, both softened by the temperature, times its square.

    The square keeps the gradient's size when the temperature changes: Hinton et al. 2015, "Distilling the knowledge in
    a neural network", section 2. The teacher gets no gradient.

    Args:
        student, teacher: logits (B, T, V), or with dim=1 (B, V, 1, T). Without `classes`, of the same V.
        lengths: (B,) integers, the valid frames.
        reduction: "mean" over all valid frames, "sum" over them, or "none" for each utterance's sum, (B,).
    """
    x, wanted = _classes_last(student, dim, classes), _classes_last(teacher.detach(), dim, classes)
    if x.shape != wanted.shape:
        raise ValueError(
            f"posterior_distillation: the teacher has {tuple(wanted.shape)} of (B, T, V) and the student "
            f"{tuple(x.shape)}; they must have the same, and `classes` cuts a padded vocabulary"
        )
    valid = _before(x.shape[1], lengths, x.device)
    x, wanted = (
        (each.to(_wide(each)).masked_fill(~valid[..., None], 0) / temperature).log_softmax(-1) for each in (x, wanted)
    )
    divergence = functional.kl_div(x, wanted, reduction="none", log_target=True).sum(-1) * temperature**2
    return _reduced(divergence, valid, reduction)


def ctc_consistency(
    logits: Tensor,
    frame_lengths: Tensor,
    label_lengths: Tensor | None = None,
    *,
    dim: int = -1,
    classes: int | None = None,
) -> Tensor:
    """How far the posteriors of two views of the same utterances are apart: half the sum of both Kullback-Leibler
    divergences over all frames, each towards the other view's posteriors without a gradient; the mean over utterances.

    Source: Yao et al. 2024, "CR-CTC: consistency regularization on CTC for improved speech recognition", section 3.2.

    Args:
        logits: (2 B, T, V), or with dim=1 (2 B, V, 1, T): B utterances, then the same under another augmentation.
        frame_lengths: (2 B,) integers; a pair counts the frames that both of its views have.
        label_lengths: (2 B,) integers: each utterance's sum is divided by its number of labels, as the mean of ctc_loss
            is; left out, it is not.

    Raises ValueError for a batch that has no halves.
    """
    x = _classes_last(logits, dim, classes)
    if len(x) % 2:
        raise ValueError(f"ctc_consistency: a batch of {len(x)} is no two views of the same utterances")
    frames = frame_lengths.to(x.device)
    valid = _before(x.shape[1], torch.minimum(frames, _other_half(frames)), x.device)
    found = x.to(_wide(x)).masked_fill(~valid[..., None], 0).log_softmax(-1)
    wanted = _other_half(found.detach())
    each = functional.kl_div(found, wanted, reduction="none", log_target=True).sum(-1).where(valid, 0).sum(1)
    if label_lengths is not None:
        each = each / label_lengths.to(x.device).clamp(min=1)
    return each.mean()


def _other_half(x: Tensor) -> Tensor:
    """The second half of a batch, then the first."""
    return x.roll(len(x) // 2, 0)


def lattice_distillation(
    student: Tensor,
    teacher: Tensor | Collapsed,
    targets: Tensor,
    frame_lengths: Tensor,
    label_lengths: Tensor,
    *,
    blank: int = 0,
    dim: int = -1,
    reduction: str = "mean",
    weights: Tensor | None = None,
) -> Tensor:
    """KL(teacher || student) over a transducer's lattice, each cell's classes taken as blank, next label and the rest.

    Three numbers a cell stand for the vocabulary, so no probabilities of whole vocabularies are ever stored, and
    teacher and student may pad it differently. The teacher gets no gradient.

    Source: Panchapagesan et al. 2020, "Efficient knowledge distillation for RNN-transducer models", section 3.

    Args:
        student: logits (B, T, U+1, V), or with dim=1 (B, V, U+1, T).
        teacher: logits in the same layout; or what `rnnt_loss.collapse` made of them, which is small enough to store.
        targets: (B, U) integers, padded with anything.
        frame_lengths, label_lengths: (B,) integers.
        reduction: "mean" over all valid cells, "sum" over them, or "none" for each utterance's sum, (B,).
        weights: (B, T, U+1), of each cell; with those that `rnnt_loss.passed` makes of the teacher's lattice the sum is
            the divergence along the teacher's alignments.
    """
    # After its last label an utterance has no next one: only blank and the rest, whatever pads its targets.
    has_label = _before(targets.shape[1], label_lengths, targets.device)
    targets = torch.where(has_label, targets, blank)
    cells = collapse(student, targets, blank=blank, dim=dim)
    wanted = teacher
    if isinstance(wanted, Tensor):
        wanted = collapse(wanted.detach(), targets, blank=blank, dim=dim)
    if wanted.blank.shape != cells.blank.shape:
        raise ValueError(
            f"lattice_distillation: the teacher's lattice is {tuple(wanted.blank.shape)} and the student's "
            f"{tuple(cells.blank.shape)}; both must be (B, T, U+1)"
        )
    _, frames, columns = cells.blank.shape
    device = cells.blank.device
    valid = _before(frames, frame_lengths, device)[..., None] & _before(columns, label_lengths + 1, device)[:, None]
    steps = valid[..., 1:] & _before(columns - 1, label_lengths, device)[:, None]
    divergence = _divergence(wanted.blank, cells.blank, valid) + _divergence(wanted.rest, cells.rest, valid)
    divergence = divergence + functional.pad(_divergence(wanted.label, cells.label, steps), (0, 1))
    if weights is not None:
        divergence = divergence * weights
    return _reduced(divergence, valid, reduction)


def _divergence(wanted: Tensor, found: Tensor, valid: Tensor) -> Tensor:
    """p log(p / q) of log p and log q where valid; 0 elsewhere and where p is 0."""
    counted = valid & (wanted.detach() > -torch.inf)
    wanted, found = wanted.detach().where(counted, 0), found.where(counted, 0)
    return wanted.exp() * (wanted - found)


def _classes_last(logits: Tensor, dim: int, classes: int | None) -> Tensor:
    """(B, T, V) without the padding of the vocabulary, of (B, T, V), or with dim 1 of (B, V, 1, T)."""
    if not (dim in (-1, 2) and logits.dim() == 3) and not (dim == 1 and logits.dim() == 4 and logits.shape[2] == 1):
        raise ValueError(
            f"logits of {tuple(logits.shape)} with dim {dim}: they must be (B, T, V) and -1, or (B, V, 1, T) and 1"
        )
    x = logits[:, :, 0].mT if dim == 1 else logits
    if classes is not None and classes > x.shape[-1]:
        raise ValueError(f"classes is {classes}; logits of {tuple(logits.shape)} have {x.shape[-1]}")
    return x[..., :classes]


def _before(count: int, lengths: Tensor, device: torch.device) -> Tensor:
    """(B, count): whether a position comes before its utterance's end."""
    return torch.arange(count, device=device) < lengths.to(device)[:, None]


def _reduced(each: Tensor, valid: Tensor, reduction: str) -> Tensor:
    _known(reduction)
    sums = each.where(valid, 0).flatten(1).sum(1)
    return sums if reduction == "none" else sums.sum() if reduction == "sum" else sums.sum() / valid.sum()


def _known(reduction: str) -> str:
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction is {reduction!r}; it must be one of {', '.join(REDUCTIONS)}")
    return reduction


def _wide(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _torch_version() -> tuple[int, ...]:
    return tuple(int(part) for part in torch.__version__.split(".")[:2])
