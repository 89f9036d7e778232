"""What a training step is measured on: noise in the place of speech, labels drawn at random."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import torch
from torch import Tensor

FRAMES_A_SECOND = 100
MELS = 80


@dataclass(frozen=True)
class Size:
    """A batch on each GPU: so many utterances of so many seconds, of at most so many labels out of `classes`.

    `classes` leaves out the blank; mct_small has 500.
    """

    utterances: int = 16
    seconds: float = 15.0
    labels: int = 60
    classes: int = 500

    @property
    def frames(self) -> int:
        return int(self.seconds * FRAMES_A_SECOND)


@dataclass(frozen=True)
class Batch:
    """mel: (B, T, 80), lengths: (B,) frames, targets: (B, U) from 1 on, target_lengths: (B,)."""

    mel: Tensor
    lengths: Tensor
    targets: Tensor
    target_lengths: Tensor

    def arguments(self) -> tuple[Tensor, ...]:
        """As a model's `forward` takes them."""
        return astuple(self)


def draw(size: Size, device: torch.device, seed: int) -> Batch:
    """Every utterance as long as the batch, as buckets by length make them, with the most labels or up to 10 less."""
    generator = torch.Generator().manual_seed(seed)
    count = (size.utterances,)
    fewest = max(1, size.labels - 10)
    target_lengths = torch.randint(fewest, size.labels + 1, count, generator=generator)
    target_lengths[0] = size.labels
    batch = Batch(
        torch.randn(*count, size.frames, MELS, generator=generator),
        torch.full(count, size.frames),
        torch.randint(1, size.classes + 1, (*count, size.labels), generator=generator),
        target_lengths,
    )
    return Batch(*(each.to(device) for each in batch.arguments()))
