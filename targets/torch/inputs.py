"""What the weights of a module are multiplied with: seen at the functions of torch that it calls, whatever calls them.

A weight is told by the memory that it lies in, so views of it (a matrix as a 1x1 kernel) count as it. A weight that is
computed of others has no name and is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812
from torch.overrides import TorchFunctionMode

from mctc.ir.op import Array

Seen = Iterator[tuple[Tensor, Tensor]]  # a weight, and the rows [positions, entries of one of its rows]
Reader = Callable[[tuple[Any, ...], Any], Seen]
"""Reads the weights and their inputs from the arguments, in the function's own order, and the result of a call."""


class Inputs(TorchFunctionMode):
    """While it is active, `take(name, rows)` is given the inputs of each weight: rows [positions, n] of float32, where
    n is the number of entries in a row of the weight."""

    def __init__(self, parameters: Mapping[str, Tensor], take: Callable[[str, Array], None]) -> None:
        super().__init__()
        self._names = {tensor.untyped_storage().data_ptr(): name for name, tensor in parameters.items()}
        self._take = take

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        reader = READERS.get(func) or READERS.get(str(func))
        if reader is not None:
            with torch.no_grad():  # torch takes the mode away while this runs
                for weight, rows in reader(_in_order(func, args, kwargs or {}), result):
                    name = self._names.get(weight.untyped_storage().data_ptr())
                    if name is not None:
                        self._take(name, rows.float().contiguous().numpy())
        return result


ORDERS: Mapping[Any, Mapping[str, Any]] = {
    torch.conv2d: {"input": None, "weight": None, "bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1},
    F.linear: {"input": None, "weight": None, "bias": None},
}
"""The arguments of functions that are called by name too, and what they are where nobody gives them."""


def _in_order(function: Any, args: tuple[Any, ...], named: Mapping[str, Any]) -> tuple[Any, ...]:
    """All arguments of a call by their places."""
    order = ORDERS.get(function, {})
    return (*args, *(named.get(name, usual) for name, usual in list(order.items())[len(args) :]))


def _convolution(args: tuple[Any, ...], _: Any) -> Seen:
    """conv2d of one group; a kernel's row is [channels, height, width]. Depthwise kernels have no rows to speak of."""
    x, weight, _, stride, padding, dilation, groups = args
    if groups == 1:
        patches = F.unfold(x, tuple(weight.shape[2:]), dilation, padding, stride)
        yield weight, patches.transpose(1, 2).flatten(0, 1)


def _linear(args: tuple[Any, ...], _: Any) -> Seen:
    x, weight = args[:2]
    yield weight, x.reshape(-1, x.shape[-1])


def _fused_recurrence(args: tuple[Any, ...], result: Any) -> Seen:
    """torch.lstm and torch.gru of one layer: x (S, B, I), states (1, B, H), y (S, B, H)."""
    x, states, (weight_ih, weight_hh, *_) = args[:3]
    first = states[0] if isinstance(states, (list, tuple)) else states
    yield weight_ih, x.flatten(0, 1)
    yield weight_hh, torch.cat([first, result[0][:-1]]).flatten(0, 1)


def _recurrence(args: tuple[Any, ...], result: Any) -> Seen:
    """mctc::lstm_recurrence and gru_recurrence: the states h (S, B, H) of all frames, or the first of two."""
    weight, h = args[1], result[0] if isinstance(result, (list, tuple)) else result
    start = next(each for each in args[2:] if isinstance(each, Tensor) and each.shape == h.shape[1:])
    yield weight, torch.cat([start[None], h[:-1]]).flatten(0, 1)


READERS: Mapping[Any, Reader] = {
    torch.conv2d: _convolution,
    F.linear: _linear,
    torch.lstm: _fused_recurrence,
    torch.gru: _fused_recurrence,
    "mctc.lstm_recurrence": _recurrence,
    "mctc.gru_recurrence": _recurrence,
}
