"""Batches of utterances of different lengths, padded at the end to the longest."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


def valid_frames(x: Tensor, lengths: Tensor | None, *, multiple: int = 1, up: int = 1, down: int = 1) -> Tensor:
    """Which frames of x (B, ..., S) exist: (B, S) of 1.0 and 0.0. All of them where `lengths` (B,) is None.

    A model that strides needs whole strides: an utterance counts as one of the next multiple of `multiple` frames.
    x has `up` frames for every `down` that `lengths` count.
    """
    frames = torch.arange(x.shape[-1], device=x.device)
    if lengths is None:
        return torch.ones(x.shape[0], x.shape[-1], device=x.device)
    whole = -(-lengths.to(x.device) // multiple) * multiple
    return (down * frames < up * whole[:, None]).float()


def begun_by(valid: Tensor, frames: int) -> Tensor:
    """`valid` (B, S) with frames in front that every utterance has, as prompts are; for -n without the first n."""
    return F.pad(valid, (frames, 0), value=1.0)


def whole_strides(x: Tensor, multiple: int, *, value: float = 0.0) -> Tensor:
    """x (B, ..., S) with `value` behind it up to the next multiple of `multiple` frames, and one multiple at least.

    So a frame behind the end is computed from silence, never left out: an utterance alone, in a padded batch and in the
    last chunk of a stream is the same.
    """
    frames = x.shape[-1]
    missing = -frames % multiple if frames else multiple
    if missing or torch.compiler.is_compiling():  # which would specialise to a number of frames
        x = F.pad(x, (0, missing), value=value)
    return x


def each_stream(valid: Tensor, x: Tensor, like: Tensor) -> Tensor:
    """Which frames of a chunk exist, (S,) for all streams of x (B, ...) or (B, S), as (B, 1, 1, S) of like's type."""
    rows = valid.reshape(-1, valid.shape[-1])
    return rows.expand(x.shape[0], -1)[:, None, None].to(like)
