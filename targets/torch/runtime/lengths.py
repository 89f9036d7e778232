"""Batches of utterances of different lengths, padded at the end to the longest."""

from __future__ import annotations

import torch
from torch import Tensor


def valid_frames(x: Tensor, lengths: Tensor | None, *, multiple: int = 1) -> Tensor:
    """Which frames of x (B, ..., S) exist: (B, S) of 1.0 and 0.0. All of them where `lengths` (B,) is None.

    A model that strides needs whole strides: an utterance counts as one of the next multiple of `multiple` frames.
    """
    frames = torch.arange(x.shape[-1], device=x.device)
    if lengths is None:
        return torch.ones(x.shape[0], x.shape[-1], device=x.device)
    whole = -(-lengths.to(x.device) // multiple) * multiple
    return (frames < whole[:, None]).float()
