"""What a package is, as text of 80 columns and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Any

from mctc.diagnostics.clean import clean
from mctc.linter.coreml.formats.json_text import json_text
from mctc.linter.coreml.formats.plain import BOLD, cell, paint, wrapped
from mctc.linter.coreml.formats.words import bytes_of, counted, scaled
from mctc.linter.coreml.report import Unchecked
from mctc.linter.coreml.sizes import labelled
from mctc.linter.coreml.summary import FunctionSummary, NetworkSummary, Port, SizeFigures, Summary
from mctc.version import __version__

KIND, VERSION = "mctc info", 1
SHOWN_TYPES, SHOWN_SIZES = 12, 8
NAME, FORM = 24, 28


def render_summary(summary: Summary, *, color: bool = False, everything: bool = False) -> str:
    """One model, without a closing newline. everything: all types of ops, all sizes and all metadata."""
    return "\n".join(_lines(summary, color, everything))


def _lines(summary: Summary, color: bool, everything: bool) -> Iterator[str]:
    label = f"{summary.path}/{summary.member}" if summary.member else summary.path
    yield from (paint(line, BOLD, color) for line in wrapped(label, 0, 0))
    needs = f", {summary.opset}: {summary.needs} and later" if summary.opset else ""
    kind = {"mlProgram": "ML program"}.get(summary.kind, summary.kind)
    yield from wrapped(f"{summary.container}, {kind} of specification {summary.spec_version}{needs}", 2)
    if summary.made:
        yield from wrapped(f"made by {' from '.join(summary.made)}", 2)
    yield from _metadata(summary, everything)
    yield from _weights(summary)
    for function in summary.functions:
        yield ""
        yield from _function(function, len(summary.functions) > 1, color, everything)
    if summary.network is not None:
        yield ""
        yield from _network(summary.network, color, everything)


def _metadata(summary: Summary, everything: bool) -> Iterator[str]:
    metadata = summary.metadata
    said = {"about": metadata.short_description, "version": metadata.version, "author": metadata.author,
            "license": metadata.license}  # fmt: skip
    for key, value in said.items():
        if value:
            yield from wrapped(f"{key}: {' '.join(value.split())}", 2)
    for key, value in metadata.user.items() if everything else ():
        yield from wrapped(f"{key}: {' '.join(value.split())}", 2)


def _weights(summary: Summary) -> Iterator[str]:
    yield from wrapped(f"weights: {scaled(summary.parameters)} parameters in {bytes_of(summary.weight_bytes)}", 2)
    for each in summary.weights:
        tensors = cell(counted(each.tensors, "tensor"), 14, right=True)
        numbers = cell(scaled(each.parameters), 12, right=True)
        yield f"    {cell(each.form, FORM)} {tensors} {numbers} {cell(bytes_of(each.bytes), 12, right=True)}"
    for path in summary.absent:
        yield from wrapped(f"the weight file {path} isn't there: sizes are from shapes alone", 4)


def _function(function: FunctionSummary, several: bool, color: bool, everything: bool) -> Iterator[str]:
    default = " (default)" if several and function.default else ""
    ops = sum(count for _, count in function.ops)
    yield paint(clean(function.name), BOLD, color) + f"{default}  {counted(ops, 'op')}"
    for kind, ports in (("input", function.inputs), ("output", function.outputs), ("state", function.states)):
        for port in ports:
            yield from _port(kind, port)
    yield from _types(function.ops, everything)
    if any(type_ == "while_loop" for type_, _ in function.ops):
        yield from wrapped("a loop's body is counted for one turn", 2)
    sizes = function.sizes
    if sizes[0].open:
        yield from wrapped(f"{counted(sizes[0].open, 'op has', 'ops have')} an extent that only a run tells", 2)
    if len(sizes) == 1:
        at = f", at {labelled(sizes[0].size, sizes[0].roles)}" if sizes[0].size else ""
        yield from wrapped(f"{_figures(sizes[0])}{at}", 2)
        return
    half = len(sizes) if everything else SHOWN_SIZES // 2
    shown = sizes if len(sizes) <= 2 * half else (*sizes[:half], *sizes[-half:])
    for size in shown:
        yield from wrapped(f"at {labelled(size.size, size.roles)}", 2)
        yield from wrapped(_figures(size), 4)
        if size.misfit is None:
            yield from wrapped(", ".join(f"{clean(each)}" for each in size.outputs), 4)
    if len(shown) < len(sizes):
        yield f"  and {counted(len(sizes) - len(shown), 'size')} more (--all)"


def _figures(size: SizeFigures) -> str:
    if size.misfit is not None:
        return f"its ops don't fit together: {size.misfit}"
    held = f"tensors {bytes_of(size.bytes)}, at most {bytes_of(size.peak)} at once with rows padded"
    return f"{scaled(size.macs)} multiply-accumulates, {held}"


def _port(kind: str, port: Port) -> Iterator[str]:
    shown = "" if port.kind in ("tensor", "state") or port.type.startswith(port.kind) else f", {port.kind}"
    default = "" if port.default is None else f", filled with {port.default:g} where it is left out"
    optional = f", optional{default}" if port.optional else ""
    about = f": {' '.join(port.description.split())}" if port.description else ""
    yield from wrapped(f"{cell(kind, 6)}  {port.name}  {port.type}{shown}{optional}{about}", 2, 8)
    if port.allowed:
        yield from wrapped(port.allowed, 10)


def _types(types: Sequence[tuple[str, int]], everything: bool) -> Iterator[str]:
    shown = types if everything else types[:SHOWN_TYPES]
    more = f" and {counted(len(types) - len(shown), 'type')} more" if len(types) > len(shown) else ""
    listed = ", ".join(f"{count} {type_}" for type_, count in shown)
    if listed:
        yield from wrapped(f"{listed}{more}", 2)


def _network(network: NetworkSummary, color: bool, everything: bool) -> Iterator[str]:
    layers = sum(count for _, count in network.layers)
    yield paint("network", BOLD, color) + f"  {counted(layers, 'layer')}"
    for kind, ports in (("input", network.inputs), ("output", network.outputs)):
        for port in ports:
            yield from wrapped(f"{cell(kind, 6)}  {port}", 2, 8)
    yield from _types(network.layers, everything)
    least = "at least " if network.uncounted else ""
    yield from wrapped(f"{least}{scaled(network.macs)} multiply-accumulates", 2)


def summaries_json(summaries: Sequence[Summary], unread: Sequence[Unchecked]) -> str:
    """All models as one JSON object, and what could not be read."""
    return json_text(
        {
            "kind": KIND,
            "version": VERSION,
            "mctc": __version__,
            "models": [_data(each) for each in summaries],
            "unread": [{"path": each.path, "reason": each.reason, "hint": each.hint} for each in unread],
        }
    )


def _data(summary: Summary) -> dict[str, Any]:
    metadata = summary.metadata
    return {
        "path": summary.path,
        "member": summary.member,
        "container": summary.container,
        "kind": summary.kind,
        "spec_version": summary.spec_version,
        "opset": summary.opset,
        "needs": summary.needs,
        "made_by": list(summary.made),
        "metadata": {
            "about": metadata.short_description,
            "version": metadata.version,
            "author": metadata.author,
            "license": metadata.license,
            "user": dict(metadata.user),
        },
        "parameters": summary.parameters,
        "weight_bytes": summary.weight_bytes,
        "weights": [
            {"form": each.form, "tensors": each.tensors, "parameters": each.parameters, "bytes": each.bytes}
            for each in summary.weights
        ],
        "absent": list(summary.absent),
        "functions": [_function_data(each) for each in summary.functions],
        "network": None if summary.network is None else _network_data(summary.network),
    }


def _function_data(function: FunctionSummary) -> dict[str, Any]:
    return {
        "name": function.name,
        "default": function.default,
        "inputs": [_port_data(each) for each in function.inputs],
        "outputs": [_port_data(each) for each in function.outputs],
        "states": [_port_data(each) for each in function.states],
        "ops": dict(function.ops),
        "constants": function.constants,
        "macs": function.sizes[0].macs,
        "sizes": [_size_data(each) for each in function.sizes],
    }


def _port_data(port: Port) -> dict[str, Any]:
    return {
        "name": port.name,
        "type": port.type,
        "kind": port.kind,
        "allowed": port.allowed,
        "optional": port.optional,
        "default": port.default if port.default is not None and isfinite(port.default) else None,
        "description": port.description,
    }


def _size_data(size: SizeFigures) -> dict[str, Any]:
    return {
        "size": size.size,
        "roles": list(size.roles),
        "outputs": list(size.outputs),
        "macs": size.macs,
        "bytes": size.bytes,
        "peak": size.peak,
        "open_ops": size.open,
        "misfit": size.misfit,
    }


def _network_data(network: NetworkSummary) -> dict[str, Any]:
    return {
        "inputs": list(network.inputs),
        "outputs": list(network.outputs),
        "layers": dict(network.layers),
        "parameters": network.parameters,
        "macs": network.macs,
        "uncounted": network.uncounted,
    }
