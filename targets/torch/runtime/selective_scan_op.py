"""`mctc::selective_scan` and its backward as operations that autograd, autocast, torch.compile and torch.export know.

A scan is one node of a graph, whoever computes it: selective_scan_gpu, selective_scan_cpu or selective_scan_chunked.
Each of them has `forward` and `backward` with the operations' arguments and results, and `checkpoints_shape` and
`checkpoints_type`, the shape and the type of the states that its backward starts from.
"""

# ruff: noqa: N803, N806 - the names of the paper

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from . import selective_scan_chunked, selective_scan_cpu

MAX_STATE = 256
TYPES = (torch.float32, torch.float16, torch.bfloat16)

INPUTS = "Tensor x, Tensor delta, Tensor A, Tensor B, Tensor C, Tensor? D, Tensor? z, Tensor? delta_bias, Tensor? h"
FORWARD = f"({INPUTS}, bool softplus) -> (Tensor y, Tensor h_last, Tensor checkpoints)"
BACKWARD = (
    f"(Tensor dy, Tensor dh_last, {INPUTS}, Tensor checkpoints, bool softplus) -> (Tensor dx, Tensor ddelta, "
    "Tensor dA, Tensor dB, Tensor dC, Tensor dD, Tensor dz, Tensor ddelta_bias, Tensor dh)"
)
ORDER = ("x", "delta", "A", "B", "C", "D", "z", "delta_bias", "h")
OVER_TIME = frozenset({"x", "delta", "B", "C", "z"})  # in x's type, the others in the type that is computed in

# In ORDER.
Inputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None, Tensor | None]
Gradients = tuple[Tensor, ...]  # in ORDER, empty where the input is None


def backend(x: Tensor) -> ModuleType:
    """What computes for tensors like x."""
    if x.device.type in ("cuda", "mps"):
        from . import selective_scan_gpu  # which a CPU has no use for

        return selective_scan_gpu
    fast = x.device.type == "cpu" and x.dtype in TYPES and selective_scan_cpu.available()
    return selective_scan_cpu if fast else selective_scan_chunked


def scan(given: Inputs, *, softplus: bool) -> tuple[Tensor, Tensor]:
    """y and the last state of `mctc::selective_scan`, of inputs as selective_scan.selective_scan has them.

    Where nobody looks at operations (no compiler, export, profiler, functorch, function or dispatch mode) autograd is
    met directly: the dispatcher's way through Python costs the host more than all launches of a scan. Under hooks of
    saved tensors the operation is called whoever looks: layers that are computed again, maybe without the mode that
    saw them before, must save the same.
    """
    x = given[0]
    if _unobserved(x):
        if torch.is_autocast_enabled(x.device.type):
            given = _cast(given, torch.get_autocast_dtype(x.device.type))
        y, last = _Direct.apply(*given, softplus)  # type: ignore[no-untyped-call]
        return y, last
    y, last, _ = torch.ops.mctc.selective_scan(*as_rows(given), softplus)
    return (y, last) if x.dim() == 3 else (y.unsqueeze(2), last.unsqueeze(2))


def as_rows(given: Inputs) -> Inputs:
    """Views of the inputs of a call with the axes of the operation's. Raises ValueError for too many axes, or for rows
    of B or C that are no whole groups."""
    x, delta, A, B, C, D, z, delta_bias, h = given
    if x.dim() == 4:
        x, delta, B, C = (_squeeze(*each) for each in (("x", x), ("delta", delta), ("B", B), ("C", C)))
        z = None if z is None else _squeeze("z", z)
        h = None if h is None else _squeeze("h", h)
    return x, delta, A, _by_group("B", B, A), _by_group("C", C, A), D, z, delta_bias, h


def _squeeze(name: str, each: Tensor) -> Tensor:
    if each.dim() != 4 or each.shape[2] != 1:
        raise ValueError(
            f"selective_scan: {name} is {tuple(each.shape)}; where x has four axes, its third must be there and be 1"
        )
    return each.squeeze(2)


def _by_group(name: str, each: Tensor, A: Tensor) -> Tensor:
    """(Batch, Groups * N, L) to (Batch, Groups, N, L)."""
    state = A.shape[-1]
    if each.dim() != 3 or each.shape[1] == 0 or each.shape[1] % state:
        raise ValueError(
            f"selective_scan: {name} is {tuple(each.shape)}; "
            f"it must be (Batch, Groups * N, L) with N = {state}, the last axis of A {tuple(A.shape)}"
        )
    batch, rows, length = each.shape
    return each.reshape(batch, rows // state, state, length)


def _unobserved(x: Tensor) -> bool:
    return (
        type(x) in (Tensor, torch.nn.Parameter)
        and x.device.type in ("cpu", "cuda", "mps")
        and not torch.compiler.is_compiling()
        and torch._C._len_torch_dispatch_stack() == 0
        and torch._C._len_torch_function_stack() == 0
        and torch._C._functorch.peek_interpreter_stack() is None
        and torch._C._autograd._top_saved_tensors_default_hooks(True) is None
        and not torch._C._autograd._profiler_enabled()
    )


class _Direct(torch.autograd.Function):
    """The operation and its backward without the dispatcher, of inputs as a call has them."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor]:
        given: Inputs = arguments[:-1]
        x, _, A, *_ = given
        softplus = arguments[-1]
        calls = getattr(backend(x), "calls", None)  # a GPU's
        if calls is None:
            y, last, stored = _forward(*as_rows(given), softplus)
            y, last = (y, last) if x.dim() == 3 else (y.unsqueeze(2), last.unsqueeze(2))
        else:
            calls = calls(given, softplus, _read)
            y, last, stored = calls.forward(given, (*x.shape[:-1], A.shape[1]))
        ctx.save_for_backward(*given, stored)
        ctx.softplus, ctx.calls = softplus, calls
        ctx.set_materialize_grads(False)
        return y, last

    @staticmethod
    def backward(ctx: Any, dy: Tensor | None, dh_last: Tensor | None) -> tuple[Tensor | None, ...]:
        # To differentiate gradients again is refused; elsewhere the decorator would only take time.
        return (_differentiate_once if torch.is_grad_enabled() else _differentiate_directly)(ctx, dy, dh_last)


def _differentiate_directly(ctx: Any, dy: Tensor | None, dh_last: Tensor | None) -> tuple[Tensor | None, ...]:
    *saved, stored = ctx.saved_tensors
    given: Inputs = tuple(saved)
    dy = torch.zeros_like(given[0]) if dy is None else dy
    if ctx.calls is not None:
        return (*ctx.calls.backward(dy, dh_last, given, stored), None)
    rows = as_rows(given)
    shape = (*rows[0].shape[:2], rows[2].shape[1])
    dh_last = rows[2].new_zeros(shape) if dh_last is None else dh_last.reshape(shape)
    gradients = _backward(dy if dy.dim() == 3 else dy.squeeze(2), dh_last, *rows, stored, ctx.softplus)
    return (*(None if each is None else d.view(each.shape) for d, each in zip(gradients, given)), None)


_differentiate_once = torch.autograd.function.once_differentiable(_differentiate_directly)


def _read(given: Inputs) -> tuple[Inputs, tuple[int, ...]]:
    """What a kernel reads of the inputs of a call, and which of them are copied for that."""
    rows = as_rows(given)
    check(*rows)
    laid_out = _laid_out(rows)
    return laid_out, tuple(place for place, (row, each) in enumerate(zip(rows, laid_out)) if row is not each)


def _forward(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    *inputs, softplus = arguments
    check(*inputs)
    y, h_last, checkpoints = backend(inputs[0]).forward(*_laid_out(inputs), softplus)
    # One axis, since of several torch.export would ask whether one is 1, and so bind the graph to a range of lengths.
    return y, h_last, checkpoints.flatten()


def _forward_fake(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    x, _, A, B, *_ = arguments
    check(*arguments[:-1])
    wide = _computed_in(x)
    return (
        torch.empty_like(x, memory_format=torch.contiguous_format),
        x.new_empty(*x.shape[:2], A.shape[1], dtype=wide),
        x.new_empty(math.prod(backend(x).checkpoints_shape(x, A, B)), dtype=backend(x).checkpoints_type(x)),
    )


def _backward(dy: Tensor, dh_last: Tensor, *arguments: Any) -> Gradients:
    *inputs, checkpoints, softplus = arguments
    with torch.autocast(dy.device.type, enabled=False):  # where backward() is called inside of autocast
        x, _, A, B, *_ = inputs
        states = checkpoints.view(backend(x).checkpoints_shape(x, A, B))
        gradients: Gradients = backend(x).backward(
            _time_inside(dy), dh_last.contiguous(), *_laid_out(inputs), states, softplus
        )
    return gradients


def _backward_fake(dy: Tensor, dh_last: Tensor, *arguments: Any) -> Gradients:
    inputs, x = arguments[:-2], arguments[0]
    return tuple(
        x.new_empty(0) if each is None else torch.empty_like(each, memory_format=torch.contiguous_format)
        for each in inputs
    )


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    *tensors, softplus = inputs
    ctx.save_for_backward(*tensors, output[2])
    ctx.softplus = softplus
    ctx.set_materialize_grads(False)  # no zeros for the checkpoints, whose gradient nobody has


def _differentiate(ctx: Any, dy: Tensor | None, dh_last: Tensor | None, _: Tensor | None) -> tuple[Tensor | None, ...]:
    *inputs, checkpoints = ctx.saved_tensors
    x, A = inputs[0], inputs[2]
    dy = torch.zeros_like(x) if dy is None else dy
    dh_last = A.new_zeros(*x.shape[:2], A.shape[1]) if dh_last is None else dh_last
    gradients = torch.ops.mctc.selective_scan_backward(dy, dh_last, *inputs, checkpoints, ctx.softplus)
    return (*(None if each is None else gradient for each, gradient in zip(inputs, gradients)), None)


def check(
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    h: Tensor | None,
) -> None:
    """Raises ValueError, naming the argument and what it must be, unless all fit together."""
    if x.dim() != 3:
        raise _refused("x", f"is {tuple(x.shape)}", "(Batch, Channels, L)")
    batch, channels, length = x.shape
    if A.dim() != 2 or A.shape[0] != channels or not 1 <= A.shape[1] <= MAX_STATE:
        raise _refused("A", f"is {tuple(A.shape)}", f"(Channels, N) = ({channels}, 1 to {MAX_STATE})")
    state = A.shape[1]
    if B.dim() != 4 or B.shape[1] == 0 or channels % B.shape[1]:
        raise _refused(
            "B", f"is {tuple(B.shape)}", f"(Batch, Groups, N, L), where Groups divides the {channels} channels"
        )
    per_step = ("(Batch, Groups, N, L)", (batch, B.shape[1], state, length))
    expected = {
        "delta": ("(Batch, Channels, L)", (batch, channels, length)),
        "B": per_step,
        "C": per_step,
        "D": ("(Channels,)", (channels,)),
        "z": ("(Batch, Channels, L)", (batch, channels, length)),
        "delta_bias": ("(Channels,)", (channels,)),
        "h": ("(Batch, Channels, N)", (batch, channels, state)),
    }
    given = dict(zip(ORDER, (x, delta, A, B, C, D, z, delta_bias, h)))
    for name, (axes, shape) in expected.items():
        each = given[name]
        if each is not None and tuple(each.shape) != shape:
            raise _refused(name, f"is {tuple(each.shape)}", f"{axes} = {shape}")
    _check_types(given)


def _check_types(given: dict[str, Tensor | None]) -> None:
    x = given["x"]
    assert x is not None
    if x.dtype not in TYPES and not (x.dtype == torch.float64 and x.device.type in ("cpu", "meta")):
        raise _refused("x", f"is {x.dtype}", "float32, float16 or bfloat16 (or float64 on a CPU)")
    for name, each in given.items():
        if each is None:
            continue
        wanted = x.dtype if name in OVER_TIME else _computed_in(x)
        if each.dtype != wanted:
            raise _refused(
                name, f"is {each.dtype}", f"{wanted} beside an x of {x.dtype}: convert it with .to({wanted})"
            )
        if each.device != x.device:
            raise _refused(name, f"is on {each.device}", f"on {x.device}, as x is")


def _refused(name: str, what: str, must: str) -> ValueError:
    return ValueError(f"selective_scan: {name} {what}; it must be {must}")


def _computed_in(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _laid_out(inputs: Any) -> Any:
    """`inputs` as kernels take them. Views of a split come as they are: only time has to lie side by side."""
    return tuple(
        each if each is None else _time_inside(each) if name in OVER_TIME else each.contiguous()
        for name, each in zip(ORDER, inputs)
    )


def _time_inside(each: Tensor) -> Tensor:
    return each if each.stride(-1) == 1 else each.contiguous()


def _register() -> None:
    op = torch.library.custom_op("mctc::selective_scan", _forward, mutates_args=(), schema=FORWARD)
    op.register_fake(_forward_fake)
    op.register_autograd(_differentiate, setup_context=_keep)
    gradient = torch.library.custom_op("mctc::selective_scan_backward", _backward, mutates_args=(), schema=BACKWARD)
    gradient.register_fake(_backward_fake)
    for device in ("CPU", "CUDA", "MPS"):
        _autocast.impl("selective_scan", _autocast_rule(device), f"Autocast{device}", with_keyset=True)  # type: ignore[no-untyped-call]


def _cast(inputs: Any, low: torch.dtype) -> Any:
    return tuple(
        each if each is None else each.to(low if name in OVER_TIME else torch.float32)
        for name, each in zip(ORDER, inputs)
    )


def _autocast_rule(device: str) -> Any:
    """Under autocast what has a time axis takes its type, and what is small and precise (A, D, ...) is fp32."""
    key = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, f"Autocast{device}"))

    def rule(_: Any, *arguments: Any) -> Any:
        *inputs, softplus = arguments
        cast = _cast(inputs, torch.get_autocast_dtype(device.lower()))
        with torch._C._ExcludeDispatchKeyGuard(key):
            return torch.ops.mctc.selective_scan(*cast, softplus)

    return rule


# A training repository's copy of this file and mctc's own may be imported in one process: the first registers.
_autocast = torch.library.Library("mctc", "FRAGMENT")  # type: ignore[no-untyped-call]
if not hasattr(torch.ops.mctc, "selective_scan"):
    _register()
