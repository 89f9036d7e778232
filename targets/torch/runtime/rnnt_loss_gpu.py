"""Launches rnnt_loss.metal, on MPS and, through metal.py, on CUDA. Nothing here waits for the device."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from .metal import Library, load

SOURCE = Path(__file__).with_name("rnnt_loss.metal").read_text(encoding="ascii")
ELEMENTS = {torch.float32: "float", torch.float16: "half", torch.bfloat16: "bfloat"}
WIDTH = 1024  # the most columns of the lattice that a threadgroup walks at once: WIDTH of rnnt_loss.metal
SIMD, SIMDS = 32, 8  # the threadgroups that collapse the vocabulary, as in rnnt_loss.metal


def forward(blank: Tensor, label: Tensor, frame_lengths: Tensor, label_lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The loss (B,), NaN where a length is out of bounds, and alpha (B, T, U+1), -inf outside the lengths."""
    batch, frames, columns = blank.shape
    loss, alphas = blank.new_empty(batch), torch.full_like(blank, -torch.inf)
    width = _width(columns)
    _library(torch.float32, True, blank.device).rnnt_alphas(
        blank,
        _bound(label),
        frame_lengths,
        label_lengths,
        alphas,
        loss,
        frames,
        columns,
        threads=(batch * width, 1, 1),
        group_size=(width, 1, 1),
    )
    return loss, alphas


def backward(
    dloss: Tensor,
    blank: Tensor,
    label: Tensor,
    frame_lengths: Tensor,
    label_lengths: Tensor,
    alphas: Tensor,
    loss: Tensor,
) -> tuple[Tensor, Tensor]:
    """The gradients (B, T, U+1) and (B, T, U) with respect to blank and label, zero outside the lengths."""
    batch, frames, columns = blank.shape
    dblank, dlabel = torch.zeros_like(blank), torch.zeros_like(label)
    width = _width(columns)
    _library(torch.float32, True, blank.device).rnnt_gradients(
        dloss,
        blank,
        _bound(label),
        frame_lengths,
        label_lengths,
        alphas,
        loss,
        blank.new_empty(batch, 2, frames),  # what one strip of columns hands the next
        dblank,
        _bound(dlabel),
        frames,
        columns,
        threads=(batch * width, 1, 1),
        group_size=(width, 1, 1),
    )
    return dblank, dlabel


def collapse(logits: Tensor, targets: Tensor, blank: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """log p of blank, label and rest, and the logsumexp of the logits, each (B, T, U+1) or, of the label, (B, T, U)."""
    cells = logits.shape[:3]
    blanks, rest, total = (logits.new_empty(cells, dtype=torch.float32) for _ in range(3))
    labels = blanks.new_empty(*cells[:2], cells[2] - 1)
    library = _library(logits.dtype, logits.stride(3) == 1, logits.device)
    library.rnnt_collapse(
        logits,
        _bound(targets),
        blanks,
        _bound(labels),
        rest,
        total,
        *cells[1:],
        logits.shape[3],
        blank,
        logits.stride(),
        **_cells(logits),
    )
    return blanks, labels, rest, total


def collapse_backward(
    dblank: Tensor,
    dlabel: Tensor,
    drest: Tensor,
    logits: Tensor,
    targets: Tensor,
    rest: Tensor,
    total: Tensor,
    blank: int,
) -> Tensor:
    """The gradient with respect to the logits, in their type."""
    dlogits = torch.empty_like(logits)
    if dlogits.stride() != logits.stride():  # a view with gaps
        logits = torch.empty_like(logits).copy_(logits)
    library = _library(logits.dtype, logits.stride(3) == 1, logits.device)
    library.rnnt_collapse_gradient(
        dblank,
        _bound(dlabel),
        drest,
        logits,
        _bound(targets),
        rest,
        total,
        dlogits,
        *logits.shape[1:],
        blank,
        logits.stride(),
        **_cells(logits),
    )
    return dlogits


def _library(element: torch.dtype, vocabulary_innermost: bool, device: torch.device) -> Library:
    defines: dict[str, int | str] = {"ELEMENT": ELEMENTS[element], "VOCABULARY_INNERMOST": int(vocabulary_innermost)}
    return load(device, SOURCE, defines)


def _width(columns: int) -> int:
    return min(WIDTH, -(-columns // SIMD) * SIMD)


def _cells(logits: Tensor) -> dict[str, tuple[int, int, int]]:
    """A threadgroup for so many frames of a column: a SIMD group a cell, or a lane a cell."""
    batch, frames, columns, _ = logits.shape
    groups = -(-frames // (SIMDS if logits.stride(3) == 1 else SIMD))
    return {"threads": (groups * SIMD * SIMDS, columns, batch), "group_size": (SIMD * SIMDS, 1, 1)}


def _bound(tensor: Tensor) -> Tensor:
    """A kernel needs memory behind each argument, even one of a batch without labels, which it won't touch."""
    return tensor if tensor.numel() else tensor.new_empty(1)
