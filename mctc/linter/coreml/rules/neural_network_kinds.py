"""Kinds of layers of a neural network that leave the engine whatever they are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mctc.linter.coreml.network.sequences import RECURRENT
from mctc.linter.coreml.rule import Effect, LayerRule, Severity, Sides
from mctc.linter.coreml.rules.neural_network_sources import LIST, TWO_CONVOLUTIONS
from mctc.linter.coreml.sources import DISPATCH
from mctc.linter.coreml.target import Target

if TYPE_CHECKING:
    from mctc.linter.coreml.network.graph import NetworkGraph, Node

BROADCASTABLE = (
    "modBroadcastable", "minBroadcastable", "maxBroadcastable", "addBroadcastable", "powBroadcastable",
    "divideBroadcastable", "floorDivBroadcastable", "multiplyBroadcastable", "subtractBroadcastable",
    "whereBroadcastable",
)  # fmt: skip
OF_ANY_RANK = ("concatND", "splitND", "softmaxND", "embeddingND", "gatherND", "scatterND")
GATHERS = ("gather", "gatherND", "gatherAlongAxis")


def _custom(node: Node, _: NetworkGraph, __: Target) -> str:
    return f"a custom layer of class {node.layer.settings.className or '(none)'}"


def _recurrent(node: Node, _: NetworkGraph, __: Target) -> str:
    return f"{node.type} never runs on the Neural Engine"


def _newer(node: Node, _: NetworkGraph, __: Target) -> str:
    return f"{node.type} is of the layers that came with iOS 13 for tensors of any rank"


def _gather(node: Node, _: NetworkGraph, __: Target) -> str:
    return f"{node.type} was seen off the Neural Engine"


CONTESTED_LAYERS = Sides(
    stays=f"{TWO_CONVOLUTIONS} (concatND ran on it); {DISPATCH} (ML programs, M4: the same ops are placed on it)",
    leaves=f"{LIST}: such layers make Core ML fall back to the CPU or the GPU, partly guessed",
)


KINDS = (
    LayerRule(
        code="ANE-NN-001",
        name="custom-layer",
        summary="a custom layer: the app brings its code, for the CPU and the GPU alone",
        severity=Severity.ERROR,
        effect=Effect.OFF,
        evidence="AF",
        confidence="H",
        layers=("custom",),
        why="""
            The protocol that an app implements for a custom layer has one way to compute on the CPU and one to encode
            Metal commands; there is none for the Neural Engine. What the layer makes can't be told from the file, so
            the shapes behind it are unknown too, unless the file declares them. ML programs have no custom layers.
        """,
        fix="Write the layer in terms of others, or split the model there and run the first part by itself.",
        source=f"Apple MLCustomLayer (evaluate, encode); {LIST}",
        find=_custom,
        fires="""
            x: array[1, 3, 32, 32]
            y = custom(x, className="Swish")
            return y
        """,
        silent="""
            x: array[1, 3, 32, 32]
            y = activation(x, sigmoid={})
            return y
        """,
    ),
    LayerRule(
        code="ANE-NN-002",
        name="recurrent-layer",
        summary="recurrent layers never run on the Neural Engine",
        severity=Severity.ERROR,
        effect=Effect.OFF,
        evidence="AEF",
        confidence="H",
        layers=RECURRENT,
        why="""
            Apple's staff: RNNs and LSTMs are not supported on the Neural Engine. An iPhone XS ran a part of LSTMs with
            BNNS on the CPU and the fully connected part beside it on the engine.
        """,
        fix="Leave that part on the CPU in a model of its own, or write the steps as 1x1 convolutions and gates.",
        source=f"coremltools #1780, #337; {LIST}",
        find=_recurrent,
        fires="""
            version = 3
            x: array[64]
            y, h, c = uniDirectionalLSTM(x, inputVectorSize=64, outputVectorSize=32, params={"sequenceOutput": True})
            return y, h, c
        """,
        silent="""
            version = 3
            x: array[64]
            y = innerProduct(x, inputChannels=64, outputChannels=32, weights=2048)
            return y
        """,
    ),
    LayerRule(
        code="ANE-NN-003",
        name="layer-of-any-rank",
        summary="layers for tensors of any rank, which were seen off the Neural Engine",
        severity=Severity.INFO,
        effect=Effect.DOUBT,
        evidence="EF",
        confidence="L",
        layers=(*BROADCASTABLE, *OF_ANY_RANK),
        why="""
            iOS 13 brought layers that broadcast freely and layers along any axis. A list of 2020 has them off the
            engine, where the layers of earlier years that do the same (add, multiply, concat, split, softmax) ran on
            it. A later report has concatND there. Nobody has published a list since.
        """,
        fix="Use the older layer where shapes permit it: add for addBroadcastable, concat for concatND on channels.",
        source=f"{LIST}; hollance/neural-engine docs/model-surgery.md; {TWO_CONVOLUTIONS}",
        sides=CONTESTED_LAYERS,
        find=_newer,
        fires="""
            x: array[1, 3, 32, 32]
            y = addBroadcastable(x, x)
            return y
        """,
        silent="""
            x: array[1, 3, 32, 32]
            y = add(x, x)
            return y
        """,
    ),
    LayerRule(
        code="ANE-NN-004",
        name="network-gather",
        summary="gather layers, which were seen off the Neural Engine",
        severity=Severity.INFO,
        effect=Effect.DOUBT,
        evidence="F",
        confidence="L",
        layers=GATHERS,
        why="""
            The list of 2020 has gather off the engine. Of ML programs it is measured that a gather by indices known
            beforehand stays there, and one by indices that the program computes does not (ANE-OP-022).
        """,
        fix="Look up in the app and take the rows as an input.",
        source=f"{LIST}; {DISPATCH} (sections 3.1, 3.2)",
        sides=Sides(
            stays=f"{DISPATCH} (ML programs, M4): a gather by constant indices stays",
            leaves=f"{LIST}: gather doesn't run there",
        ),
        find=_gather,
        fires="""
            x: array[10, 64]
            i: array[4]
            y = gather(x, i, axis=0)
            return y
        """,
        silent="""
            x: array[10, 64]
            y = splitND(x, axis=0, numSplits=2)
            return y
        """,
    ),
)
