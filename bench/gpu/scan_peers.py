"""The other ways to compute a selective scan on a GPU, each from `Inputs` to y."""

# ruff: noqa: N806, N812 - the names of the paper and of torch's documentation

from __future__ import annotations

import importlib.machinery
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch._higher_order_ops.associative_scan import associative_scan
from torch.nn import functional as F

from bench.gpu.scan_inputs import Inputs

Scan = Callable[[Inputs], Tensor]


def loop(inputs: Inputs) -> Tensor:
    """What a first port to a device without a kernel does (the field guide's section 2.2, its slips put right).

    Time stands second; the decays and inputs of every step are computed beforehand and picked by index in the loop, so
    autograd writes a gradient of the whole sequence for each step: the backward is quadratic in the length.
    """
    u, C = inputs.x.transpose(1, 2), inputs.C[:, 0].transpose(1, 2)
    rate = F.softplus(inputs.delta.transpose(1, 2) + inputs.delta_bias)
    decay = torch.exp(rate[..., None] * inputs.A)
    drive = rate[..., None] * inputs.B[:, 0].transpose(1, 2)[:, :, None] * u[..., None]
    h, outputs = torch.zeros_like(decay[:, 0]), []
    for t in range(u.shape[1]):
        h = decay[:, t] * h + drive[:, t]
        outputs.append((h @ C[:, t].to(h.dtype)[..., None])[..., 0])
    y = torch.stack(outputs, 1) + u * inputs.D
    if inputs.z is not None:
        y = y * F.silu(inputs.z.transpose(1, 2))
    return y.transpose(1, 2).to(inputs.x.dtype)


def associative(inputs: Inputs, mode: str = "generic") -> Tensor:
    """torch's associative scan over (decay, input) pairs; what enters and leaves it is (Batch, L, Channels, N)."""
    rate = F.softplus(inputs.delta + inputs.delta_bias[:, None]).transpose(1, 2)
    decay = torch.exp(rate[..., None] * inputs.A)
    drive = (rate * inputs.x.transpose(1, 2))[..., None] * inputs.B[:, 0].transpose(1, 2)[:, :, None]
    h: Tensor = associative_scan(_then, (decay, drive), dim=1, combine_mode=mode)[1]
    y = (h * inputs.C[:, 0].transpose(1, 2)[:, :, None]).sum(-1).transpose(1, 2)
    y = y + inputs.D[:, None] * inputs.x
    y = y if inputs.z is None else y * F.silu(inputs.z)
    return y.to(inputs.x.dtype)


def compiled_associative() -> Scan:
    """The same as one compiled program with torch's pointwise scan; forward only."""
    torch.compiler.reset()  # or torch gives up after so many shapes and runs the rest as it is
    return torch.compile(lambda inputs: associative(inputs, "pointwise"), dynamic=False)


def _then(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Two stretches of time as one: h -> a2 (a1 h + b1) + b2."""
    return first[0] * second[0], first[1] * second[0] + second[1]


def mamba(library: Path) -> Scan:
    """mamba-ssm's own CUDA kernel from its compiled extension, selective_scan_cuda.*.so; no initial state."""
    name = "selective_scan_cuda"
    loader = importlib.machinery.ExtensionFileLoader(name, str(library.resolve()))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    extension = importlib.util.module_from_spec(spec)
    loader.exec_module(extension)

    class Mamba(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, delta: Tensor, *rest: Tensor | None) -> Tensor:
            A, B, C, D, z, bias = rest
            y, states, *gated = extension.fwd(x, delta, A, B, C, D, z, bias, True)
            ctx.save_for_backward(x, delta, *rest, states, None if z is None else y)
            result: Tensor = gated[0] if gated else y
            return result

        @staticmethod
        def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
            *inputs, states, y = ctx.saved_tensors
            dx, ddelta, dA, dB, dC, dD, dbias, *dz = extension.bwd(*inputs, dy, states, y, None, True, False)
            return dx, ddelta, dA, dB, dC, dD, dz[0] if dz else None, dbias

    def scan(inputs: Inputs) -> Tensor:
        rest = (inputs.A, inputs.B, inputs.C, inputs.D, inputs.z, inputs.delta_bias)
        return Mamba.apply(inputs.x, inputs.delta, *rest)  # type: ignore[no-any-return, no-untyped-call]

    return scan
