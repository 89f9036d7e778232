"""Layers of neural networks by their type (ANE-NN-0xx); part of the family `neural-networks`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mctc.linter.coreml.rule import Effect, LayerRule, Severity, Sides
from mctc.linter.coreml.rules.neural_network_kinds import KINDS
from mctc.linter.coreml.rules.neural_network_sources import LOGGED, TWO_CONVOLUTIONS
from mctc.linter.coreml.sources import DISPATCH
from mctc.linter.coreml.target import Target

if TYPE_CHECKING:
    from mctc.linter.coreml.network.graph import NetworkGraph, Node

LOOK_UP_LIMIT = 32768


def _wide_lookup(node: Node, _: NetworkGraph, __: Target) -> str | None:
    rows = node.layer.settings.inputDim if node.type == "embedding" else node.layer.settings.vocabSize
    return f"a look-up in {rows} rows, over the {LOOK_UP_LIMIT} of Core ML's message" if rows > LOOK_UP_LIMIT else None


def _softmax(node: Node, _: NetworkGraph, __: Target) -> str | None:
    shape = node.inputs[0] if node.inputs else None
    if shape is None or len(shape) != 3 or shape[-3] == shape[-1] == 1:
        return None
    return f"softmax of a tensor of rank 3, {list(shape)}: reported to run along the last axis, not the first"


def _channel_factor(node: Node, graph: NetworkGraph, _: Target) -> str | None:
    """A product of planes with one computed number a channel, as squeeze-and-excitation has it."""
    shapes = [shape for shape in node.inputs if shape is not None and len(shape) >= 3]
    if len(shapes) != 2 or len(node.inputs) != 2 or not all(graph.producers(node)):
        return None
    if any(maker is not None and maker.type.startswith("loadConstant") for maker in graph.producers(node)):
        return None
    flat = [shape[-2:] == (1, 1) for shape in shapes]
    same = shapes[0][-3] == shapes[1][-3] != 1
    return f"{node.type} of planes with a computed number for each channel" if same and sum(flat) == 1 else None


def _joined_then_depthwise(node: Node, graph: NetworkGraph, _: Target) -> str | None:
    settings, shape = node.layer.settings, node.inputs[0] if node.inputs else None
    makers = graph.producers(node)
    if not makers or makers[0] is None or shape is None or len(shape) < 3 or settings.nGroups < 2:
        return None
    maker = makers[0]
    on_channels = maker.type == "concat" and not maker.layer.settings.sequenceConcat
    if maker.type == "concatND":
        from mctc.linter.coreml.network.extents import axis_of

        on_channels = axis_of(maker.layer.settings.axis, len(shape)) == len(shape) - 3
    if not on_channels or settings.nGroups != shape[-3]:
        return None
    return f"a depthwise convolution of {settings.nGroups} channels right behind a {maker.type} of channels"


LAYERS = (
    *KINDS,
    LayerRule(
        code="ANE-NN-005",
        name="wide-look-up",
        summary=f"an embedding of more than {LOOK_UP_LIMIT} rows",
        severity=Severity.WARNING,
        effect=Effect.DOUBT,
        evidence="E",
        confidence="M",
        layers=("embedding", "embeddingND"),
        why=f"""
            Core ML's log on an M1: "Inner product (is_lookup = True) requires nB to be bounded by {LOOK_UP_LIMIT}.
            Experienced compilation failures for larger factors in testing." Seen with an ML program of 50,257 rows,
            run by the runtime that networks have.
        """,
        fix="Look up in the app and take the vectors as an input, or split the vocabulary in two.",
        source="smpanaro/more-ane-transformers src/experiments/NOTES.md (M1, 2023)",
        find=_wide_lookup,
        fires="""
            i: array[16, 1]
            y = embeddingND(i, vocabSize=50257, embeddingSize=4, weights=8)
            return y
        """,
        silent="""
            i: array[16, 1]
            y = embeddingND(i, vocabSize=32768, embeddingSize=4, weights=8)
            return y
        """,
    ),
    LayerRule(
        code="ANE-NN-006",
        name="softmax-of-rank-3",
        summary="softmax of a tensor of rank 3 runs along another axis than the format says",
        severity=Severity.NUMERICS,
        evidence="E",
        confidence="M",
        layers=("softmax",),
        why="""
            The format puts softmax on the third axis from the end, which of rank 3 is the first. Reported, with
            numbers: the runtime takes the last. coremltools wrote such layers; a change of 2026 has it write softmaxND.
        """,
        fix="Use softmaxND with the axis that is meant, or a tensor of rank 4.",
        source="coremltools #1714, pull request #2856",
        find=_softmax,
        fires="""
            x: array[2, 1, 1]
            y = softmax(x)
            return y
        """,
        silent="""
            x: array[1, 2, 1, 1]
            y = softmax(x)
            return y
        """,
    ),
    LayerRule(
        code="ANE-NN-007",
        name="factor-for-each-channel",
        summary="planes times a computed number for each channel (squeeze and excitation)",
        severity=Severity.INFO,
        effect=Effect.DOUBT,
        evidence="E",
        confidence="L",
        layers=("multiply", "add", "multiplyBroadcastable", "addBroadcastable"),
        why="""
            Core ML's log of MobileNet V3 in 2020: "elementwise with channel broadcast supported only with constant
            vector or transplant input". Both operands were computed, [C, H, W] and [C, 1, 1].
        """,
        fix="Measure it; what was tried instead (upsampling the numbers) failed too.",
        source=LOGGED,
        sides=Sides(
            stays=f"{DISPATCH} (ML programs, M4): every broadcast of add and mul that was tried is placed on it",
            leaves=f"{LOGGED}: refused by the engine's checks in 2020",
        ),
        find=_channel_factor,
        fires="""
            x: array[1, 8, 32, 32]
            a = activation(x, ReLU={})
            s = reduce(a, mode="AVG", axis="HW")
            y = multiply(a, s)
            return y
        """,
        silent="""
            x: array[1, 8, 32, 32]
            a = activation(x, ReLU={})
            s = loadConstant(shape=[8, 1, 1], data=8)
            y = multiply(a, s)
            return y
        """,
    ),
    LayerRule(
        code="ANE-NN-008",
        name="depthwise-behind-concat",
        summary="a depthwise convolution right behind channels that were put together",
        severity=Severity.NUMERICS,
        evidence="E",
        confidence="L",
        layers=("convolution",),
        why="""
            One report with a model to build: two convolutions, concatND of their channels, a depthwise convolution.
            On the Neural Engine of iPhone 13 and 14 a part of the result was one number over and over; CPU and GPU
            agreed on another.
        """,
        fix="Compare with .cpuOnly on a phone; an activation or a pointwise convolution between may part the two.",
        source=TWO_CONVOLUTIONS,
        find=_joined_then_depthwise,
        fires="""
            x: array[1, 8, 43, 1]
            c = concatND(x, x, axis=-3)
            y = convolution(c, outputChannels=16, kernelChannels=1, nGroups=16, kernelSize=[5, 1], valid={}, weights=80)
            return y
        """,
        silent="""
            x: array[1, 8, 43, 1]
            c = concatND(x, x, axis=-3)
            y = convolution(c, outputChannels=16, kernelChannels=16, kernelSize=[5, 1], valid={}, weights=1280)
            return y
        """,
    ),
)
