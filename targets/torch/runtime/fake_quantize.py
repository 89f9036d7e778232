"""Quantisation-aware training: the forward pass sees the weights that the package will hold, bit for bit.

A `FakeQuantizer` stands before every weight that the spec's `quantize` section compresses, an `InputQuantizer`
(input_quantizer.py) before every layer whose activations it holds in 8 bits. The mode says what they do:

    off       nothing
    observe   nothing to the weight; measures what quantising it would cost (see `quantization_report`)
    on        replaces the weight by what the package will decompress it to

int8 and int4 are symmetric with one fp16 scale for each output channel: scale = max |w| / 127 or / 7. A palette is a
table of 2^bits fp16 values, one for the tensor or for each group of output channels (clustering.py).

The rounding passes gradients straight through (Bengio et al., 2013, arXiv:1308.3432): its true gradient is zero almost
everywhere. Where a code is clipped they stop: the weight lies beyond what the scale reaches, so moving it changes
nothing. A scale from max |w| clips only where fp16 rounds it down by more than half a code's share: in channels whose
max |w| is under 1e-3 (int8) or 3.2e-6 (int4). A palette clips nothing: its gradients always pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from .clustering import clustered

MODES = ("off", "observe", "on")
LEVELS = {"int8": 127, "int4": 7}
BITS = {"int8": (8,), "int4": (4,), "palette": (1, 2, 3, 4, 6, 8)}
SMALLEST = 2.0**-24  # of fp16's numbers above 0


@dataclass(frozen=True)
class Quantize:
    """How a weight is stored: 'int8', 'int4' or 'palette'.

    `group` output channels share a palette, None means one for the tensor. The output channels lie along `axis`: 0,
    but 1 in an embedding table. Raises ValueError for a scheme or a number of bits that there is not.
    """

    scheme: str
    bits: int
    group: int | None = None
    axis: int = 0

    def __post_init__(self) -> None:
        if self.scheme not in BITS:
            raise ValueError(f"there is no scheme {self.scheme!r}; there are {', '.join(BITS)}")
        if self.bits not in BITS[self.scheme]:
            raise ValueError(f"{self.scheme} has {' or '.join(map(str, BITS[self.scheme]))} bits, not {self.bits}")

    def __str__(self) -> str:
        if self.scheme != "palette":
            return self.scheme
        return f"palette of {self.bits} bits" + (f" in groups of {self.group}" if self.group else "")


class Quantizer(nn.Module):
    """Base of what holds numbers in fewer bits: what `set_quantization` switches, and `quantization_report` reads."""

    scale: Tensor | None
    snr: Tensor | None
    saturated: Tensor | None

    def __init__(self, how: Quantize | str) -> None:
        super().__init__()
        self.how, self.mode = how, "off"
        self.name = "weight"  # its name in the state_dict, once set_quantization has seen the model
        for measured in ("scale", "snr", "saturated"):
            self.register_buffer(measured, None, persistent=False)

    def extra_repr(self) -> str:
        return f"{self.how}, {self.mode}"


class FakeQuantizer(Quantizer):
    """Quantises a weight and expands it again, as the package will; gradients pass straight through.

    The module that owns the parameter `weight` calls its quantiser `weight_quantizer`: reports and errors then name the
    parameter as the checkpoint does. The parameter stays the fp32 master that the optimiser changes, and nothing is
    added to the state_dict.
    """

    how: Quantize

    def forward(self, weight: Tensor) -> Tensor:
        """The weight, of the same shape and dtype; in mode "on", as the package will hold it.

        Raises ValueError for values that are not finite in fp16. On an accelerator int8 and int4 do not wait for the
        device to tell: the weight then comes out infinite or NaN, and so does the loss.
        """
        if self.mode == "off":
            return weight
        if self.mode == "on":
            return self._quantized(weight)[0]
        with torch.no_grad():
            self._observe(weight)
        return weight

    def _quantized(self, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        how = self.how
        try:
            values, scale, codes = torch.ops.mctc.fake_quantize(weight, how.scheme, how.bits, how.group, how.axis)
        except ValueError as error:  # the op is not told the name: compiled layers of one class would share no code
            raise ValueError(f"{self.name}: {error}") from error
        return values, scale, codes

    def _observe(self, weight: Tensor) -> None:
        values, self.scale, codes = self._quantized(weight)
        self.snr = decibels(weight.float(), values.float())
        limit = LEVELS.get(self.how.scheme)
        self.saturated = torch.zeros_like(self.snr) if limit is None else (codes.abs() == limit).float().mean()


def decibels(signal: Tensor, held: Tensor) -> Tensor:
    """The power of a signal over that of its error, in dB, without waiting for the device.

    The ratio of squares is taken near 1, lest they vanish in fp32.
    """
    peak = signal.abs().amax()
    peak = torch.where(peak > 0, peak, torch.ones_like(peak))
    power, noise = (signal / peak).square().sum(), ((signal - held) / peak).square().sum()
    return torch.where(noise == 0, torch.full_like(noise, math.inf), 10 * torch.log10(power / noise))


@dataclass(frozen=True)
class Observation:
    """What quantising a parameter costs, measured when a forward pass last read it in mode "observe".

    `snr` is the power of the weight over that of the error, in dB; `saturated` the share of codes at the limits (0 for
    a palette, which has none); `scales` the smallest and the largest scale, or entry of the palette.
    """

    name: str
    how: Quantize | str
    snr: float
    saturated: float
    scales: tuple[float, float]

    def __str__(self) -> str:
        low, high = self.scales
        limits = f"{self.saturated:.2%} of the codes at the limits"
        return f"{self.name}: {self.how}, {self.snr:.1f} dB, {limits}, scales {low:.3g} to {high:.3g}"


def set_quantization(model: nn.Module, mode: str) -> None:
    """Switches every quantiser in a model, of weights and of activations, to "off", "observe" or "on".

    Raises ValueError for any other mode.
    """
    if mode not in MODES:
        raise ValueError(f"there is no quantisation mode {mode!r}; there are {', '.join(MODES)}")
    for name, quantizer in _quantizers(model):
        quantizer.name, quantizer.mode = name, mode


def quantization_report(model: nn.Module) -> list[Observation]:
    """What the quantisation of each parameter costs, in the order of the model's modules.

    Raises RuntimeError when some quantiser has seen no weight yet, ValueError for a weight that fp16 can't hold.
    """
    report = []
    for name, quantizer in _quantizers(model):
        if quantizer.scale is None or quantizer.snr is None or quantizer.saturated is None:
            raise RuntimeError(
                f'{name} was not observed: call set_quantization(model, "observe") and run the model once before'
            )
        snr, low, high = float(quantizer.snr), float(quantizer.scale.amin()), float(quantizer.scale.amax())
        if math.isnan(snr) or snr == -math.inf:
            raise ValueError(f"{name}: {NOT_FINITE}")
        report.append(Observation(name, quantizer.how, snr, float(quantizer.saturated), (low, high)))
    return report


def _quantizers(model: nn.Module) -> Iterator[tuple[str, Quantizer]]:
    """Every quantiser, by the name of its parameter in the state_dict."""
    for path, module in model.named_modules():
        if isinstance(module, Quantizer):
            yield path.removesuffix("_quantizer") or module.name, module


def scale_of(weight: Tensor, how: Quantize) -> Tensor:
    """The fp16 scales, of extent 1 but along the output channels; of a palette, its table [groups, 2^bits]."""
    return _compressed(weight.detach(), how)[0]


def codes_of(weight: Tensor, how: Quantize) -> Tensor:
    """The codes, in the shape of the weight: int8, or uint8 for a palette."""
    return _compressed(weight.detach(), how)[1]


def _compressed(weight: Tensor, how: Quantize) -> tuple[Tensor, Tensor]:
    """(scales, codes) or (table, codes)."""
    if how.scheme == "palette":
        return _palette(weight, how)
    if weight.device.type == "cpu" and not weight.half().isfinite().all():
        raise ValueError(NOT_FINITE)
    return _scaled(weight.float(), LEVELS[how.scheme], how.axis)


def _expanded(scale: Tensor, codes: Tensor, how: Quantize) -> Tensor:
    """The fp16 tensor that Core ML makes of scales or a table and codes."""
    if how.scheme != "palette":
        return (codes.float() * scale.float()).half()  # exact in fp32, rounded once
    groups, size = scale.shape
    channels_first = codes.movedim(how.axis, 0)
    first = torch.arange(0, groups * size, size, dtype=torch.int32, device=codes.device)
    entries = (channels_first.reshape(groups, -1).int() + first[:, None]).flatten()
    return scale.flatten().index_select(0, entries).reshape(channels_first.shape).movedim(0, how.axis)


NOT_FINITE = (
    "the weight has values that are not finite in fp16 (beyond 65504, or NaN): lower the learning rate, or "
    "keep the weight small by a norm or weight decay"
)


# int8 and int4


def _scaled(weight: Tensor, levels: int, axis: int) -> tuple[Tensor, Tensor]:
    kept = {axis % weight.dim()} if weight.dim() > 1 else set()
    peak = weight.abs().amax([i for i in range(weight.dim()) if i not in kept], keepdim=True)
    # CUDA multiplies by the rounded reciprocal of a plain number: only a division by a tensor is correctly rounded.
    scale = (peak / torch.full_like(peak, levels)).half()
    scale = scale.clamp(min=SMALLEST)  # below, codes are steps of fp16's smallest number
    scale = torch.where(peak == 0, torch.ones_like(scale), scale)
    codes = (weight / scale.float()).round().clamp(-levels, levels).to(torch.int8)
    return scale, codes


# Palettes


@dataclass(frozen=True)
class _Clustered:
    """A palette and what it was made of."""

    how: Quantize
    half: Tensor
    table: Tensor
    codes: Tensor


# The last palette of each weight. Compared by value, because `weight.data` and copies get past every version counter.
_clustered: MutableMapping[Tensor, _Clustered] = WeakTensorKeyDictionary()


def _palette(weight: Tensor, how: Quantize) -> tuple[Tensor, Tensor]:
    """(table, codes); clustered anew only when the weight has changed in fp16."""
    half = weight.half()
    last = _clustered.get(weight)
    if last is None or last.how != how or not torch.equal(last.half, half):
        last = _Clustered(how, half.clone(), *_cluster(half, how))
        _clustered[weight] = last
    return last.table.clone(), last.codes.clone()


def _cluster(half: Tensor, how: Quantize) -> tuple[Tensor, Tensor]:
    """Sorted tables of fp16 values, one a group of output channels, and the code of every entry."""
    channels = half.shape[how.axis]
    group = how.group or channels
    if channels % group:
        raise ValueError(f"the weight has {channels} output channels, which groups of {group} do not divide")
    if not half.isfinite().all():
        raise ValueError(NOT_FINITE)
    channels_first = half.movedim(how.axis, 0)
    table, codes = clustered(channels_first.reshape(channels // group, -1), 1 << how.bits)
    return table, codes.reshape(channels_first.shape).movedim(0, how.axis).contiguous()


# The op. It is opaque to compilers: generated kernels may divide by reciprocals, which costs the last bit of a scale.


def _fake_quantize(
    weight: Tensor, scheme: str, bits: int, group: int | None, axis: int
) -> tuple[Tensor, Tensor, Tensor]:
    how = Quantize(scheme, bits, group, axis)
    scale, codes = _compressed(weight, how)
    return _expanded(scale, codes, how).to(weight.dtype).contiguous(), scale, codes.contiguous()


def _shapes(weight: Tensor, scheme: str, bits: int, group: int | None, axis: int) -> tuple[Tensor, Tensor, Tensor]:
    """The results without their values, for compilers."""
    values = weight.new_empty(weight.shape)
    if scheme == "palette":
        groups = weight.shape[axis] // group if group else 1
        table = weight.new_empty((groups, 1 << bits), dtype=torch.float16)
        return values, table, values.new_empty(weight.shape, dtype=torch.uint8)
    shape = [n if weight.dim() > 1 and i == axis % weight.dim() else 1 for i, n in enumerate(weight.shape)]
    scale = weight.new_empty(shape, dtype=torch.float16)
    return values, scale, values.new_empty(weight.shape, dtype=torch.int8)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
    ctx.levels = LEVELS.get(inputs[1])
    if ctx.levels is not None:
        ctx.save_for_backward(inputs[0], output[1])


def _backward(ctx: Any, d_values: Tensor, d_scale: Tensor, d_codes: Tensor) -> tuple[Tensor | None, ...]:
    if ctx.levels is not None:
        weight, scale = ctx.saved_tensors
        d_values = d_values * (weight.abs() < (ctx.levels + 0.5) * scale.float())
    return d_values, None, None, None, None


if not hasattr(torch.ops.mctc, "fake_quantize"):  # another copy of this file may be loaded already
    _op = torch.library.custom_op(
        "mctc::fake_quantize",
        _fake_quantize,
        mutates_args=(),
        schema="(Tensor weight, str scheme, int bits, int? group, int axis) -> (Tensor, Tensor, Tensor)",
    )
    _op.register_fake(_shapes)
    _op.register_autograd(_backward, setup_context=_setup)
