"""Reports made by hand, for tests of what compares and keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from mctc.linter.coreml.memory import Memory
from mctc.linter.coreml.placement import Eligible, Predicted, Segment
from mctc.linter.coreml.report import Finding, FunctionReport, OpRow, Report
from mctc.linter.coreml.rule import Effect, OpRule, Severity
from mctc.linter.coreml.segment import Backend


def rule(code: str, severity: Severity = Severity.WARNING, effect: Effect = Effect.STAYS) -> OpRule:
    return OpRule(
        code=code, name="made-up", summary=f"what {code} finds", severity=severity, why="why", fix="mend it",
        source="here", evidence="M", confidence="H", fires="", silent="", effect=effect, find=lambda op, target: None,
    )  # fmt: skip


ERROR = rule("ANE-XX-001", Severity.ERROR, Effect.OFF)
WARNING = rule("ANE-XX-002")
SLOW = rule("ANE-XX-003", Severity.PERFORMANCE)


def finding(
    rule: OpRule, op: str | None = None, op_type: str | None = "conv", function: str | None = "main", index: int = 0
) -> Finding:
    kind, place = (op_type, index) if op is not None else (None, None)
    return Finding(rule, rule.severity, f"{rule.code} of {op}", function, op, kind, place)


def op(name: str, type_: str = "conv", where: Predicted = Predicted.ANE, **said: Any) -> OpRow:
    known = {
        "shape": "fp16[1, 8]", "eligible": Eligible.YES, "segment": 0, "ane": 1.0, "cpu": 10.0, "flops": 0,
        "inputs": (), "rules": (),
    }  # fmt: skip
    return OpRow(name, type_, predicted=where, **{**known, **said})


def function(name: str = "main", ops: Sequence[OpRow] = (), **said: Any) -> FunctionReport:
    ops = tuple(ops)
    total = sum(each.cpu for each in ops) or 1.0
    shares = {where: sum(each.cpu for each in ops if each.predicted is where) / total for where in Predicted}
    segments, first = [], 0
    for backend, group in groupby(ops, key=lambda each: "cpu" if each.predicted is Predicted.CPU else "ane"):
        size = len(list(group))
        segments.append(Segment(Backend(backend), first, first + size - 1, 1.0, 1.0, 0))
        first += size
    known = {
        "shares": shares, "time": 500.0, "cpu_time": 1000.0, "memory": Memory(1000, 2000, 1500, "a", (), ()),
        "constants": 0, "inputs": ("x",), "outputs": ("y",), "states": (),
    }  # fmt: skip
    return FunctionReport(name, ops, tuple(segments), **{**known, **said})


def report(
    findings: Sequence[Finding] = (), functions: Sequence[FunctionReport] = (), path: str = "m.mlpackage", **said: Any
) -> Report:
    known = {
        "container": "mlpackage", "spec_version": 9, "opset": "CoreML8", "target": "M4 (H16), macOS 15",
        "stated": frozenset(), "weight_bytes": 10_000,
    }  # fmt: skip
    return Report(path, findings=tuple(findings), functions=tuple(functions), **{**known, **said})
