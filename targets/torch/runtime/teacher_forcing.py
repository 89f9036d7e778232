"""Teacher forcing: what a decoder reads before it says each label, alone or behind the frames that it hears.

Labels are (B, U) integers, utterance by utterance padded with anything. A decoder says one label more than there are:
what ends the utterance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


def begun(targets: Tensor, label_lengths: Tensor, begin: Sequence[int], *, classes: int | None = None) -> Tensor:
    """The classes `begin` and then the labels: (B, b + U). Padding becomes the last of `begin`.

    So does a label that is none of `classes`, which no table has a row for: the loss says so.
    """
    head = targets.new_tensor(tuple(begin)).expand(targets.shape[0], -1)
    own = torch.arange(targets.shape[1], device=targets.device) < label_lengths.to(targets.device)[:, None]
    if classes is not None:
        own = own & (targets >= 0) & (targets < classes)
    return torch.cat([head, targets.where(own, begin[-1])], 1)


class FramesThenLabels(NamedTuple):
    """Sequences of length S of a decoder that reads frames among its labels.

    tokens (B, S): what stands at each place, 0 where a frame does. is_token (B, S): 1.0 there, 0.0 at a frame. frame
    (B, S): which frame of its utterance stands there. first (B,): the place whose result is the first label.
    """

    tokens: Tensor
    is_token: Tensor
    frame: Tensor
    first: Tensor

    def frames(self, memory: Tensor) -> Tensor:
        """The frames of memory (B, C, 1, N) at their places, (B, C, 1, S); zeros where a token stands."""
        place = self.frame[:, None, None].expand(-1, memory.shape[1], -1, -1)
        return memory.gather(3, place) * (1 - self.is_token)[:, None, None].to(memory.dtype)

    def rows(self, memory: Tensor, table: Tensor) -> Tensor:
        """The same, with the rows of table (V, C), or of the kernel (V, C, 1, 1), where tokens stand."""
        rows = torch.nn.functional.embedding(self.tokens, table.flatten(1)) * self.is_token[..., None].to(table.dtype)
        return self.frames(memory) + rows.transpose(1, 2)[:, :, None]

    def labels(self, decoded: Tensor, count: int) -> Tensor:
        """What is said behind `count` - 1 labels and before each of them: (B, V, 1, count) of (B, V, 1, S)."""
        place = self.first[:, None] + torch.arange(count, device=decoded.device)
        return decoded.gather(3, place[:, None, None].expand(-1, decoded.shape[1], -1, -1))


def frames_then_labels(
    targets: Tensor,
    label_lengths: Tensor,
    frame_lengths: Tensor,
    memory: Tensor,
    *,
    begin: Sequence[int],
    prompt: Sequence[int] = (),
    classes: int | None = None,
) -> FramesThenLabels:
    """Of every utterance: the classes `prompt`, its own frames of memory (B, C, 1, N), `begin`, its labels (B, U).

    Each begins right behind what is before it, whatever the others of the batch have; S = p + N + b + U.
    """
    device, frames = memory.device, frame_lengths.to(memory.device)[:, None]
    read = begun(targets.to(device), label_lengths, begin, classes=classes)
    place = torch.arange(len(prompt) + memory.shape[3] + read.shape[1], device=device)[None]
    behind = place - len(prompt) - frames
    is_frame = (place >= len(prompt)) & (behind < 0)
    tokens = read.gather(1, behind.clamp(0, read.shape[1] - 1))
    if prompt:
        head = read.new_tensor(tuple(prompt))
        tokens = head[place.clamp(max=len(prompt) - 1)].where(place < len(prompt), tokens)
    frame = (place - len(prompt)).clamp(0, memory.shape[3] - 1).expand_as(tokens)
    first = len(prompt) + frames[:, 0] + len(begin) - 1
    return FramesThenLabels(tokens.where(~is_frame, 0), (~is_frame).float(), frame, first)
