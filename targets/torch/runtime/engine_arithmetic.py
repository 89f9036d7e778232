"""Training with the Neural Engine's arithmetic in view: its tables and its rounding, with straight-through gradients.

    set_engine_arithmetic(model, "on")     # from now on every forward pass computes as the engine does
    set_engine_arithmetic(model, "on", components=["encoder"])          # what runs there; the others stay exact
    set_engine_arithmetic(model, "off")

Activations are what the engine makes of them: tables of 33 values with straight lines between (M6; read by one
laboratory, as far as that is published), silu and sigmoid by exp and gelu by erf, as `mctc build --device M6` writes
them, or by tables of their own (`forms=False`). Sums, products and differences are rounded to fp16, ties away from
zero, and so are the results of convolutions and products of matrices. What is inside the selective scan is exact, but
for the gate behind it; norms and softmax are exact and then rounded: their arithmetic isn't published. Products are not
dropped and sums do not overflow: `mctc verify --arithmetic engine` tells whether they would. fp16's 11 bits have to be
held: autocast to bf16, which has 8, works and rounds more coarsely than the engine does.

The gradient is that of the exact function (Bengio et al., 2013, arXiv:1308.3432).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.overrides import TorchFunctionMode

MODES = ("off", "on")
HOOKS = "_engine_arithmetic"
BEYOND = 65536.0
"""What rounds to infinity in fp16."""
SILU = (
    -0.002643585205078125, -0.00408935546875, -0.00624847412109375, -0.00963592529296875, -0.01461029052734375,
    -0.0221099853515625, -0.033050537109375, -0.048980712890625, -0.0711669921875, -0.10205078125,
    -0.1417236328125, -0.1895751953125, -0.239990234375, -0.277099609375, -0.27490234375, -0.1962890625,
    -0.0017042160034179688, 0.29638671875, 0.72509765625, 1.22265625, 1.759765625, 2.310546875, 2.857421875,
    3.3984375, 3.927734375, 4.44921875, 4.96875, 5.4765625, 5.984375, 6.4921875, 6.9921875, 7.49609375, 7.99609375,
)  # fmt: skip
GELU = (
    -0.00011533498764038086, -0.00030684471130371094, -0.0007543563842773438, -0.0017919540405273438,
    -0.003875732421875, -0.0079345703125, -0.01513671875, -0.02703857421875, -0.044891357421875, -0.06964111328125,
    -0.10003662109375, -0.1326904296875, -0.159912109375, -0.1719970703125, -0.156982421875, -0.1033935546875,
    -0.0007543563842773438, 0.1435546875, 0.343017578125, 0.578125, 0.83984375, 1.1171875, 1.400390625,
    1.6806640625, 1.955078125, 2.22265625, 2.484375, 2.7421875, 2.99609375, 3.248046875, 3.5, 3.75, 4.0,
)  # fmt: skip
"""Values at -8, -7.5, ... and -4, -3.75, ...: published in part, the others in the middle of their bounds
(docs/engine-arithmetic.md of mctc)."""

Function = Callable[..., Any]


def half_away(x: Tensor) -> Tensor:
    """fp32 in and out: the nearest fp16 number, ties away from zero, infinite beyond fp16's range."""
    return _half(x).float()


def _half(x: Tensor) -> Tensor:
    """fp32 to fp16. The last bit is set first: that takes a tie, whose last bits are 0, off it and away from zero, and
    no other number across one. Infinities would become NaN by it, and are brought to a number that rounds to them."""
    bits = x.detach().clamp(-BEYOND, BEYOND).view(torch.int32)
    return bits.bitwise_or_(1).view(torch.float32).half()


class _Straight(torch.autograd.Function):
    """The second value, with the gradient of the first."""

    @staticmethod
    def forward(ctx: Any, exact: Tensor, value: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def straight(exact: Tensor, value: Tensor) -> Tensor:
    """`value`, with the gradient of `exact`."""
    if not (exact.requires_grad and torch.is_grad_enabled()):
        return value
    made: Tensor = _Straight.apply(exact, value)  # type: ignore[no-untyped-call]
    return made


@cache
def _table(values: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Values at the knots, rounded to fp16, and their differences."""
    held = half_away(torch.tensor(values, dtype=torch.float32, device=device))
    return held, held.diff()


def _looked_up(x: Tensor, first: float, step: float, values: tuple[float, ...]) -> Tensor:
    """The value at the nearer knot and a fraction of the difference, that product rounded."""
    held, differences = _table(values, x.device)
    place = (x - first) / step
    near = place.round().clamp(0, len(values) - 1)
    part = place - near
    lower = torch.where(part < 0, near - 1, near).clamp(0, len(values) - 2)
    return held[near.long()] + half_away(part * differences[lower.long()])


TANH = tuple(math.tanh(knot / 8) for knot in range(33))
SIGMOID = tuple(1 / (1 + math.exp(-(knot / 2 - 8))) for knot in range(33))
ERF = tuple(math.erf(knot / 16) for knot in range(33))
EXP2 = tuple(2 ** (knot / 32) for knot in range(33))
INVERSE = tuple(1 / (0.5 + knot / 64) for knot in range(33))
LOG2_E = 1.4423828125
"""log2 e as fp16 has it."""
ERF_SLOPE = 0.013
ROOT = 0.70703125
"""sqrt(1/2) as fp16 has it."""
SIGMOID_END = 9.9375
"""Where sigmoid's straight line from its last knot, at -8, reaches 0."""


def tanh(x: Tensor) -> Tensor:
    """fp16 numbers in fp32 in and out."""
    magnitude = x.abs()
    inside = _looked_up(magnitude.clamp(max=4.0), 0.0, 0.125, TANH)
    return half_away(torch.copysign(torch.where(magnitude > 4, torch.ones_like(x), inside), x))


def sigmoid(x: Tensor) -> Tensor:
    """By its own table."""
    magnitude = x.abs()
    held, _ = _table(SIGMOID, x.device)
    end = held[0] * ((SIGMOID_END - magnitude) / (SIGMOID_END - 8)).clamp(min=0.0)
    beyond = torch.where(x < 0, end, 1 - end)
    return half_away(torch.where(magnitude > 8, beyond, _looked_up(x.clamp(-8.0, 8.0), -8.0, 0.5, SIGMOID)))


def exp(x: Tensor) -> Tensor:
    """2^(x log2 e), that product rounded: the whole part into the exponent, the other by its table."""
    power = half_away(x.clamp(-100, 100) * LOG2_E)
    whole = power.floor()
    return half_away(_looked_up(power - whole, 0.0, 1 / 32, EXP2) * torch.exp2(whole.clamp(-64, 64)))


def inverse(x: Tensor) -> Tensor:
    """1 / x of numbers above 0: by a table over an octave."""
    mantissa, exponent = torch.frexp(x)
    return half_away(_looked_up(mantissa, 0.5, 1 / 64, INVERSE) * torch.exp2(-exponent.float()))


def _falling(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """-|x|, e = exp(-|x|), and 1 / (1 + e), rounded after each step."""
    below = -x.abs()
    exponential = exp(below)
    return below, exponential, inverse(half_away(exponential + 1))


def sigmoid_by_exp(x: Tensor) -> Tensor:
    """exp(min(x, 0)) / (1 + exp(-|x|)), rounded after each step."""
    return half_away(exp(x.clamp(max=0)) * _falling(x)[2])


def silu(x: Tensor) -> Tensor:
    """By its own table."""
    inside = _looked_up(x.clamp(-8.0, 8.0), -8.0, 0.5, SILU)
    return half_away(torch.where(x.abs() > 8, F.silu(x), inside))


def silu_by_exp(x: Tensor) -> Tensor:
    """relu(x) - |x| e / (1 + e) with e = exp(-|x|), rounded after each step."""
    below, exponential, share = _falling(x)
    return half_away(x.clamp(min=0) + half_away(half_away(below * exponential) * share))


def gelu(x: Tensor) -> Tensor:
    """By its own table."""
    inside = _looked_up(x.clamp(-4.0, 4.0), -4.0, 0.25, GELU)
    return half_away(torch.where(x.abs() > 4, F.gelu(x), inside))


def erf(x: Tensor) -> Tensor:
    """fp16 numbers in fp32 in and out: behind its last knot, at 2, it goes straight to 1."""
    magnitude = x.abs()
    held, _ = _table(ERF, x.device)
    beyond = (held[-1] + ERF_SLOPE * (magnitude - 2)).clamp(max=1.0)
    inside = _looked_up(magnitude.clamp(max=2.0), 0.0, 1 / 16, ERF)
    return half_away(torch.copysign(torch.where(magnitude > 2, beyond, inside), x))


def gelu_by_erf(x: Tensor) -> Tensor:
    """x (1 + erf(x / sqrt 2)) / 2, rounded after each step."""
    share = erf(half_away(x * ROOT))
    return half_away(x * half_away(half_away(share / 2) + 0.5))


OWN: Mapping[str, Callable[[Tensor], Tensor]] = {"silu": silu, "sigmoid": sigmoid, "tanh": tanh, "gelu": gelu}
FORMS = {**OWN, "silu": silu_by_exp, "sigmoid": sigmoid_by_exp, "gelu": gelu_by_erf}
"""As packages have them: built for any chip, and with `--device M6`."""
ACTIVATIONS: Mapping[Function, str] = {
    F.silu: "silu", torch.sigmoid: "sigmoid", Tensor.sigmoid: "sigmoid", F.sigmoid: "sigmoid",
    torch.tanh: "tanh", Tensor.tanh: "tanh", F.tanh: "tanh", F.gelu: "gelu",
}  # fmt: skip
ROUNDED: frozenset[Function] = frozenset({
    F.conv1d, F.conv2d, F.linear, F.layer_norm, F.rms_norm, F.batch_norm, F.softmax, torch.matmul, torch.bmm,
    torch.baddbmm, torch.einsum, torch.softmax, Tensor.matmul, Tensor.__matmul__, Tensor.bmm, Tensor.softmax,
    Tensor.add, Tensor.__add__, Tensor.__radd__, Tensor.sub, Tensor.__sub__, Tensor.__rsub__,
    Tensor.mul, Tensor.__mul__, Tensor.__rmul__, torch.add, torch.sub, torch.mul,
})  # fmt: skip
"""Their results are rounded to fp16."""


class EngineArithmetic(TorchFunctionMode):
    """What is called inside computes as the engine does.

    forms: silu and sigmoid by exp, gelu by erf, as packages for an M6 have them; else by tables of their own.
    """

    def __init__(self, *, forms: bool = True) -> None:
        super().__init__()
        self.tables = FORMS if forms else OWN

    def __torch_function__(
        self, func: Function, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in ACTIVATIONS and args[0].is_floating_point():
            return self._activated(ACTIVATIONS[func], func, args, kwargs)
        if getattr(func, "__name__", "") == "selective_scan" and args[6] is not None:
            return self._scanned(func, args, kwargs)
        made = func(*args, **kwargs)
        if func in ROUNDED and isinstance(made, Tensor) and made.is_floating_point():
            return straight(made, half_away(made.float()).to(made.dtype))
        return made

    def _activated(self, name: str, func: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        exact: Tensor = func(*args, **kwargs)
        results = _results(self.tables[name], exact.device)
        bits = _half(args[0].float()).view(torch.int16).int()  # below 0 for negative numbers: from the end on
        return straight(exact, results[bits].to(exact.dtype))

    def _scanned(self, func: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The scan without its gate, and the gate (argument 6) behind it."""
        gate = args[6]
        y, *rest = func(*args[:6], None, *args[7:], **kwargs)
        gated = y * self._activated("silu", F.silu, (gate,), {})
        return straight(gated, half_away(gated.float()).to(gated.dtype)), *rest


@cache
def _results(function: Callable[[Tensor], Tensor], device: torch.device) -> Tensor:
    """fp32 [65536]: what an activation makes of every fp16 number, by its bits; NaN of NaN."""
    numbers = torch.arange(1 << 16).to(torch.int16).view(torch.float16).float()
    made = function(numbers.nan_to_num(nan=0.0, posinf=math.inf, neginf=-math.inf))
    return torch.where(numbers.isnan(), numbers, made).to(device)


def set_engine_arithmetic(
    model: nn.Module, mode: str, *, forms: bool = True, components: Collection[str] | None = None
) -> None:
    """Switches the components of a model: its direct children, which are functions of the package each.

    components: names of those that are switched on; all of them if left out. The others, and the loss, compute as
    torch does. Raises ValueError for a mode and for components that there are not.
    """
    if mode not in MODES:
        raise ValueError(f"there is no mode {mode!r}; there are {', '.join(MODES)}")
    children = dict(model.named_children())
    if unknown := sorted(set(components or ()) - children.keys()):
        raise ValueError(f"there is no component {', '.join(unknown)}; there are {', '.join(children)}")
    for name, component in children.items():
        running: list[EngineArithmetic | None] = []
        wanted = mode == "on" and (components is None or name in components)
        for module in (component, *_layers(component)):
            for handle in module.__dict__.pop(HOOKS, ()):
                handle.remove()
            if wanted:
                module.__dict__[HOOKS] = (
                    module.register_forward_pre_hook(partial(_enter, running, forms)),
                    module.register_forward_hook(partial(_leave, running), always_call=True),
                )


def _layers(component: nn.Module) -> list[nn.Module]:
    """Repeated layers: gradient checkpointing calls them again, alone, in the backward pass."""
    return [layer for each in component.modules() if isinstance(each, nn.ModuleList) for layer in each]


def _enter(running: list[EngineArithmetic | None], forms: bool, module: nn.Module, inputs: Any) -> None:
    mode = None if running else EngineArithmetic(forms=forms)
    running.append(mode)
    if mode is not None:
        mode.__enter__()  # type: ignore[no-untyped-call]


def _leave(running: list[EngineArithmetic | None], module: nn.Module, inputs: Any, outputs: Any) -> None:
    mode = running.pop() if running else None
    if mode is not None:
        mode.__exit__(None, None, None)  # type: ignore[no-untyped-call]
