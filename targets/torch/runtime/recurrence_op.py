"""`mctc::lstm_recurrence` and `mctc::gru_recurrence`: what of a cell is sequential, as one node of a graph.

The products with the frames, `from_x`, are made for all frames at once outside; an op goes from frame to frame. Its
backward is written out: given y, the gates of all frames are known at once, and only their gradients go backwards from
frame to frame (backpropagation through time; Werbos, 1990). Where `marks` (S, N, 1) is false the state stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

LSTM = "Tensor from_x, Tensor weight_hh, Tensor h, Tensor c, Tensor? marks"
GRU = "Tensor from_x, Tensor weight_hh, Tensor bias_hh, Tensor h, Tensor? marks"


def _lstm(from_x: Tensor, weight_hh: Tensor, h: Tensor, c: Tensor, marks: Tensor | None) -> tuple[Tensor, Tensor]:
    """from_x (S, N, 4 H), weight_hh (4 H, H), h and c (N, H): the states h and c (S, N, H) after each frame."""
    outputs, cells = from_x.new_empty(*from_x.shape[:2], h.shape[1]), from_x.new_empty(*from_x.shape[:2], h.shape[1])
    for t, frame in enumerate(from_x):
        i, f, g, o = torch.addmm(frame, h, weight_hh.T).chunk(4, -1)
        new = f.sigmoid() * c + i.sigmoid() * g.tanh()
        shown = o.sigmoid() * new.tanh()
        h, c = (shown, new) if marks is None else (torch.where(marks[t], shown, h), torch.where(marks[t], new, c))
        outputs[t], cells[t] = h, c
    return outputs, cells


def _lstm_backward(
    dy: Tensor,
    dcells: Tensor,
    from_x: Tensor,
    weight_hh: Tensor,
    h: Tensor,
    c: Tensor,
    marks: Tensor | None,
    y: Tensor,
    cells: Tensor,
) -> tuple[Tensor, ...]:
    before, held = _shifted(y, h), _shifted(cells, c)
    i, f, g, o = (from_x + before @ weight_hh.T).chunk(4, -1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    shown = (f * held + i * g).tanh()
    of_c, of_h = [g * i * (1 - i), held * f * (1 - f), i * (1 - g * g)], shown * o * (1 - o)
    to_gates, to_c = torch.cat([*of_c, of_h], -1), o * (1 - shown * shown)
    if marks is not None:
        to_gates, to_c, f = to_gates * marks, to_c * marks, torch.where(marks, f, 1)
    dgates, dh, dc = torch.empty_like(from_x), torch.zeros_like(h), torch.zeros_like(c)
    for t in range(from_x.shape[0] - 1, -1, -1):
        dh = dh + dy[t]
        dc = torch.addcmul(dc + dcells[t], dh, to_c[t])
        dgates[t] = torch.cat([dc, dc, dc, dh], -1) * to_gates[t]
        dc = dc * f[t]
        dh = dgates[t] @ weight_hh if marks is None else torch.addmm(dh * ~marks[t], dgates[t], weight_hh)
    return dgates, _outer(dgates, before), dh, dc


def _gru(from_x: Tensor, weight_hh: Tensor, bias_hh: Tensor, h: Tensor, marks: Tensor | None) -> Tensor:
    """from_x (S, N, 3 H), weight_hh (3 H, H), bias_hh (3 H,), h (N, H): the state (S, N, H) after each frame."""
    outputs = from_x.new_empty(*from_x.shape[:2], h.shape[1])
    for t, frame in enumerate(from_x):
        reset_x, update_x, new_x = frame.chunk(3, -1)
        reset_h, update_h, new_h = torch.addmm(bias_hh, h, weight_hh.T).chunk(3, -1)
        update = (update_x + update_h).sigmoid()
        new = (new_x + (reset_x + reset_h).sigmoid() * new_h).tanh()
        after = new + update * (h - new)
        h = after if marks is None else torch.where(marks[t], after, h)
        outputs[t] = h
    return outputs


def _gru_backward(
    dy: Tensor, from_x: Tensor, weight_hh: Tensor, bias_hh: Tensor, h: Tensor, marks: Tensor | None, y: Tensor
) -> tuple[Tensor, ...]:
    before = _shifted(y, h)
    reset_x, update_x, new_x = from_x.chunk(3, -1)
    reset_h, update_h, new_h = (before @ weight_hh.T + bias_hh).chunk(3, -1)
    reset, update = (reset_x + reset_h).sigmoid(), (update_x + update_h).sigmoid()
    new = (new_x + reset * new_h).tanh()
    of_new = (1 - update) * (1 - new * new)
    to_gates = torch.cat([of_new * new_h * reset * (1 - reset), (before - new) * update * (1 - update), of_new], -1)
    if marks is not None:
        to_gates, update = to_gates * marks, torch.where(marks, update, 1)
    seen = torch.cat([torch.ones_like(update), torch.ones_like(update), reset], -1)  # by the product with h
    dgates, dh = torch.empty_like(from_x), torch.zeros_like(h)
    for t in range(from_x.shape[0] - 1, -1, -1):
        dh = dh + dy[t]
        dgates[t] = torch.cat([dh, dh, dh], -1) * to_gates[t]
        dh = torch.addmm(dh * update[t], dgates[t] * seen[t], weight_hh)
    dfrom_h = dgates * seen
    return dgates, _outer(dfrom_h, before), dfrom_h.sum((0, 1)), dh


def _shifted(states: Tensor, first: Tensor) -> Tensor:
    """The state before each frame."""
    return torch.cat([first[None], states[:-1]])


def _outer(dgates: Tensor, before: Tensor) -> Tensor:
    """The gradient of a weight: the sum over frames of gate by state."""
    return dgates.flatten(0, 1).T @ before.flatten(0, 1)


def _precisely(compute: Callable[..., Any]) -> Callable[..., Any]:
    """The states are carried in the type they come in, whatever autocast would make of the products."""

    def computed(*arguments: Any) -> Any:
        with torch.autocast(arguments[0].device.type, enabled=False):
            return compute(*arguments)

    return computed


def _register(name: str, schema: str, states: int, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
    """An op with `states` results of (S, N, H) that its backward takes after the op's own arguments."""
    made = [f"Tensor y{i}" for i in range(states)]
    named = [each.replace(" ", " d").replace("dmarks", "marks") for each in schema.split(", ")[:-1]]
    given = [f"Tensor dy{i}" for i in range(states)] + [schema, *made]
    op = torch.library.custom_op(
        f"mctc::{name}", _precisely(forward), mutates_args=(), schema=f"({schema}) -> ({', '.join(made)})"
    )
    gradient = torch.library.custom_op(
        f"mctc::{name}_backward",
        _precisely(backward),
        mutates_args=(),
        schema=f"({', '.join(given)}) -> ({', '.join(named)})",
    )

    def fake(from_x: Tensor, weight_hh: Tensor, *_: Any) -> Any:
        empty = [from_x.new_empty(*from_x.shape[:2], weight_hh.shape[1]) for _ in range(states)]
        return empty[0] if states == 1 else tuple(empty)

    def fake_backward(*arguments: Any) -> Any:
        inputs = arguments[states : -states - 1]
        return tuple(torch.empty_like(each, memory_format=torch.contiguous_format) for each in inputs)

    def keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.save_for_backward(*inputs, *((output,) if states == 1 else output))

    def differentiate(ctx: Any, *dstates: Tensor) -> tuple[Tensor | None, ...]:
        gradients = getattr(torch.ops.mctc, f"{name}_backward")(*dstates, *ctx.saved_tensors)
        return (*gradients, None)

    op.register_fake(fake)
    gradient.register_fake(fake_backward)
    op.register_autograd(differentiate, setup_context=keep)


# A training repository's copy of this file and mctc's own may be imported in one process: the first registers.
if not hasattr(torch.ops.mctc, "lstm_recurrence"):
    _register("lstm_recurrence", LSTM, 2, _lstm, _lstm_backward)
    _register("gru_recurrence", GRU, 1, _gru, _gru_backward)
