"""What several formats say alike: numbers with units, findings by rule, and where the estimates come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from mctc.hardware.rates import CHIP
from mctc.linter.coreml.placement import Predicted
from mctc.linter.coreml.report import Finding, FunctionReport, Report, SizeRow
from mctc.linter.coreml.rule import Rule, Severity

PLACES = {Predicted.ANE: "Neural Engine", Predicted.DOUBTFUL: "doubtful", Predicted.CPU: "CPU"}
COMPUTE_UNITS = "CPU_AND_NE"
ESTIMATE = (
    f"Placement is an estimate with the constants of one chip ({CHIP}; other chips are not known), for "
    f"{COMPUTE_UNITS}, that is without the GPU. Shares are of estimated CPU time, not of ops. Only MLComputePlan on a "
    "Mac can confirm it."
)
NOUNS = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.PERFORMANCE: "performance note",
    Severity.NUMERICS: "numerics note",
    Severity.INFO: "remark",
}


def shortened(text: str, limit: int) -> str:
    """At most `limit` characters, with the middle left out where it is more."""
    if len(text) <= limit:
        return text
    head = (limit - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (limit - 1 - head) :]}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """'1 op', '3 ops'."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def percent(share: float) -> str:
    """'97 %'; what rounds to nothing or to all without being it is '< 1 %' or '> 99 %'."""
    if 0 < share < 0.005:
        return "< 1 %"
    return "> 99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"


def portion(share: float, here: int, ops: int) -> str:
    """A share beside a count: whole only where all ops are here, and nothing only where none is."""
    if here < ops and share >= 0.995:
        return "> 99 %"
    return "< 1 %" if here and share < 0.005 else percent(share)


def placed(figures: FunctionReport | SizeRow, where: Predicted) -> str:
    """'97 % (12 ops)'."""
    here, ops = figures.count(where), sum(map(figures.count, Predicted))
    return f"{portion(figures.shares.get(where, 0.0), here, ops)} ({counted(here, 'op')})"


def milliseconds(microseconds: float) -> str:
    return f"{microseconds / 1000:.2f} ms" if microseconds >= 10 else f"{microseconds:.1f} µs"


def bytes_of(number: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} bytes"


def scaled(number: int) -> str:
    """'1,234', '1.23 M', '4.57 G'."""
    for unit, size in (("G", 10**9), ("M", 10**6)):
        if number >= size:
            return f"{number / size:.2f} {unit}"
    return f"{number:,}"


def totals(reports: Iterable[Report]) -> str:
    """'2 errors, 1 warning', or 'nothing found'."""
    reports = list(reports)
    counts = {severity: sum(report.count(severity) for report in reports) for severity in Severity}
    return ", ".join(counted(count, NOUNS[severity]) for severity, count in counts.items() if count) or "nothing found"


def by_rule(findings: Iterable[Finding]) -> list[tuple[Rule, list[Finding]]]:
    """Findings by rule, the worst severity first, then the most frequent."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.rule.code, []).append(finding)
    ordered = sorted(groups.values(), key=lambda each: (each[0].severity.rank, -len(each), each[0].rule.code))
    return [(group[0].rule, group) for group in ordered]


def by_message(findings: Iterable[Finding]) -> list[tuple[str, list[Finding]]]:
    """Findings that say the same, the most frequent first."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.message, []).append(finding)
    return sorted(groups.items(), key=lambda each: (-len(each[1]), each[0]))


def sides_of(rule: Rule) -> Iterator[tuple[str, str]]:
    """Both sides of a contested rule, each with what it says; nothing for any other."""
    if rule.sides is not None:
        yield "leaves the Neural Engine", rule.sides.leaves
        yield "stays on it", rule.sides.stays


def of_function(finding: Finding) -> str:
    """'encoder: conv_0', or the name of a layer alone, which is of no function."""
    return ": ".join(name for name in (finding.function, finding.op) if name is not None)


def skipped_for(skipped: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Codes of rules that were not applied, by what the target would have to be."""
    wanted: dict[str, list[str]] = {}
    for code, target in skipped:
        wanted.setdefault(target, []).append(code)
    return wanted
