"""Reports as the page's script reads them: plain JSON, a function's ops as columns, names that repeat in a list.

`as_json` gives text that can stand inside a <script> element: it has no `<`, `>` or `&`, and nothing but ASCII.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

from mctc.hardware.rates import CHIP
from mctc.linter.coreml.formats.arithmetic_lines import arithmetic_lines
from mctc.linter.coreml.formats.layers import NO_PLACEMENT, at_sizes, in_numbers, not_told
from mctc.linter.coreml.formats.page.layout import Layout, lay_out
from mctc.linter.coreml.formats.page.verdict import verdict
from mctc.linter.coreml.formats.size_table import HEADS, size_cells
from mctc.linter.coreml.formats.words import COMPUTE_UNITS, ESTIMATE, placed, sides_of, skipped_for
from mctc.linter.coreml.memory import Memory
from mctc.linter.coreml.placement import Eligible, Predicted
from mctc.linter.coreml.report import Finding, FunctionReport, NetworkReport, OpRow, Place, Report
from mctc.linter.coreml.rule import CONFIDENCE, EVIDENCE, Rule, Severity
from mctc.linter.coreml.segment import CHARGES

ELIGIBLE, PREDICTED = list(Eligible), list(Predicted)
FOR_SCRIPT = {character: f"\\u{ord(character):04x}" for character in "<>&"}


def as_json(data: Any) -> str:
    """JSON for the inside of a <script> element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for character, escape in FOR_SCRIPT.items():
        text = text.replace(character, escape)
    return text


def data_of(reports: Iterable[Report]) -> dict[str, Any]:
    """Everything the page shows."""
    return {
        "chip": CHIP,
        "units": COMPUTE_UNITS,
        "estimate": ESTIMATE,
        "charge": {"launch": CHARGES.launch, "switch": CHARGES.switch, "output": CHARGES.output},
        "severities": [severity.value for severity in Severity],
        "eligible": [each.value for each in ELIGIBLE],
        "predicted": [each.value for each in PREDICTED],
        "packages": [_package(report) for report in reports],
    }


def _package(report: Report) -> dict[str, Any]:
    rules = {finding.rule.code: _rule(finding.rule) for finding in report.findings}
    return {
        "path": report.label,
        "notes": list(report.notes),
        "container": report.container,
        "specVersion": report.spec_version,
        "opset": report.opset,
        "target": report.target,
        "stated": sorted(report.stated),
        "weightBytes": report.weight_bytes,
        "hidden": report.hidden,
        "madeFrom": report.made_by.get("mctc.model"),
        "skipped": [[target, codes] for target, codes in skipped_for(report.skipped).items()],
        "rules": rules,
        "findings": [_finding(finding) for finding in report.findings],
        "functions": [_function(function) for function in report.functions],
        "network": _network(report.network),
    }


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "code": rule.code,
        "name": rule.name,
        "summary": rule.summary,
        "why": rule.why,
        "fix": rule.fix,
        "source": rule.source,
        "evidence": [[letter, EVIDENCE[letter]] for letter in dict.fromkeys(rule.evidence)],
        "confidence": CONFIDENCE[rule.confidence],
        "effect": rule.effect.value,
        "sides": [list(side) for side in sides_of(rule)],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule.code,
        "severity": finding.severity.value,
        "message": finding.message,
        "function": finding.function,
        "op": finding.op,
        "index": finding.index,
        "place": _place(finding.place),
    }


def _function(function: FunctionReport) -> dict[str, Any]:
    return {
        "name": function.name,
        "verdict": verdict(function),
        "shares": {where.value: _number(share) for where, share in function.shares.items()},
        "portions": {where.value: placed(function, where) for where in Predicted if function.count(where)},
        "sizeHeads": ["judged at", *HEADS],
        "sizes": [[size.label, *size_cells(size), size.misfit or ""] for size in function.sizes],
        "unjudged": function.unjudged,
        "open": function.open,
        "time": _number(function.time),
        "cpuTime": _number(function.cpu_time),
        "constants": function.constants,
        "inputs": list(function.inputs),
        "outputs": list(function.outputs),
        "states": list(function.states),
        "segments": [
            [each.backend.value, each.first, each.last, _number(each.ane), _number(each.cpu), each.doubtful]
            for each in function.segments
        ],
        "memory": _memory(function.memory),
        "arithmetic": list(arithmetic_lines(function.numbers)),
        "ops": _ops(function.ops),
        "layout": _layout(lay_out([op.inputs for op in function.ops])),
    }


def _ops(ops: Sequence[OpRow]) -> dict[str, Any]:
    """A column for every field; types, shapes and rules as positions in lists of their own; what only some have by
    position. outputs: where they are not simply the op's name."""
    types, type_of = _listed(op.type for op in ops)
    shapes, shape_of = _listed(op.shape for op in ops)
    codes = list(dict.fromkeys(code for op in ops for code in op.rules))
    code_of = {code: index for index, code in enumerate(codes)}
    return {
        "names": [op.name for op in ops],
        "types": types,
        "type": type_of,
        "shapes": shapes,
        "shape": shape_of,
        "eligible": [ELIGIBLE.index(op.eligible) for op in ops],
        "predicted": [PREDICTED.index(op.predicted) for op in ops],
        "segment": [op.segment for op in ops],
        "ane": [_number(op.ane) for op in ops],
        "cpu": [_number(op.cpu) for op in ops],
        "flops": [_number(op.flops) for op in ops],
        "bytes": [_number(op.bytes) for op in ops],
        "padded": [_number(op.padded) for op in ops],
        "outputs": {index: list(op.outputs) for index, op in enumerate(ops) if op.outputs != (op.name,)},
        "inputs": [list(op.inputs) for op in ops],
        "codes": codes,
        "rules": {index: [code_of[code] for code in op.rules] for index, op in enumerate(ops) if op.rules},
        "places": {index: _place(op.place) for index, op in enumerate(ops) if op.place is not None},
    }


def _network(network: NetworkReport | None) -> dict[str, Any] | None:
    if network is None:
        return None
    return {
        "kind": network.kind,
        "numbers": in_numbers(network),
        "notTold": [*at_sizes(network), *not_told(network)],
        "note": NO_PLACEMENT,
        "inputs": list(network.inputs),
        "outputs": list(network.outputs),
        "layers": [
            [layer.name, layer.type, layer.shape, layer.parameters, layer.macs, list(layer.rules)]
            for layer in network.layers
        ],
    }


def _layout(layout: Layout) -> dict[str, Any]:
    return {
        "x": [round(x, 2) for x in layout.x],
        "row": list(layout.row),
        "column": list(layout.column),
        "firstRows": list(layout.first_rows),
        "spans": [[round(left, 2), round(right, 2)] for left, right in layout.spans],
        "rows": layout.rows,
    }


def _memory(memory: Memory) -> dict[str, Any]:
    return {
        "bytes": memory.bytes,
        "padded": memory.padded,
        "peak": memory.peak,
        "peakAt": memory.peak_at,
        "interface": [[each.name, each.kind, each.type, each.bytes, each.padded] for each in memory.interface],
        "wasteful": [[each.name, each.kind, each.type, each.bytes, each.padded] for each in memory.wasteful],
    }


def _place(place: Place | None) -> list[str] | None:
    return None if place is None else [place.location, place.instance]


def _listed(values: Iterable[str]) -> tuple[list[str], list[int]]:
    """The different values, and for each of the given its position among them."""
    position: dict[str, int] = {}
    found = [position.setdefault(value, len(position)) for value in values]
    return list(position), found


def _number(value: float) -> float | None:
    """A number that the script can hold: None for one that is not finite there."""
    try:
        return round(value, 4) if isfinite(value) else None
    except OverflowError:  # a count from extents that nobody could store
        return None
