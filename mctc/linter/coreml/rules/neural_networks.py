"""Neural networks of the older kind as a whole (ANE-GR-006, ANE-NN-0xx), with the rules about their layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mctc.linter.coreml.rule import NetworkRule, RuleFamily, Severity, Sides, listed
from mctc.linter.coreml.rules.neural_network_kernels import KERNELS
from mctc.linter.coreml.rules.neural_network_layers import LAYERS
from mctc.linter.coreml.target import Target

if TYPE_CHECKING:
    from mctc.linter.coreml.network.graph import NetworkGraph

MADE_WITH, MADE_FROM = "com.github.apple.coremltools.version", "com.github.apple.coremltools.source"
"""Metadata that coremltools writes."""
FLOATS = 16
"""Bits of a number from which it is stored as it is."""


def _format(graph: NetworkGraph, _: Target) -> Iterator[str]:
    model, user = graph.model, graph.model.metadata.user
    maker = f", made by coremltools {user[MADE_WITH]}" if MADE_WITH in user else ""
    source = f" from {user[MADE_FROM]}" if MADE_FROM in user else ""
    yield f"{model.kind}, specification version {model.spec_version}{maker}{source}"
    lost = [f"custom layers ({listed(_custom(graph))})"] if _custom(graph) else []
    lost += ["training on the device"] if graph.network.updatable else []
    if lost:
        yield f"an ML program has no {' and no '.join(lost)}, so not all of this model can become one"


def _custom(graph: NetworkGraph) -> list[str]:
    return list(dict.fromkeys(node.layer.settings.className for node in graph.nodes if node.type == "custom"))


def _flexible(graph: NetworkGraph, _: Target) -> Iterator[str]:
    for feature in graph.model.inputs:
        if feature.ranges:
            spans = " x ".join(f"{least} to {most or 'any'}" for least, most in feature.ranges)
            yield f"{feature.name} has a range of shapes, {spans}"


def _quantized(graph: NetworkGraph, _: Target) -> Iterator[str]:
    weights = [weight for node in graph.nodes for weight in node.layer.weights]
    packed = [weight for weight in weights if weight.bits < FLOATS]
    if packed:
        widths = listed(f"{bits} bits" for bits in sorted({weight.bits for weight in packed}))
        whole = sum(weight.count for weight in weights)
        yield f"{sum(weight.count for weight in packed)} of {whole} parameters are stored in {widths}"


NETWORKS = (
    NetworkRule(
        code="ANE-GR-006",
        name="neural-network-format",
        summary="the model is a neural network of the older kind, not an ML program",
        severity=Severity.INFO,
        evidence="A",
        confidence="H",
        why="""
            Apple keeps this format and adds nothing to it. Compression by coremltools.optimize, states, several
            functions and types of its own for every tensor are for ML programs alone. Nobody has published where Core
            ML runs the layers of such a network, or what they cost there: mctc counts them and predicts no placement.
            What is known of single layers is mostly from 2019 to 2021.
        """,
        fix="""
            coremltools 9 makes no ML program of a neural network: convert() takes PyTorch, TensorFlow or MIL, and
            saving the model as .mlpackage wraps it and changes nothing. Convert the model it was made from again, with
            convert_to="mlprogram" (iOS 15, macOS 12 and later). The converters for ONNX, Caffe and for Keras without
            TensorFlow are gone: such a source has to go through PyTorch or TensorFlow first. Without a source, the
            network has to be written anew and its weights copied.
        """,
        source=(
            "Apple coremltools docs-guides: target-conversion-formats.md, convert-to-ml-program.md; coremltools 9.0 "
            "converters/_converters_entry.py (_determine_source), models/utils.py (_convert_model_spec_to_pymil_prog)"
        ),
        find=_format,
        fires="""
            x: array[1, 3, 32, 32]
            y = activation(x, ReLU={})
            return y
        """,
        silent="""
            x: fp16[1, 3, 32, 32]
            y: fp16[1, 3, 32, 32] = relu(x=x)
            return y
        """,
    ),
    NetworkRule(
        code="ANE-NN-012",
        name="network-range-shape",
        summary="an input of a neural network has a range of shapes: it may run on CPU or GPU",
        severity=Severity.INFO,
        evidence="AE",
        confidence="L",
        why="""
            Xcode said of a network with a range of shapes that it doesn't go to the Neural Engine (2020); Apple's
            guide recommends a list of shapes, which Core ML can prepare for, over a range.
        """,
        fix="List the shapes (coremltools.models.neural_network.flexible_shape_utils) or fix one.",
        source="coremltools #1029; Apple coremltools docs-guides flexible-inputs.md",
        sides=Sides(
            stays="videlalvaro/ane-book experiments 26 and 30 (ML programs, M4 Max): ranges stay on the engine",
            leaves="coremltools #1029: a message of Xcode about a network with a range",
        ),
        find=_flexible,
        fires="""
            x: array[1, 3, 32:512, 32:512]
            y = activation(x, ReLU={})
            return y
        """,
        silent="""
            x: array[1, 3, 512, 512]
            y = activation(x, ReLU={})
            return y
        """,
    ),
    NetworkRule(
        code="ANE-NN-013",
        name="network-quantized-weights",
        summary="quantized weights of a neural network save storage alone",
        severity=Severity.INFO,
        evidence="A",
        confidence="H",
        why="""
            Apple: the weights of a network are turned back into floating-point numbers when it runs, and neither the
            precision of tensors nor that of the computation changes. So the file is smaller and the model no faster.
        """,
        fix="Nothing, where size is what was wanted; an ML program can be compressed so that the engine gains too.",
        source="Apple coremltools docs-guides quantization-neural-network.md",
        find=_quantized,
        fires="""
            x: array[1, 64]
            y = innerProduct(x, inputChannels=64, outputChannels=2, weights={"int8RawValue": "AAAAAAAA"})
            return y
        """,
        silent="""
            x: array[1, 64]
            y = innerProduct(x, inputChannels=64, outputChannels=2, weights=128)
            return y
        """,
    ),
)

RULES = RuleFamily(
    name="neural-networks",
    title="Neural networks of the older kind",
    rules=(*NETWORKS, *LAYERS, *KERNELS),
)
