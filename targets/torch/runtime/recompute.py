"""Layers that are computed again in the backward pass, without a second effect on statistics."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

_here = threading.local()  # the backward pass of a GPU runs in a thread of its own


def is_again() -> bool:
    """Whether what runs now was run before: statistics have counted it."""
    return getattr(_here, "again", False)


def recomputed(layer: nn.Module, *arguments: Any) -> Any:
    """layer(*arguments), which keeps nothing of what is inside for the backward pass."""
    if torch.compiler.is_compiling():  # a graph changes statistics once
        return checkpoint(layer, *arguments, use_reentrant=False)
    return checkpoint(layer, *arguments, use_reentrant=False, context_fn=_contexts)


def _contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    return nullcontext(), _again()


@contextmanager
def _again() -> Iterator[None]:
    before, _here.again = is_again(), True
    try:
        yield
    finally:
        _here.again = before
