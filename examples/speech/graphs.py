"""The encoder's passes as CUDA graphs, a pair a shape: a small model's kernels end sooner than a host starts them.

Source: torch.cuda.make_graphed_callables, whose rules are kept: static shapes, no wait for the device inside.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.func import functional_call


class Graphed:
    """Stands in for the `forward` of an encoder in training, under autocast of the type that `dtype` tells, if that is
    not fp32. A shape that comes for the first time is captured."""

    def __init__(self, encoder: nn.Module, dtype: Callable[[], torch.dtype]) -> None:
        forward: Callable[..., Tensor] = encoder.forward
        self._encoder, self._forward, self._dtype = encoder, forward, dtype
        self._made: dict[torch.Size, Callable[..., Any]] = {}
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, mel: Tensor, lengths: Tensor | None = None) -> Tensor:
        if lengths is None or not (self._encoder.training and torch.is_grad_enabled()):
            return self._forward(mel, lengths=lengths)
        if mel.shape not in self._made:
            self._made[mel.shape] = self._captured(mel, lengths)
        encoded: Tensor = self._made[mel.shape](mel, lengths)
        return encoded

    def forget(self) -> None:
        """Behind a change of what is computed, such as quantisation that begins."""
        self._made.clear()

    def _captured(self, mel: Tensor, lengths: Tensor) -> Callable[..., Any]:
        """The passes over tensors in the parameters' memory: what gathers the gradients of the parameters themselves,
        as replicas do, stays outside."""
        module = _Pass(self._encoder, self._forward, self._dtype())
        parameters = dict(module.named_parameters())
        leaves = [each.detach().requires_grad_(each.requires_grad) for each in parameters.values()]

        def encode(mel: Tensor, lengths: Tensor, *values: Tensor) -> Tensor:
            encoded: Tensor = functional_call(module, dict(zip(parameters, values)), (mel, lengths))
            return encoded

        # make_graphed_callables takes no mode, and its own forbids other threads, such as NCCL's watchdog, to ask for
        # events. Autocast's cache would keep what belongs to another graph.
        mode = partial(torch.cuda.graph, capture_error_mode="thread_local")
        samples = (mel.detach().clone(), lengths.clone(), *leaves)
        with patch.object(torch.cuda, "graph", mode), torch.autocast("cuda", enabled=False):
            made = torch.cuda.make_graphed_callables(encode, samples, allow_unused_input=True, pool=self._pool)
        return lambda mel, lengths: made(mel, lengths, *parameters.values())


class _Pass(nn.Module):
    """A forward pass of an encoder under autocast without its cache."""

    def __init__(self, encoder: nn.Module, forward: Callable[..., Tensor], dtype: torch.dtype) -> None:
        super().__init__()
        self.encoder, self._encode, self._dtype = encoder, forward, dtype

    def forward(self, mel: Tensor, lengths: Tensor) -> Tensor:
        with torch.autocast("cuda", self._dtype, enabled=self._dtype != torch.float32, cache_enabled=False):
            return self._encode(mel, lengths=lengths)
