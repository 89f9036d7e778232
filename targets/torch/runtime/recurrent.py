"""Recurrent cells over the frames of laid-out tensors (B, C, 1, S), time last.

torch's fused kernels run them in eager mode. Where a mask lets frames go by, and in a compiled or exported graph, which
has no node for torch's kernels (an nn.LSTM breaks it), they are the ops of recurrence_op.py.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from . import recurrence_op  # noqa: F401  registers torch.ops.mctc.lstm_recurrence and gru_recurrence
from .precision import narrowed

# cuDNN wants the weights in one piece and copies them there when they are not. Parameters that are named and quantised
# one by one never are, and the copy is small beside the frames.
warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk of memory")


def lstm(
    x: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor | None = None,
    h: Tensor | None = None,
    c: Tensor | None = None,
    *,
    mask: Tensor | None = None,
    axis: int = -1,
) -> tuple[Tensor, Tensor, Tensor]:
    """A long short-term memory over x (B, I, 1, S): y (B, H, 1, S) and the last states h, c (B, H, 1, 1).

    weight_ih (4 H, I), weight_hh (4 H, H) and bias (4 H,) stack the gates i, f, g, o. States start at zero where none
    are given. `mask`, (S,), (B, S) or laid out as x: a frame of 0 leaves the states as they were. At least one frame is
    needed.
    """
    seen = narrowed(_time_first(x, axis), weight_ih)
    start = _states((h, c), seen, weight_hh, axis)
    if mask is None and _fused(seen):
        kept = torch.is_grad_enabled()  # cuDNN keeps what its backward needs in training alone
        weights = [weight_ih, weight_hh] if bias is None else [weight_ih, weight_hh, bias, torch.zeros_like(bias)]
        y, *last = torch.lstm(seen, [s[None] for s in start], weights, bias is not None, 1, 0.0, kept, False, False)
    else:
        from_x, weight = _precise(F.linear(seen, weight_ih, bias), weight_hh)
        first = [state.to(from_x.dtype) for state in start]
        states = torch.ops.mctc.lstm_recurrence(from_x, weight, *first, _marks(mask, seen, x))
        y, *last = (state.to(seen.dtype) for state in (states[0], states[0][-1:], states[1][-1:]))
    return _laid_out(y, x, axis), _laid_out(last[0], x, axis), _laid_out(last[1], x, axis)


def gru(
    x: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias_ih: Tensor | None = None,
    bias_hh: Tensor | None = None,
    h: Tensor | None = None,
    *,
    mask: Tensor | None = None,
    axis: int = -1,
) -> tuple[Tensor, Tensor]:
    """A gated recurrent unit over x (B, I, 1, S): y (B, H, 1, S) and the last state h (B, H, 1, 1).

    weight_ih (3 H, I), weight_hh (3 H, H) and the biases (3 H,) stack the gates r, z, n. `mask` as in `lstm`.
    """
    seen = narrowed(_time_first(x, axis), weight_ih)
    (start,) = _states((h,), seen, weight_hh, axis)
    none = weight_hh.new_zeros(weight_hh.shape[0])
    bias_ih, bias_hh = none if bias_ih is None else bias_ih, none if bias_hh is None else bias_hh
    if mask is None and _fused(seen):
        kept = torch.is_grad_enabled()
        weights = [weight_ih, weight_hh, bias_ih, bias_hh]
        y, last = torch.gru(seen, start[None], weights, True, 1, 0.0, kept, False, False)
    else:
        from_x, weight, bias = _precise(F.linear(seen, weight_ih, bias_ih), weight_hh, bias_hh)
        states = torch.ops.mctc.gru_recurrence(from_x, weight, bias, start.to(from_x.dtype), _marks(mask, seen, x))
        y, last = states.to(seen.dtype), states[-1:].to(seen.dtype)
    return _laid_out(y, x, axis), _laid_out(last, x, axis)


def _fused(seen: Tensor) -> bool:
    """Whether torch's kernel can run here: no graph has a node for it, and a CPU has none for autocast to fp16."""
    if torch.compiler.is_compiling():
        return False
    cast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") is torch.float16
    return not (cast and seen.device.type == "cpu")


def _time_first(x: Tensor, axis: int) -> Tensor:
    """(B, C, ..., S) to (S, B * ..., C), as torch's recurrent kernels take it."""
    return x.movedim((axis, 1), (0, -1)).flatten(1, -2)


def _laid_out(y: Tensor, x: Tensor, axis: int) -> Tensor:
    """(S, B * ..., H) back to x's layout: (B, H, ..., S)."""
    rest = x.movedim((axis, 1), (0, -1)).shape[1:-1]
    return torch.unflatten(y, 1, rest).movedim((0, -1), (axis, 1))


def _states(states: Sequence[Tensor | None], seen: Tensor, weight_hh: Tensor, axis: int) -> list[Tensor]:
    """Each state as (B * ..., H); zeros where none is given."""
    zeros = seen.new_zeros(seen.shape[1], weight_hh.shape[1])
    return [zeros if state is None else _time_first(state, axis)[0].to(seen.dtype) for state in states]


def _precise(*tensors: Tensor) -> list[Tensor]:
    """States are carried in float32 at least, under autocast too."""
    wide = torch.promote_types(tensors[-1].dtype, torch.float32)
    return [each.to(wide) for each in tensors]


def _marks(mask: Tensor | None, seen: Tensor, x: Tensor) -> Tensor | None:
    """A mask (S,), (B, S) or laid out, (1 or B, 1, 1, S), as (S, B * ..., 1) of bool."""
    if mask is None:
        return None
    rows = mask.reshape(-1, seen.shape[0]).expand(x.shape[0], -1)
    return (rows != 0).T.repeat_interleave(seen.shape[1] // x.shape[0], 1)[:, :, None]
