"""What changed between two packages, for a terminal and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from mctc.diagnostics.clean import clean
from mctc.linter.coreml.diff import Difference, FunctionChange, Measure, Unit, Verdict
from mctc.linter.coreml.formats.layers import NO_PLACEMENT
from mctc.linter.coreml.formats.plain import BOLD, DIM, GREEN, RED, cell, paint, wrapped
from mctc.linter.coreml.formats.words import ESTIMATE, by_rule, bytes_of, counted, milliseconds, percent, scaled
from mctc.linter.coreml.report import Finding

KIND = "mctc lint difference"
VERSION = 1
SHOWN_OPS = 4
COUNTED = 1_000_000
"""Changes of a count from here on are told as parts of it."""
STYLES = {Verdict.BETTER: GREEN, Verdict.WORSE: RED, Verdict.SAME: DIM}


def render_diff(difference: Difference, *, color: bool = False) -> str:
    """The difference for a terminal of 80 columns, without a closing newline."""
    return "\n".join(_lines(difference, color))


def diff_json(differences: Sequence[Difference]) -> str:
    """A difference as JSON, of several a list, without a closing newline; docs/lint-config.md says what is in it."""
    content = [_content(each) for each in differences]
    return json.dumps(content if len(content) > 1 else content[0], indent=2, allow_nan=False)


def _content(difference: Difference) -> dict[str, Any]:
    worst = difference.worst
    return {
        "kind": KIND,
        "version": VERSION,
        "old": {"path": difference.old_path, "target": difference.old_target},
        "new": {"path": difference.new_path, "target": difference.new_target},
        "worst": worst.value if worst is not None else None,
        "findings": {
            "new": [_finding(each) for each in difference.new],
            "gone": [_finding(each) for each in difference.gone],
            "kept": difference.kept,
        },
        "package": [_measure(each) for each in difference.package],
        "functions": [
            {"name": each.name, "old_name": each.old_name, "measures": [_measure(one) for one in each.measures]}
            for each in difference.functions
        ],
        "added": list(difference.added),
        "removed": list(difference.removed),
    }


def _lines(difference: Difference, color: bool) -> Iterator[str]:
    yield paint(clean(difference.old_path), BOLD, color)
    yield f"{paint(clean(difference.new_path), BOLD, color)} against it"
    if difference.old_target == difference.new_target:
        yield from wrapped(f"for {difference.new_target}", 2)
    else:
        yield from wrapped(f"for {difference.new_target}; before: for {difference.old_target}, not the same", 2)
    for function in difference.functions:
        yield ""
        yield from _function(function, color)
    yield ""
    yield _head("package", color)
    yield from (_row(each, color) for each in difference.package)
    for names, what in ((difference.added, "added"), (difference.removed, "removed")):
        if names:
            yield from wrapped(f"{counted(len(names), 'function')} {what}: {', '.join(map(clean, names))}")
    yield from _findings("New", difference.new, RED, color)
    yield from _findings("Gone", difference.gone, GREEN, color)
    yield ""
    yield from _summary(difference, color)
    about = ESTIMATE if difference.placed else NO_PLACEMENT
    yield from (paint(line, DIM, color) for line in wrapped(about, hanging=0))


def _function(function: FunctionChange, color: bool) -> Iterator[str]:
    renamed = "" if function.name == function.old_name else f" (was {clean(function.old_name)})"
    yield _head(clean(function.name) + renamed, color)
    for measure in function.measures:
        yield _row(measure, color)


def _head(name: str, color: bool) -> str:
    return paint(cell(name, 28), BOLD, color) + f"{'before':>12}{'after':>12}{'change':>12}"


def _row(measure: Measure, color: bool) -> str:
    before, after = (_value(measure.unit, each) for each in (measure.before, measure.after))
    verdict = measure.verdict.value if measure.verdict in (Verdict.BETTER, Verdict.WORSE) else ""
    row = f"  {measure.name:<26}{before:>12}{after:>12}{_change(measure):>12}  {verdict}".rstrip()
    return paint(row, STYLES.get(measure.verdict, ""), color)


def _value(unit: Unit, value: float) -> str:
    if not math.isfinite(value):
        return "?"
    if unit is Unit.TIME:
        return milliseconds(value)
    if unit is Unit.BYTES:
        return bytes_of(int(value))
    return percent(value) if unit is Unit.SHARE else scaled(int(value))


def _change(measure: Measure) -> str:
    change = measure.after - measure.before
    if measure.verdict is Verdict.SAME or not math.isfinite(change):
        return ""
    if measure.unit is Unit.SHARE:
        return f"{100 * change:+.0f} points"
    if measure.unit is Unit.COUNT and (not measure.before or abs(change) < COUNTED):
        return f"{change:+,.0f}"
    if not measure.before:
        return ""
    return f"{100 * change / measure.before:+.0f} %"


def _findings(title: str, findings: Sequence[Finding], style: str, color: bool) -> Iterator[str]:
    if not findings:
        return
    yield ""
    yield paint(f"{title}: {counted(len(findings), 'finding')}", style, color)
    for rule, group in by_rule(findings):
        times = f" (x{len(group)})" if len(group) > 1 else ""
        yield from wrapped(f"{group[0].severity.value} {rule.code}  {clean(rule.summary)}{times}", 2, 4)
        ops = [f"{each.function or 'package'}: {each.op}" if each.op else each.message for each in group]
        more = f" and {len(ops) - SHOWN_OPS} more" if len(ops) > SHOWN_OPS else ""
        yield from wrapped(", ".join(map(clean, ops[:SHOWN_OPS])) + more, 6, 0)


def _summary(difference: Difference, color: bool) -> Iterator[str]:
    for title, verdict, findings, style in (
        ("Better", Verdict.BETTER, counted(len(difference.gone), "finding") + " gone", GREEN),
        ("Worse", Verdict.WORSE, counted(len(difference.new), "finding") + " new", RED),
    ):
        said = [findings] if (difference.gone if verdict is Verdict.BETTER else difference.new) else []
        by_function: dict[str, list[str]] = {}
        for function, measure in difference.measures(verdict):
            by_function.setdefault(function, []).append(measure.name)
        said += [f"{function or 'package'}: {', '.join(names)}" for function, names in by_function.items()]
        lines = wrapped(f"{title}: {'; '.join(said) or 'nothing'}.")
        yield from (paint(line, style if said else "", color) for line in lines)
    kept = counted(difference.kept, "finding")
    yield f"{kept} {'is' if difference.kept == 1 else 'are'} in both."


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.rule.code,
        "severity": finding.severity.value,
        "message": finding.message,
        "function": finding.function,
        "op": finding.op,
        "op_type": finding.op_type,
        "fingerprint": finding.fingerprint,
    }


def _measure(measure: Measure) -> dict[str, Any]:
    return {
        "name": measure.name,
        "unit": measure.unit.value,
        "before": _number(measure.before),
        "after": _number(measure.after),
        "verdict": measure.verdict.value,
        "severity": measure.severity.value,
    }


def _number(value: float) -> float | None:
    """JSON has no infinity: null for what is not finite."""
    return round(value, 6) if math.isfinite(value) else None
