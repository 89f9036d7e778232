"""The report as JSON, for tools: everything that a Report holds. docs/lint-json.md says what each key means.

The schema (lint-report-1.schema.json, beside this file) is part of the format: a new key is added to it, and a key that
changes or goes makes a new version. `python -m mctc.linter.coreml.formats.json_schema` prints it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from mctc.diagnostics.errors import UsageError
from mctc.hardware.rates import CHIP
from mctc.linter.coreml.compile_cost import CompileCost
from mctc.linter.coreml.engine_numbers import EngineNumbers
from mctc.linter.coreml.formats.artifacts import PLACE
from mctc.linter.coreml.formats.json_text import json_text
from mctc.linter.coreml.formats.words import COMPUTE_UNITS, ESTIMATE
from mctc.linter.coreml.memory import HeldBytes, Memory
from mctc.linter.coreml.placement import Predicted, Segment
from mctc.linter.coreml.report import (
    Finding,
    FunctionReport,
    LayerRow,
    NetworkReport,
    OpRow,
    Place,
    Report,
    SizeRow,
    Unchecked,
)
from mctc.linter.coreml.rule import Rule, Severity
from mctc.linter.coreml.target import Scope
from mctc.version import __version__

VERSION = 1
KIND = "mctc lint report"
SEVERITIES = tuple(severity.value for severity in Severity)


def render_json(reports: Sequence[Report], unchecked: Sequence[Unchecked] = ()) -> str:
    """All reports as one JSON object, without a closing newline."""
    return "\n".join(_lines(as_data(reports, unchecked)))


def as_data(reports: Sequence[Report], unchecked: Sequence[Unchecked] = ()) -> dict[str, Any]:
    """What render_json writes, as dicts, lists, text and numbers."""
    rules = {finding.rule.code: finding.rule for report in reports for finding in report.findings}
    return {
        "kind": KIND,
        "version": VERSION,
        "mctc": __version__,
        "estimate": {"chip": CHIP, "compute_units": COMPUTE_UNITS, "note": ESTIMATE},
        "rules": {code: _rule(rules[code]) for code in sorted(rules)},
        "packages": [_package(report) for report in reports],
        "unchecked": [_unchecked(each) for each in unchecked],
    }


def read_json(text: str) -> list[dict[str, Any]]:
    """The packages of a report that render_json wrote, as data: see `packages` of the schema.

    What a comparison reads is checked: paths, and code, severity, message and fingerprint of every finding. Raises
    UsageError for text that is no report, or one of another version.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"this is no JSON: {error}", hint="`mctc lint --format json` writes a report") from error
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise UsageError("this is no report of mctc lint", hint="`mctc lint --format json` writes one")
    if data.get("version") != VERSION:
        raise UsageError(
            f"this report has version {data.get('version')!r}, not {VERSION}", hint="write it again with this mctc"
        )
    packages = data.get("packages")
    if not isinstance(packages, list) or not all(map(_is_package, packages)):
        raise UsageError("this report of mctc lint is damaged", hint="write it again")
    return packages


def _is_package(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("path"), str):
        return False
    findings = value.get("findings")
    return isinstance(findings, list) and all(
        isinstance(each, dict)
        and all(isinstance(each.get(key), str) for key in ("code", "message", "fingerprint"))
        and each.get("severity") in SEVERITIES
        for each in findings
    )


def _rule(rule: Rule) -> dict[str, Any]:
    sides = {"stays": rule.sides.stays, "leaves": rule.sides.leaves} if rule.sides is not None else None
    return {
        "name": rule.name,
        "summary": rule.summary,
        "severity": rule.severity.value,
        "effect": rule.effect.value,
        "evidence": list(rule.evidence),
        "confidence": rule.confidence,
        "contested": rule.contested,
        "sides": sides,
        "scope": _scope(rule.scope),
        "why": " ".join(rule.why.split()),
        "fix": " ".join(rule.fix.split()),
        "source": rule.source,
    }


def _scope(scope: Scope) -> dict[str, list[str]]:
    return {"families": sorted(scope.families), "platforms": sorted(scope.platforms)}


def _package(report: Report) -> dict[str, Any]:
    return {
        "path": report.path,
        "member": report.member,
        "notes": list(report.notes),
        "container": report.container,
        "spec_version": report.spec_version,
        "opset": report.opset,
        "target": {"name": report.target, "stated": sorted(report.stated)},
        "weight_bytes": report.weight_bytes,
        "made_by": dict(report.made_by),
        "counts": {severity.value: report.count(severity) for severity in Severity},
        "hidden": report.hidden,
        "skipped": [{"code": code, "needs": needs} for code, needs in report.skipped],
        "findings": [_finding(each) for each in report.findings],
        "functions": [_function(each) for each in report.functions],
        "network": _network(report.network),
    }


def _unchecked(model: Unchecked) -> dict[str, Any]:
    return {
        "path": model.path,
        "member": model.member,
        "kind": model.kind,
        "reason": model.reason,
        "hint": model.hint,
        "about": list(model.about),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.rule.code,
        "severity": finding.severity.value,
        "message": finding.message,
        "function": finding.function,
        "op": finding.op,
        "op_type": finding.op_type,
        "index": finding.index,
        "place": _place(finding.place),
        "fingerprint": finding.fingerprint,
        "sizes": list(finding.sizes),
    }


def _place(place: Place | None) -> dict[str, Any] | None:
    if place is None:
        return None
    match = PLACE.fullmatch(place.location)
    return {
        "location": place.location,
        "file": match["file"] if match else None,
        "line": int(match["line"]) if match else None,
        "column": int(match["column"]) if match else None,
        "instance": place.instance,
    }


def _function(function: FunctionReport) -> dict[str, Any]:
    return {
        "name": function.name,
        "inputs": list(function.inputs),
        "outputs": list(function.outputs),
        "states": list(function.states),
        "shares": {where.value: _number(function.shares.get(where, 0.0), 6) for where in Predicted},
        "op_counts": {where.value: function.count(where) for where in Predicted},
        "constants": function.constants,
        "time_us": _number(function.time),
        "cpu_time_us": _number(function.cpu_time),
        "saving_us": _number(function.saving),
        "switches": function.switches,
        "size": function.size,
        "sizes": [_size(each) for each in function.sizes],
        "unjudged_sizes": function.unjudged,
        "open_ops": function.open,
        "memory": _memory(function.memory),
        "arithmetic": _arithmetic(function.numbers),
        "compile": _compile(function.compile),
        "segments": [_segment(each) for each in function.segments],
        "ops": [_op(each) for each in function.ops],
    }


def _arithmetic(numbers: EngineNumbers | None) -> dict[str, Any] | None:
    if numbers is None:
        return None
    return {
        "family": numbers.family,
        "ops": {kind: dict(types) for kind, types in numbers.ops.items()},
        "sums": numbers.sums,
        "bounded_sums": numbers.bounded,
        "largest_bound": None if numbers.largest is None else _number(numbers.largest),
        "largest_at": numbers.at,
    }


def _compile(cost: CompileCost | None) -> dict[str, Any] | None:
    if cost is None:
        return None
    return {
        "first_load_s": _number(cost.load),
        "compiler_s": {name: _number(value) for name, value in cost.direct},
        "disk_bytes": int(cost.disk),
        "memory_bytes": int(cost.memory),
        "first_call_ms": [_number(value) for value in cost.first_call],
        "call_ms": _number(cost.steady),
        "fails": cost.fails,
    }


def _size(size: SizeRow) -> dict[str, Any]:
    return {
        "size": str(size),
        "shapes": {name: list(shape) for name, shape in size.shapes.items()},
        "roles": list(size.roles),
        "misfit": size.misfit,
        "outputs": list(size.outputs),
        "shares": {where.value: _number(size.shares[where], 6) for where in Predicted},
        "op_counts": {where.value: size.count(where) for where in Predicted},
        "time_us": _number(size.time),
        "cpu_time_us": _number(size.cpu_time),
        "macs": size.macs,
        "bytes": size.memory,
        "padded": size.padded,
        "peak": size.peak,
        "open_ops": size.open,
    }


def _memory(memory: Memory) -> dict[str, Any]:
    return {
        "bytes": memory.bytes,
        "padded": memory.padded,
        "peak": memory.peak,
        "peak_at": memory.peak_at,
        "interface": [_held(each) for each in memory.interface],
        "wasteful": [_held(each) for each in memory.wasteful],
    }


def _held(held: HeldBytes) -> dict[str, Any]:
    return {"name": held.name, "kind": held.kind, "type": held.type, "bytes": held.bytes, "padded": held.padded}


def _segment(segment: Segment) -> dict[str, Any]:
    return {
        "backend": segment.backend.value,
        "first": segment.first,
        "last": segment.last,
        "ane_us": _number(segment.ane),
        "cpu_us": _number(segment.cpu),
        "doubtful": segment.doubtful,
    }


def _op(op: OpRow) -> dict[str, Any]:
    return {
        "name": op.name,
        "type": op.type,
        "shape": op.shape,
        "eligible": op.eligible.value,
        "predicted": op.predicted.value,
        "segment": op.segment,
        "ane_us": _number(op.ane),
        "cpu_us": _number(op.cpu),
        "flops": op.flops,
        "inputs": list(op.inputs),
        "rules": list(op.rules),
        "outputs": list(op.outputs),
        "bytes": op.bytes,
        "padded_bytes": op.padded,
        "place": _place(op.place),
    }


def _network(network: NetworkReport | None) -> dict[str, Any] | None:
    if network is None:
        return None
    return {
        "kind": network.kind,
        "updatable": network.updatable,
        "inputs": list(network.inputs),
        "outputs": list(network.outputs),
        "parameters": network.parameters,
        "macs": network.macs,
        "sizes": [{"size": row.label, "macs": row.macs, "uncounted": row.uncounted} for row in network.sizes],
        "unjudged": network.unjudged,
        "layers": [_layer(each) for each in network.layers],
    }


def _layer(layer: LayerRow) -> dict[str, Any]:
    return {
        "name": layer.name,
        "type": layer.type,
        "shape": layer.shape,
        "parameters": layer.parameters,
        "bytes": layer.bytes,
        "macs": layer.macs,
        "inputs": list(layer.inputs),
        "rules": list(layer.rules),
    }


def _number(value: float, digits: int = 3) -> float | None:
    """JSON has no infinity: null for what is not finite."""
    return round(value, digits) if math.isfinite(value) else None


def _lines(value: Any) -> list[str]:
    """One record a line, so that a report of 15,000 ops is written fast and two reports can be compared by eye."""
    opened = _opened(value, "")
    return [json_text(value)] if opened is None else opened


def _opened(value: Any, indent: str) -> list[str] | None:
    """The lines of a value that holds records: a list of objects, an object of nothing but objects, or what holds such.
    None for another, which stands on one line."""
    if not value or not isinstance(value, (dict, list)) or (isinstance(value, list) and not isinstance(value[0], dict)):
        return None
    inner = indent + "  "
    inside = list(value.values()) if isinstance(value, dict) else value
    held = [_opened(each, inner) if isinstance(each, (dict, list)) else None for each in inside]
    if isinstance(value, list):
        labels, marks = [""] * len(value), "[]"
    elif any(held) or all(isinstance(each, dict) for each in inside):
        labels, marks = [f"{json_text(key)}: " for key in value], "{}"
    else:
        return None
    lines = [marks[0]]
    for label, each, opened in zip(labels, inside, held):
        of_it = [json_text(each)] if opened is None else opened
        lines.append(f"{inner}{label}{of_it[0]}")
        lines += of_it[1:]
        lines[-1] += ","
    lines[-1] = lines[-1][:-1]
    lines.append(f"{indent}{marks[1]}")
    return lines
