"""What a trained model, the teacher, says of the speech beside its texts; the student's loss counts how far it is from
that.

The teacher hears the speech without augmentation, at the student's speed. Both have the same tokens; frame rates may
differ by a whole factor, and widths as they like.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from .config import ConfigError, Distill, Model
from .emitted import Emitted, check_classes, is_ctc, is_transducer

BLANK = 0
JOINER, ENCODER = "joiner", "encoder"
ENOUGH = 1 << 16  # frames, for the ratio of rates
SURE = -1e-6  # log p of a blank that is never more likely, so that what is left has a logarithm


class Lattice(NamedTuple):
    """log p of the outcomes of each cell, as the emitted loss collapses them: the blank (B, T, U+1), the next label
    (B, T, U), all others together (B, T, U+1)."""

    blank: Tensor
    label: Tensor
    rest: Tensor


class Said(NamedTuple):
    """A teacher's outputs for a batch, at the student's frames; of each what the settings ask for."""

    lattice: Lattice | None
    ctc: Tensor | None  # log p (B, T, classes)
    encoded: Tensor | None  # (B, channels, 1, T)
    layers: tuple[Tensor, ...]  # (B, channels, 1, T)


class Outputs:
    """What modules of a model returned in the last pass, by their names. Raises ConfigError for a name of none."""

    def __init__(self, model: nn.Module, names: Iterable[str]) -> None:
        self._last: dict[str, Tensor] = {}
        modules = dict(model.named_modules())
        for name in dict.fromkeys(names):
            if name not in modules:
                raise ConfigError(f"distill: {type(model).__name__} has no module {name!r}")
            modules[name].register_forward_hook(partial(self._keep, name))

    def _keep(self, name: str, _: nn.Module, __: Any, output: Any) -> None:
        self._last[name] = output[0] if isinstance(output, tuple) else output

    def take(self, name: str) -> Tensor:
        return self._last[name]

    def forget(self) -> None:
        self._last.clear()


class Distillation:
    """A teacher, and a student whose modules are watched."""

    def __init__(self, settings: Distill, student: Any, classes: int, device: torch.device) -> None:
        self.settings = settings
        emitted = Emitted(Model(settings.teacher, settings.weights), ("distill.teacher", "distill.weights"))
        self._losses, self._lattices = emitted.part("losses"), emitted.part("rnnt_loss")
        self.teacher: Any = emitted.model().eval()
        check_classes(self.teacher, classes, "distill.teacher")  # on the CPU, as it makes its inputs there
        self.teacher.requires_grad_(False).to(device)
        self.classes, self._per_label = classes, not is_transducer(student)
        self._encoder: Any = student.encoder
        self._stride = ENOUGH // int(self._encoder.output_lengths(torch.tensor(ENOUGH)))
        self._pairs = [_pair(each) for each in settings.layers]
        self._ctc = [_ctc_head(each) if settings.ctc else "" for each in (student, self.teacher)]
        self.outputs, self._teachers = (
            Outputs(model, self._watched(at, model)) for at, model in enumerate((student, self.teacher))
        )
        self.ratio = _frames_per_frame(student, self.teacher)
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}

    def _watched(self, at: int, model: nn.Module) -> list[str]:
        """Names of modules of the student (0) or the teacher (1)."""
        if self.settings.lattice and not is_transducer(model):
            raise ConfigError(
                "distill.lattice is for transducers, student and teacher; distill.lattice=0 leaves it out"
            )
        names = [*([JOINER] if self.settings.lattice else []), *([ENCODER] if self.settings.encoder else [])]
        return [*names, *filter(None, [self._ctc[at]]), *(pair[at] for pair in self._pairs)]

    @torch.no_grad()
    def says(self, mel: Tensor, frames: Tensor, labels: Tensor, counts: Tensor, utterances: list[int]) -> Said:
        """What the teacher gives for features (B, T, bins) and labels (B, U). With `distill.cache` it is asked once for
        each of the utterances, whose numbers these are."""
        columns = torch.arange(labels.shape[1], device=labels.device)
        labels = torch.where(columns < counts[:, None], labels, BLANK)
        length = -(-mel.shape[1] // self._stride)
        if self.settings.cache and all(each in self._kept for each in utterances):
            return Said(self._remembered(utterances, (length, labels.shape[1]), mel.device), None, None, ())
        self.teacher(mel, frames, labels, counts)
        outputs, theirs = self._teachers, self.teacher.encoder.output_lengths(frames)
        lattice = ctc = encoded = None
        if self.settings.lattice:
            cells = self._lattices.collapse(outputs.take(JOINER), labels, blank=BLANK, dim=1)
            lattice = at_rate(Lattice(*cells), theirs, self.ratio, length)
        if self.settings.ctc:
            posteriors = outputs.take(self._ctc[1])[:, : self.classes, 0].float().log_softmax(1)
            ctc = mean_at_rate(posteriors.exp(), self.ratio, length).clamp(min=1e-30).log().mT
        if self.settings.encoder:
            encoded = mean_at_rate(outputs.take(ENCODER), self.ratio, length)
        layers = tuple(mean_at_rate(outputs.take(pair[1]), self.ratio, length) for pair in self._pairs)
        outputs.forget()
        if self.settings.cache and lattice:
            self._remember(utterances, lattice, self._encoder.output_lengths(frames).tolist(), counts.tolist())
        return Said(lattice, ctc, encoded, layers)

    def loss(self, said: Said, frames: Tensor, labels: Tensor, counts: Tensor) -> Tensor:
        """The divergence from the teacher for what the student's last pass gave, a mean over utterances (a label's
        where the student's own loss is one). Where the student heard several views, the teacher's one stands beside
        each of them."""
        settings, frames = self.settings, self._encoder.output_lengths(frames)
        first = next(each for each in (said.ctc, said.encoded, *(said.lattice or ()), *said.layers) if each is not None)
        views = len(frames) // len(first)
        lattice, ctc, encoded, layers = tree_map(partial(_repeated, views), said)
        total = torch.zeros(len(frames), device=frames.device)
        if lattice is not None:
            found = self.outputs.take(JOINER)
            cells = self._lattices.passed(lattice, frames, counts, sharpness=settings.sharpness)
            total = total + settings.lattice * self._losses.lattice_distillation(
                found, lattice, labels, frames, counts, blank=BLANK, dim=1, reduction="none", weights=cells
            )
        if ctc is not None:
            found = self.outputs.take(self._ctc[0])[:, :, 0].mT
            total = total + settings.ctc * self._losses.posterior_distillation(
                found, ctc, frames, classes=self.classes, reduction="none"
            )
        if self._per_label:
            total = total / counts.clamp(min=1)
        mean = total.mean()
        if encoded is not None:
            mean = mean + settings.encoder * self._distance(encoded, frames)
        for (name, _), wanted in zip(self._pairs, layers, strict=True):
            mean = mean + settings.layer * unlikeness(self.outputs.take(name), wanted, frames)
        self.outputs.forget()
        return mean

    def _distance(self, wanted: Tensor, frames: Tensor) -> Tensor:
        found = self.outputs.take(ENCODER)
        if found.shape[1] != wanted.shape[1]:
            widths = f"the student's gives {found.shape[1]} channels, the teacher's {wanted.shape[1]}"
            raise ConfigError(f"distill.encoder is for encoders of one width: {widths}; distill.layers bridges widths")
        return distance(found, wanted, frames)

    def _remember(self, utterances: list[int], lattice: Lattice, frames: list[int], counts: list[int]) -> None:
        blank, label = lattice.blank.half().cpu(), lattice.label.half().cpu()
        for at, (utterance, length, count) in enumerate(zip(utterances, frames, counts, strict=True)):
            self._kept[utterance] = (blank[at, :length, : count + 1].clone(), label[at, :length, :count].clone())

    def _remembered(self, utterances: list[int], shape: tuple[int, int], device: torch.device) -> Lattice:
        blank = torch.zeros(len(utterances), shape[0], shape[1] + 1)
        label = torch.full((len(utterances), *shape), -torch.inf)
        for at, (kept_blank, kept_label) in enumerate(self._kept[each] for each in utterances):
            blank[at, : kept_blank.shape[0], : kept_blank.shape[1]] = kept_blank
            label[at, : kept_label.shape[0], : kept_label.shape[1]] = kept_label
        blank, label = blank.to(device), label.to(device)
        both = blank.exp() + nn.functional.pad(label.exp(), (0, 1))
        return Lattice(blank, label, (1 - both).clamp(min=0).log())


def at_rate(cells: Lattice, lengths: Tensor, ratio: Fraction, length: int) -> Lattice:
    """A lattice with `ratio` frames for each of the student's, as one of the student's `length` frames.

    The step of a longer frame is the first of its frames' steps that is no blank. A shorter frame is one of several
    that together have the blank that the longer one has.
    """
    if ratio == 1:
        return cells
    beyond = (torch.arange(cells.blank.shape[1], device=lengths.device) >= lengths[:, None])[..., None]
    blank, label, rest = (each.masked_fill(beyond, 0.0 if each is cells.blank else -torch.inf) for each in cells)
    if ratio > 1:
        blank, label, rest = (
            _in_groups(each, int(ratio), length, fill)
            for each, fill in ((blank, 0.0), (label, -torch.inf), (rest, -torch.inf))
        )
        after = blank.cumsum(2)
        before = after - blank
        return Lattice(after[:, :, -1], (before[..., :-1] + label).logsumexp(2), (before + rest).logsumexp(2))
    parts = ratio.denominator
    blank = blank.clamp(max=SURE)
    share = torch.log(-torch.expm1(blank / parts)) - torch.log(-torch.expm1(blank))
    split = (blank / parts, share[..., :-1] + label, share + rest)
    return Lattice(*(each.repeat_interleave(parts, 1)[:, :length] for each in split))


def mean_at_rate(x: Tensor, ratio: Fraction, length: int) -> Tensor:
    """x (B, ..., T) with `ratio` frames for each of the student's, at the student's `length` frames: means, or the same
    frame several times."""
    if ratio == 1:
        return x
    if ratio < 1:
        return x.repeat_interleave(ratio.denominator, -1)[..., :length]
    count = int(ratio)
    x = nn.functional.pad(x, (0, max(0, length * count - x.shape[-1])))[..., : length * count]
    return x.reshape(*x.shape[:-1], length, count).mean(-1)


def distance(student: Tensor, teacher: Tensor, lengths: Tensor) -> Tensor:
    """Power of the difference of two results in parts of the teacher's, over valid frames.

    Args: outputs (B, channels, 1, T) of as many frames, and how many of them are valid (B,).
    """
    valid = (torch.arange(student.shape[-1], device=lengths.device) < lengths[:, None])[:, None, None]
    apart, power = (each.float().mul(valid).square().sum() for each in (student - teacher, teacher))
    return apart / power.clamp(min=1e-12)


def unlikeness(student: Tensor, teacher: Tensor, lengths: Tensor) -> Tensor:
    """1 minus the linear centred kernel alignment of two layers' frames: 0 where one is the other, turned and scaled.
    It compares widths that differ and needs no weights of its own.

    Source: Kornblith et al. 2019, "Similarity of neural network representations revisited" (arXiv 1905.00414).

    Args: outputs (B, channels, 1, T) of as many frames, and how many of them are valid (B,).
    """
    valid = (torch.arange(student.shape[-1], device=lengths.device) < lengths[:, None])[..., None]
    rows = []
    for each in (student, teacher):
        x = each.flatten(1, 2).mT.float()
        mean = (x * valid).sum((0, 1)) / valid.sum()
        rows.append(((x - mean) * valid).flatten(0, 1))
    one, other = rows
    both, each_one, each_other = (a.T @ b for a, b in ((one, other), (one, one), (other, other)))
    alike: Tensor = both.square().sum() / (each_one.norm() * each_other.norm()).clamp(min=1e-12)
    return 1 - alike


def _in_groups(x: Tensor, count: int, length: int, fill: float) -> Tensor:
    """(B, length, count, columns) of x (B, T, columns), filled up behind its end."""
    x = nn.functional.pad(x, (0, 0, 0, max(0, length * count - x.shape[1])), value=fill)
    return x[:, : length * count].reshape(len(x), length, count, x.shape[2])


def _frames_per_frame(student: Any, teacher: Any) -> Fraction:
    """How many of the teacher's encoded frames a frame of the student's takes. Raises ConfigError for no whole factor
    either way."""
    ours, theirs = (int(each.encoder.output_lengths(torch.tensor(ENOUGH))) for each in (student, teacher))
    ratio = Fraction(theirs, ours).limit_denominator(64)
    if 1 not in (ratio.numerator, ratio.denominator):
        raise ConfigError(
            f"distill.teacher has {ratio} frames for one of the student's: neither is a multiple of the other"
        )
    return ratio


def _ctc_head(model: nn.Module) -> str:
    """The module whose outputs are CTC's. Raises ConfigError for a model without."""
    if hasattr(model, "auxiliary_ctc"):
        return "auxiliary_ctc"
    if is_ctc(model):
        return "encoder"
    raise ConfigError(f"distill.ctc: {type(model).__name__} has no CTC, neither of its own nor in training alone")


def _pair(text: str) -> tuple[str, str]:
    student, equals, teacher = (each.strip() for each in text.partition("="))
    if not (student and equals and teacher):
        raise ConfigError(f"distill.layers: {text!r} is no 'student.module = teacher.module'")
    return student, teacher


def _repeated(views: int, x: Any) -> Any:
    return torch.cat([x] * views) if isinstance(x, Tensor) and views > 1 else x
