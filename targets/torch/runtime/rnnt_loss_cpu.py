"""Runs rnnt_loss.cpp: utterances and frames over threads, the vocabulary in vectors, the recursion in fp64."""

from __future__ import annotations

import ctypes
from pathlib import Path

import torch
from torch import Tensor

from .native import load

SOURCE = Path(__file__).with_name("rnnt_loss.cpp")
ELEMENTS = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}


def available() -> bool:
    """Whether the source could be compiled; it is at the first call."""
    return load(SOURCE) is not None


def forward(blank: Tensor, label: Tensor, frame_lengths: Tensor, label_lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The loss (B,) and alpha (B, T, U+1), which is fp64 and -inf outside the lengths."""
    loss = blank.new_empty(len(blank))
    alphas = torch.full_like(blank, -torch.inf, dtype=torch.float64)
    _call("rnnt_alphas", blank, label, frame_lengths, label_lengths, *blank.shape, alphas, loss)
    return loss, alphas


def backward(
    dloss: Tensor, blank: Tensor, label: Tensor, frame_lengths: Tensor, label_lengths: Tensor, alphas: Tensor, _: Tensor
) -> tuple[Tensor, Tensor]:
    """The gradients (B, T, U+1) and (B, T, U) with respect to blank and label, zero outside the lengths."""
    dblank, dlabel = torch.zeros_like(blank), torch.zeros_like(label)
    _call("rnnt_gradients", dloss, blank, label, frame_lengths, label_lengths, alphas, *blank.shape, dblank, dlabel)
    return dblank, dlabel


def collapse(logits: Tensor, targets: Tensor, blank: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """log p of blank, label and rest, and the logsumexp of the logits, each (B, T, U+1) or, of the label, (B, T, U)."""
    logits = _vectors(logits)
    cells = logits.shape[:3]
    outputs = [logits.new_empty(cells, dtype=torch.float32) for _ in range(4)]
    outputs[1] = outputs[1].new_empty(*cells[:2], cells[2] - 1)
    sizes = [*logits.shape, blank, *logits.stride()]
    _call("rnnt_collapse", logits, targets, sizes, ELEMENTS[logits.dtype], *outputs)
    return outputs[0], outputs[1], outputs[2], outputs[3]


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
    logits = _vectors(logits)
    dlogits = torch.empty_like(logits)
    if dlogits.stride() != logits.stride():  # a view with gaps
        logits = torch.empty_like(logits).copy_(logits)
    sizes = [*logits.shape, blank, *logits.stride()]
    element = ELEMENTS[logits.dtype]
    _call("rnnt_collapse_gradient", dblank, dlabel, drest, logits, targets, sizes, element, rest, total, dlogits)
    return dlogits


def _vectors(logits: Tensor) -> Tensor:
    """(B, T, U+1, V) with the classes or the frames side by side."""
    return logits if logits.stride(3) == 1 or logits.stride(1) == 1 else logits.contiguous()


def _call(function: str, *arguments: Tensor | int | list[int]) -> None:
    library = load(SOURCE)
    assert library is not None
    converted: list[object] = []
    for argument in arguments:
        if isinstance(argument, Tensor):
            converted.append(ctypes.c_void_p(argument.data_ptr()))
        elif isinstance(argument, int):
            converted.append(ctypes.c_int64(argument))
        else:
            converted.append((ctypes.c_int64 * len(argument))(*argument))
    getattr(library, function)(*converted, ctypes.c_int64(torch.get_num_threads()))
