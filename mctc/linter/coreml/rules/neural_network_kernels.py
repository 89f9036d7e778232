"""Kernels, windows and extents of layers of neural networks (ANE-NN-02x); part of the family `neural-networks`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mctc.linter.coreml.rule import Effect, LayerRule, Severity, Sides, listed
from mctc.linter.coreml.rules.neural_network_sources import LIST, LOGGED
from mctc.linter.coreml.sources import DISPATCH
from mctc.linter.coreml.target import Target

if TYPE_CHECKING:
    from mctc.linter.coreml.network.graph import NetworkGraph, Node

WIDEST = 13
STEEPEST = 2


def _sizes(given: Sequence[int], default: int) -> tuple[int, int]:
    """A field of two numbers; the default where it isn't as it should be."""
    from mctc.linter.coreml.network.planes import window

    return window(given, default) if len(given) in (0, 2) else (default, default)


def _dilated(node: Node, _: NetworkGraph, __: Target) -> str | None:
    dilation = _sizes(node.layer.settings.dilationFactor, 1)
    if node.layer.settings.isDeconvolution or max(dilation) < 2:
        return None
    return f"a convolution with a dilation of {dilation[0]}x{dilation[1]}"


def _wide(node: Node, _: NetworkGraph, __: Target) -> str | None:
    settings, shape = node.layer.settings, node.inputs[0] if node.inputs else None
    if node.type == "pooling" and settings.globalPooling:
        reach = [extent or 0 for extent in shape[-2:]] if shape is not None else [0]
        what = "pooling of a whole plane, a window"
    else:
        spread = _sizes(getattr(settings, "dilationFactor", ()), 1)
        reach = [(size - 1) * step + 1 for size, step in zip(_sizes(settings.kernelSize, 3), spread, strict=True)]
        what = f"a {node.type} with a window"
    return f"{what} of {'x'.join(map(str, reach))}, over {WIDEST}" if max(reach, default=0) > WIDEST else None


def _steep(node: Node, _: NetworkGraph, __: Target) -> str | None:
    stride, made = _sizes(node.layer.settings.stride, 1), node.outputs[0] if node.outputs else None
    sides = made[-2:] if made is not None and len(made) > 1 else (None, None)
    steps = [step for step, side in zip(stride, sides, strict=True) if side != 1]  # one window takes no step
    if node.layer.settings.globalPooling or max(steps, default=1) <= STEEPEST:
        return None
    return f"a pooling with a stride of {stride[0]}x{stride[1]}"


def _upsampled(node: Node, _: NetworkGraph, __: Target) -> str | None:
    fractions = getattr(node.layer.settings, "fractionalScalingFactor", ())
    factors = tuple(fractions) if len(fractions) == 2 else _sizes(node.layer.settings.scalingFactor, 1)
    return f"upsampling by {factors[0]:g}x{factors[1]:g}" if set(factors) - {1, 2} else None


def _long(node: Node, _: NetworkGraph, target: Target) -> str | None:
    limit = target.family.extent
    over = [
        f"{list(shape)}"
        for shape in node.outputs
        if shape is not None and len(shape) > 2 and max(extent or 0 for extent in shape[-2:]) > limit
    ]
    return f"{node.type} makes {listed(over)}, {target.family.name} takes {limit} rows and columns" if over else None


KERNELS = (
    LayerRule(
        code="ANE-NN-020",
        name="network-dilation",
        summary="a dilated convolution in a neural network",
        severity=Severity.INFO,
        effect=Effect.DOUBT,
        evidence="F",
        confidence="L",
        layers=("convolution",),
        why="""
            The list of 2020 has dilated convolutions off the engine. Of ML programs on an M4 they are measured there,
            and Apple asks only that dilations be products of 2 and 3.
        """,
        fix="Measure it; an ML program of the same model is likely to stay on the engine.",
        source=f"{LIST}; {DISPATCH}; Apple neural_engine_rules.md, Dilation",
        sides=Sides(
            stays=f"{DISPATCH} (ML programs, M4): a 3x3 convolution with a dilation of 2 is placed on it",
            leaves=f"{LIST}: dilated convolutions don't run there",
        ),
        find=_dilated,
        fires="""
            x: array[1, 8, 32, 32]
            y = convolution(x, outputChannels=8, kernelChannels=8, dilationFactor=[2, 2], same={}, weights=576)
            return y
        """,
        silent="""
            x: array[1, 8, 32, 32]
            y = convolution(x, outputChannels=8, kernelChannels=8, same={}, weights=576)
            return y
        """,
    ),
    LayerRule(
        code="ANE-NN-021",
        name="network-wide-window",
        summary=f"a kernel or a window of more than {WIDEST} rows or columns, dilation included",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="E",
        confidence="M",
        layers=("convolution", "pooling"),
        why=f"""
            Core ML's log in 2020, of an average over planes of 28x28: "Unsupported: (dilated)kernel width = 28 >
            {WIDEST}"; another user saw the same limit. The engine's own tables have {WIDEST} for the first family (M1),
            15 and more later.
        """,
        fix="Chain smaller windows (k = k1 + k2 - 1), or average over height and over width one after the other.",
        source=f"{LOGGED}, #1; sbryngelson/ane-guide appendix A",
        sides=Sides(
            stays=f"{DISPATCH} (ML programs, M4): kernels of 15 columns and averages over 14x14 are placed on it",
            leaves=f"{LOGGED}: refused by the engine's checks",
        ),
        find=_wide,
        fires="""
            x: array[1, 8, 28, 28]
            y = pooling(x, type="AVERAGE", globalPooling=True, valid={})
            return y
        """,
        silent="""
            x: array[1, 8, 13, 13]
            y = pooling(x, type="AVERAGE", globalPooling=True, valid={})
            return y
        """,
    ),
    LayerRule(
        code="ANE-NN-022",
        name="network-pool-stride",
        summary=f"a pooling with a stride over {STEEPEST}",
        severity=Severity.INFO,
        effect=Effect.DOUBT,
        evidence="E",
        confidence="L",
        layers=("pooling",),
        why="""
            Core ML's log in 2020: "Unsupported: stride_x = 4 > 2". Apple's rules of 2026 permit strides of 2 and 4.
        """,
        fix="Pool twice with a stride of 2.",
        source=f"{LOGGED}; Apple neural_engine_rules.md, Pooling stride",
        sides=Sides(
            stays="Apple neural_engine_rules.md (2026): pool with a stride of 2 or 4",
            leaves=f"{LOGGED}: refused by the engine's checks",
        ),
        find=_steep,
        fires="""
            x: array[1, 8, 32, 32]
            y = pooling(x, kernelSize=[4, 4], stride=[4, 4], valid={})
            return y
        """,
        silent="""
            x: array[1, 8, 32, 32]
            y = pooling(x, kernelSize=[2, 2], stride=[2, 2], valid={})
            return y
        """,
    ),
    LayerRule(
        code="ANE-NN-023",
        name="network-upsampling",
        summary="upsampling by another factor than 2",
        severity=Severity.INFO,
        effect=Effect.DOUBT,
        evidence="E",
        confidence="L",
        layers=("upsample",),
        why='Core ML\'s log in 2020: "only scaling factor of 2 is supported, getting (28, 28)".',
        fix="Upsample by 2 as often as it takes, or with a transposed convolution.",
        source=LOGGED,
        sides=Sides(
            stays=f"{DISPATCH} (ML programs, M4): resizing by other factors, fractions too, is placed on it",
            leaves=f"{LOGGED}: refused by the engine's checks",
        ),
        find=_upsampled,
        fires="""
            x: array[1, 8, 8, 8]
            y = upsample(x, scalingFactor=[4, 4])
            return y
        """,
        silent="""
            x: array[1, 8, 8, 8]
            y = upsample(x, scalingFactor=[2, 2])
            return y
        """,
    ),
    LayerRule(
        code="ANE-NN-024",
        name="network-long-axis",
        summary="more rows or columns than the family's engine takes",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="BD",
        confidence="M",
        layers=("convolution", "pooling", "activation", "padding", "upsample", "resizeBilinear", "crop", "batchnorm"),
        why="""
            The limits are the engine's (ANE-SH-002, ANE-SH-003): 16384 rows and columns up to M3 and A16, 65536 from M4
            and A17 Pro. They were logged and measured with ML programs; a network is compiled for the same engine, but
            its runtime may lay a tensor out in another way.
        """,
        fix="Tile the long axis, or move it to channels.",
        source="FluidAudio #121; pytorch/executorch #7907; 751K coreml_dispatch.md section 3.3; ane-guide appendix A",
        find=_long,
        fires="""
            x: array[1, 1, 1, 240000]
            y = activation(x, ReLU={})
            return y
        """,
        silent="""
            x: array[1, 1, 1, 16384]
            y = activation(x, ReLU={})
            return y
        """,
    ),
)
