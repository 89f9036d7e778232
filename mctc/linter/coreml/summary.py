"""What a package is: its interface, sizes, weights and work, without a rule applied or a placement predicted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from mctc.linter.coreml.graph import FunctionGraph, as_tensor
from mctc.linter.coreml.judge import open_ops
from mctc.linter.coreml.memory import measure
from mctc.linter.coreml.network.check import check_network
from mctc.linter.coreml.operations import multiply_accumulates
from mctc.linter.coreml.sized import AtSize, SizedPackage
from mctc.linter.coreml.sizes import WantedShape, shape_text
from mctc.linter.coreml.stored import Stored, by_form, stored_weights
from mctc.linter.coreml.target import opset_needs
from mctc.package import Feature, ForeignModel, Metadata, NamedType, Package
from mctc.records import dataclass

SOURCES = ("com.github.apple.coremltools.version", "com.github.apple.coremltools.source")
"""Metadata in which coremltools says what a package was made with, and from."""


@dataclass(frozen=True)
class Port:
    """An input, output or state. type: element type and shape at the function's main size. kind: as the description
    tells an app. allowed: which other shapes it can have, empty for none."""

    name: str
    type: str
    kind: str
    allowed: str = ""
    optional: bool = False
    default: float | None = None
    description: str = ""


@dataclass(frozen=True)
class SizeFigures:
    """A function at one size. bytes, peak: of its tensors, all of them and the most at once. misfit: why its ops don't
    fit together there."""

    size: str
    roles: tuple[str, ...]
    outputs: tuple[str, ...]
    macs: int
    bytes: int
    peak: int
    open: int
    misfit: str | None


@dataclass(frozen=True)
class FunctionSummary:
    """sizes: the main one first; one without a name where every shape is fixed. ops: how many of each type."""

    name: str
    default: bool
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    states: tuple[Port, ...]
    ops: tuple[tuple[str, int], ...]
    constants: int
    sizes: tuple[SizeFigures, ...]


@dataclass(frozen=True)
class NetworkSummary:
    """A neural network: ports as text, layers of each type, and what they multiply where that can be told."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    layers: tuple[tuple[str, int], ...]
    parameters: int
    macs: int
    uncounted: int


@dataclass(frozen=True)
class Summary:
    """A model. needs: the first systems that read it, empty where it isn't an ML program. made: by what, from what."""

    path: str
    member: str
    container: str
    kind: str
    spec_version: int
    opset: str
    needs: str
    made: tuple[str, ...]
    metadata: Metadata
    weights: tuple[Stored, ...]
    functions: tuple[FunctionSummary, ...] = ()
    network: NetworkSummary | None = None
    absent: tuple[str, ...] = ()

    @property
    def weight_bytes(self) -> int:
        return sum(each.bytes for each in self.weights)

    @property
    def parameters(self) -> int:
        return sum(each.parameters for each in self.weights)


def summary_of(model: Package | ForeignModel, shapes: Sequence[WantedShape] = ()) -> Summary:
    """The summary of an ML program or a neural network. Raises UsageError for a shape that an input can't have."""
    return _of_network(model, shapes) if isinstance(model, ForeignModel) else _of_package(model, shapes)


def _of_package(package: Package, shapes: Sequence[WantedShape]) -> Summary:
    sized = SizedPackage(package, shapes)
    return Summary(
        path=str(package.path),
        member=package.member,
        container=package.container,
        kind="mlProgram",
        spec_version=package.spec_version,
        opset=package.opset,
        needs=opset_needs(package.opset),
        made=_made(package.metadata),
        metadata=package.metadata,
        weights=stored_weights(sized.main),
        functions=tuple(_function(sized, name) for name in package.functions),
        absent=tuple(_inside(package, each.path) for each in package.absent),
    )


def _inside(package: Package, path: Path) -> str:
    return str(path.relative_to(package.path) if path.is_relative_to(package.path) else path)


def _made(metadata: Metadata) -> tuple[str, ...]:
    """'coremltools 8.1', 'torch==2.5.0', 'mct_small'."""
    version, source = (metadata.user.get(key, "") for key in SOURCES)
    model = metadata.user.get("mctc.model", "")
    parts = (f"coremltools {version}" if version else "", source, f"mctc from {model}" if model else "")
    return tuple(part for part in parts if part)


def _function(sized: SizedPackage, name: str) -> FunctionSummary:
    main = sized.main.functions[name]
    described = main.package.package.descriptions.get(name)
    features = (*described.inputs, *described.outputs, *described.states) if described is not None else ()
    known = {feature.name: feature for feature in features}
    ats = (sized.first(name), *sized.others(name))
    return FunctionSummary(
        name=name,
        default=name == main.package.package.default_function,
        inputs=tuple(_port(item, known.get(item.name)) for item in main.inputs),
        outputs=tuple(_port(item, known.get(item.name)) for item in main.outputs),
        states=tuple(_port(item, known.get(item.name)) for item in main.states),
        ops=tuple(Counter(op.type for op in main.ops).most_common()),
        constants=len(main.constants) + len(main.constexprs),
        sizes=tuple(_figures(sized.graph(at), at) for at in ats),
    )


def _figures(graph: FunctionGraph, at: AtSize) -> SizeFigures:
    memory = measure(graph)
    return SizeFigures(
        size="" if at.size is None else str(at.size),
        roles=() if at.size is None else at.size.roles,
        outputs=tuple(map(str, graph.outputs)),
        macs=multiply_accumulates(graph.ops),
        bytes=memory.bytes,
        peak=memory.peak,
        open=open_ops(graph),
        misfit=None if graph.misfit is None else f"{graph.misfit.op}: {graph.misfit.reason}",
    )


def _port(item: NamedType, feature: Feature | None) -> Port:
    shown = str(as_tensor(item.type) or item.type)
    if feature is None:
        return Port(item.name, shown, "")
    told = (feature.optional, feature.default, feature.description)
    return Port(item.name, shown, feature.kind, _allowed(feature), *told)


def _allowed(feature: Feature) -> str:
    """'one of 1x80, 1x160', 'axis 1 from 1 to 512'; an image's axes are its height and width."""
    if len(feature.enumerated) > 1:
        return f"one of {', '.join(map(shape_text, feature.enumerated))}"
    names = ("height", "width") if feature.kind == "image" else tuple(f"axis {n}" for n in range(len(feature.ranges)))
    spans = zip(names, feature.ranges)
    return ", ".join(
        f"{name} from {least}{'' if most is None else f' to {most}'}" for name, (least, most) in spans if least != most
    )


def _of_network(model: ForeignModel, shapes: Sequence[WantedShape]) -> Summary:
    report = check_network(model, (), shapes=shapes)
    network = report.network
    assert network is not None
    layers = model.network.walk() if model.network is not None else ()
    weights = ((f"{each.bits} bits", each.count, each.bytes) for layer in layers for each in layer.weights)
    return Summary(
        path=str(model.path),
        member=model.member,
        container=model.container,
        kind=model.kind,
        spec_version=model.spec_version,
        opset="",
        needs="",
        made=_made(model.metadata),
        metadata=model.metadata,
        weights=by_form(weights),
        network=NetworkSummary(
            network.inputs,
            network.outputs,
            _counted(layer.type for layer in network.layers),
            network.parameters,
            network.macs,
            len(network.uncounted),
        ),
    )


def _counted(types: Iterable[str]) -> tuple[tuple[str, int], ...]:
    return tuple(Counter(types).most_common())
