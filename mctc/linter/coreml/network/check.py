"""The rules over a neural network of the older kind: findings, parameters, multiply-accumulates, in one report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from mctc.linter.coreml.check import Choice
from mctc.linter.coreml.network.graph import NetworkGraph, Node
from mctc.linter.coreml.network.shapes import CONTROL
from mctc.linter.coreml.network.sizes import inputs_at, sizes_of_network
from mctc.linter.coreml.report import Finding, LayerRow, NetworkReport, NetworkSize, Report
from mctc.linter.coreml.rule import LayerRule, NetworkRule, Rule
from mctc.linter.coreml.sized import within_budget
from mctc.linter.coreml.sizes import Size, WantedShape
from mctc.linter.coreml.target import Target, resolve
from mctc.package.model import ForeignModel
from mctc.package.network import Extents, Network

Sized = tuple[Size | None, NetworkGraph]


def check_network(
    model: ForeignModel,
    rules: Iterable[Rule],
    *,
    device: str | None = None,
    system: str | None = None,
    choice: Choice | None = None,
    shapes: Sequence[WantedShape] = (),
) -> Report:
    """Checks a neural network as read; `model.network` is there.

    shapes: at which an input of several is judged. Raises UsageError for a target that doesn't exist, and for a shape
    that an input can't have.
    """
    if model.network is None:
        raise ValueError(f"{model.path} is no neural network")
    target = resolve(device, system, "")
    sizes = sizes_of_network(model, model.network, shapes)
    judged = within_budget(sizes, sum(1 for _ in model.network.walk()))
    graphs = _graphs(model, model.network, judged)
    choice = choice or Choice()
    found = _findings_of([rule for rule in rules if rule.scope.covers(target)], graphs, target)
    shown = [replace(each, severity=choice.severity(each.rule)) for each in found if choice.shows(each.rule)]
    shown.sort(key=lambda each: (each.severity.rank, each.rule.code, each.index or 0))
    return Report(
        path=str(model.path),
        container=model.container,
        spec_version=model.spec_version,
        opset="",
        target=str(target),
        stated=target.stated,
        weight_bytes=sum(weight.bytes for layer in model.network.walk() for weight in layer.weights),
        findings=tuple(shown),
        functions=(),
        hidden=len(found) - len(shown),
        made_by=dict(model.metadata.user),
        network=_network(graphs, model.network, shown, len(sizes) - len(judged)),
        member=model.member,
    )


def _graphs(model: ForeignModel, network: Network, sizes: Sequence[Size]) -> list[Sized]:
    """The network at each of the sizes; without a size where its shapes are fixed."""
    found: list[Sized] = [(size, NetworkGraph(model, network, inputs_at(network, size))) for size in sizes]
    return found or [(None, NetworkGraph(model, network))]


def _findings_of(rules: list[Rule], graphs: Sequence[Sized], target: Target) -> list[Finding]:
    """What is found at the first size, then what is new at others, with the size that it is new at."""
    found = list(_findings(graphs[0][1], rules, target))
    known = {(each.rule.code, each.index) for each in found}
    for size, graph in graphs[1:]:
        new = [each for each in _findings(graph, rules, target) if (each.rule.code, each.index) not in known]
        known |= {(each.rule.code, each.index) for each in new}
        found += [replace(each, message=f"{each.message}, at {size.label}") for each in new if size is not None]
    return found


def _findings(graph: NetworkGraph, rules: list[Rule], target: Target) -> Iterator[Finding]:
    of_layers = [rule for rule in rules if isinstance(rule, LayerRule)]
    for node in graph.nodes:
        for rule in of_layers:
            message = rule.find(node, graph, target) if node.type in rule.layers else None
            if message is not None:
                layer = node.layer
                yield Finding(rule, rule.severity, message, None, layer.name, layer.type, layer.index)
    for of_all in (rule for rule in rules if isinstance(rule, NetworkRule)):
        yield from (Finding(of_all, of_all.severity, message) for message in of_all.find(graph, target))


def _network(graphs: Sequence[Sized], network: Network, findings: Iterable[Finding], unjudged: int) -> NetworkReport:
    graph = graphs[0][1]
    codes: dict[int | None, list[str]] = {}
    for finding in findings:
        codes.setdefault(finding.index, []).append(finding.rule.code)
    return NetworkReport(
        kind=graph.model.kind,
        layers=tuple(_row(graph, node, codes.get(node.layer.index, [])) for node in graph.nodes),
        inputs=tuple(f"{name}: {_written(shape)}" for name, shape in graph.inputs.items()),
        outputs=tuple(f"{name}: {_written(graph.shapes.get(name))}" for name in network.outputs),
        updatable=network.updatable,
        sizes=tuple(_size(size, each) for size, each in graphs if size is not None),
        unjudged=unjudged,
    )


def _size(size: Size, graph: NetworkGraph) -> NetworkSize:
    macs = [node.macs for node in graph.nodes]
    return NetworkSize(size.label, sum(each or 0 for each in macs), macs.count(None))


def _row(graph: NetworkGraph, node: Node, codes: Iterable[str]) -> LayerRow:
    layer = node.layer
    shape = node.outputs[0] if node.outputs else None
    nothing = "nothing" if layer.type in CONTROL or not node.outputs else ""
    makers = (maker.layer.index for maker in graph.producers(node) if maker is not None)
    return LayerRow(
        name=layer.name,
        type=layer.type,
        shape=nothing if shape is None else _written(shape),
        parameters=layer.parameters,
        bytes=sum(weight.bytes for weight in layer.weights),
        macs=node.macs,
        inputs=tuple(dict.fromkeys(makers)),
        rules=tuple(dict.fromkeys(codes)),
    )


def _written(shape: Extents | None) -> str:
    """'[1, 3, ?, ?]', or 'unknown'."""
    return "unknown" if shape is None else f"[{', '.join('?' if extent is None else str(extent) for extent in shape)}]"
