"""The rules over a neural network of the older kind: findings, parameters, multiply-accumulates, in one report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from mctc.lint.coreml.check import Choice
from mctc.lint.coreml.network.graph import NetworkGraph, Node
from mctc.lint.coreml.network.shapes import CONTROL
from mctc.lint.coreml.report import Finding, LayerRow, NetworkReport, Report
from mctc.lint.coreml.rule import LayerRule, NetworkRule, Rule
from mctc.lint.coreml.target import Target, resolve
from mctc.package.model import ForeignModel
from mctc.package.network import Extents, Network


def check_network(
    model: ForeignModel,
    rules: Iterable[Rule],
    *,
    device: str | None = None,
    system: str | None = None,
    choice: Choice | None = None,
) -> Report:
    """Checks a neural network as read; `model.network` is there. Raises UsageError for a target that doesn't exist."""
    if model.network is None:
        raise ValueError(f"{model.path} is no neural network")
    target = resolve(device, system, "")
    graph = NetworkGraph(model, model.network)
    choice = choice or Choice()
    found = list(_findings(graph, [rule for rule in rules if rule.scope.covers(target)], target))
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
        network=_network(graph, model.network, shown),
        member=model.member,
    )


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


def _network(graph: NetworkGraph, network: Network, findings: Iterable[Finding]) -> NetworkReport:
    codes: dict[int | None, list[str]] = {}
    for finding in findings:
        codes.setdefault(finding.index, []).append(finding.rule.code)
    return NetworkReport(
        kind=graph.model.kind,
        layers=tuple(_row(graph, node, codes.get(node.layer.index, [])) for node in graph.nodes),
        inputs=tuple(f"{name}: {_written(shape)}" for name, shape in network.inputs.items()),
        outputs=tuple(f"{name}: {_written(graph.shapes.get(name))}" for name in network.outputs),
        updatable=network.updatable,
    )


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
