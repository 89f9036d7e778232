"""The report for a terminal: placement first, then findings by cause, the worst first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from itertools import groupby

from rich.console import Console
from rich.text import Text

from mctc.lint.coreml.cost import CHIP
from mctc.lint.coreml.placement import Predicted
from mctc.lint.coreml.report import Finding, FunctionReport, Report
from mctc.lint.coreml.rule import Rule, Severity

WIDTH = 80
SHOWN_OPS = 3
SHOWN_MESSAGES = 3
BAR = 20
COLOURS = {
    Severity.ERROR: "bold red",
    Severity.WARNING: "bold yellow",
    Severity.PERFORMANCE: "magenta",
    Severity.NUMERICS: "cyan",
    Severity.INFO: "blue",
}
PLACES = {
    Predicted.ANE: ("Neural Engine", "green", "█"),
    Predicted.DOUBTFUL: ("doubtful", "yellow", "▒"),
    Predicted.CPU: ("CPU", "red", "░"),
}


def render_text(reports: Sequence[Report], *, color: bool = False, width: int = WIDTH, everything: bool = False) -> str:
    """All reports, without a closing newline. everything: every message and op of a finding, not the first few."""
    file = StringIO()
    console = Console(
        file=file, width=width, force_terminal=color, color_system="standard" if color else None,
        no_color=not color, highlight=False, markup=False, emoji=False, legacy_windows=False,
    )  # fmt: skip
    for index, report in enumerate(reports):
        if index:
            console.print()
        _report(console, report, everything)
    return "\n".join(line.rstrip() for line in file.getvalue().rstrip("\n").split("\n"))


def _report(console: Console, report: Report, everything: bool) -> None:
    _head(console, report)
    for function in report.functions:
        _function(console, function)
    for rule, findings in by_rule(report.findings):
        _group(console, rule, findings, everything)
    console.print()
    for line in _closing(report):
        console.print(line)


def _head(console: Console, report: Report) -> None:
    made = report.made_by.get("mctc.model")
    from_mctc = f", made by mctc from {clean(made)}" if made else ""
    console.print(Text(clean(report.path), "bold"))
    weights = f"weights {bytes_of(report.weight_bytes)}"
    _indented(console, f"{report.container}, {clean(report.opset)}, {weights}{from_mctc}")
    assumed = sorted({"device": "--device", "os": "--os"}[name] for name in {"device", "os"} - report.stated)
    oldest = f" (the oldest that the opset permits; {' and '.join(assumed)} to say otherwise)" if assumed else ""
    _indented(console, f"for {report.target}{oldest}")


def _function(console: Console, function: FunctionReport) -> None:
    console.print()
    console.print(Text.assemble((clean(function.name), "bold"), f"  {_count(len(function.ops), 'op')}"))
    if not function.ops:
        return
    bar = Text("  ")
    for place, filled in zip(PLACES, _shares([function.shares[place] for place in PLACES]), strict=True):
        bar.append(PLACES[place][2] * filled, PLACES[place][1])
    bar.append("  ")
    shares = [
        f"{PLACES[place][0]} {percent(function.shares[place])} ({_count(function.count(place), 'op')})"
        for place in PLACES
        if function.count(place)
    ]
    bar.append(", ".join(shares))
    console.print(bar)
    segments = f"{_count(len(function.segments), 'segment')}, {_count(function.switches, 'switch', 'switches')}"
    against = f"{milliseconds(function.time)}, all on the CPU {milliseconds(function.cpu_time)}"
    _indented(console, f"{segments}; estimated {against}")
    memory = function.memory
    if memory.bytes:
        padded = f"{bytes_of(memory.padded)} with the last axis padded to 64 bytes ({memory.padded / memory.bytes:.1f}x)"
        _indented(console, f"tensors {bytes_of(memory.bytes)}, {padded}; at most {bytes_of(memory.peak)} at once")


def by_rule(findings: Iterable[Finding]) -> list[tuple[Rule, list[Finding]]]:
    """Findings by rule, the worst severity first, then the most frequent."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.rule.code, []).append(finding)
    ordered = sorted(groups.values(), key=lambda each: (each[0].severity.rank, -len(each), each[0].rule.code))
    return [(group[0].rule, group) for group in ordered]


def _group(console: Console, rule: Rule, findings: list[Finding], everything: bool) -> None:
    severity = findings[0].severity
    console.print()
    head = Text.assemble((severity.value, COLOURS[severity]), " ", (rule.code, "bold"), f"  {rule.summary}")
    if len(findings) > 1:
        head.append(f"  (x{len(findings)})", "bold")
    console.print(head)
    messages = [list(group) for _, group in groupby(sorted(findings, key=_message), key=_message)]
    messages.sort(key=lambda group: (-len(group), group[0].message))
    for group in messages if everything else messages[:SHOWN_MESSAGES]:
        _indented(console, _sentence(group, everything), 2, 4)
        for line in _origins(group, everything):
            _indented(console, line, 4, 6, style="dim")
    if not everything and len(messages) > SHOWN_MESSAGES:
        _indented(console, f"and {_count(len(messages) - SHOWN_MESSAGES, 'message')} more of this rule (--all)", 2, 4)
    if rule.sides is not None:
        _indented(console, f"contested: {rule.sides.leaves} Against that: {rule.sides.stays}", 2, 4)
    _indented(console, f"fix: {rule.fix}", 2, 4, style="green")


def _message(finding: Finding) -> str:
    return finding.message


def _sentence(group: list[Finding], everything: bool) -> str:
    """'encoder: conv_0, conv_1 and 4 more: kernel 1x16 is ...'."""
    ops = [finding for finding in group if finding.op is not None]
    if not ops:
        names = ", ".join(dict.fromkeys(clean(each.function) for each in group if each.function))
        return f"{names}: {clean(group[0].message)}" if names else clean(group[0].message)
    shown = ops if everything else ops[:SHOWN_OPS]
    parts = []
    for function, of_function in groupby(shown, key=lambda each: each.function or ""):
        parts.append(f"{clean(function)}: {', '.join(clean(each.op or '') for each in of_function)}")
    more = f" and {len(ops) - len(shown)} more" if len(ops) > len(shown) else ""
    return f"{clean(group[0].message)} ({'; '.join(parts)}{more})"


def _origins(group: list[Finding], everything: bool) -> Iterator[str]:
    """The lines of the spec that the ops of a group come from, each once."""
    places = list(dict.fromkeys(each.place.location for each in group if each.place is not None))
    if places:
        shown = places if everything else places[:SHOWN_OPS]
        more = f" and {len(places) - len(shown)} more" if len(places) > len(shown) else ""
        yield f"from {', '.join(map(clean, shown))}{more}"


def _closing(report: Report) -> Iterator[Text | str]:
    counts = [_count(report.count(severity), _noun(severity)) for severity in Severity if report.count(severity)]
    counted = ", ".join(counts) if counts else "nothing found"
    hidden = f" ({report.hidden} not shown)" if report.hidden else ""
    explain = f"; `mctc explain {report.findings[0].rule.code}` says more" if report.findings else ""
    yield Text(f"{counted}{hidden}{explain}", "bold")
    if report.skipped:
        wanted: dict[str, list[str]] = {}
        for code, target in report.skipped:
            wanted.setdefault(target, []).append(code)
        listed = "; ".join(f"{', '.join(codes)} ({target})" for target, codes in wanted.items())
        yield Text(f"Not applied, for want of the target: {listed}.", "dim")
    yield Text(
        f"Placement is an estimate with the constants of one chip ({CHIP}), for CPU and Neural Engine without the GPU; "
        "shares are of estimated CPU time. MLComputePlan on a Mac has the last word.",
        "dim",
    )


def _noun(severity: Severity) -> str:
    return {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "remark"}.get(
        severity, f"{severity.value} note"
    )


def _indented(console: Console, text: str, first: int = 2, rest: int = 4, style: str = "") -> None:
    """Wraps with a hanging indent, words first, then anywhere."""
    lines = Text(text, style, overflow="fold").wrap(console, console.width - rest)
    for index, line in enumerate(lines):
        console.print(Text(" " * (rest if index else first)) + line, overflow="fold", no_wrap=True)


def _shares(shares: Sequence[float]) -> list[int]:
    """How many of BAR cells each share takes; what is there at all takes one."""
    cells = [max(1, round(share * BAR)) if share > 0 else 0 for share in shares]
    largest = cells.index(max(cells))
    cells[largest] += BAR - sum(cells)
    return cells


def clean(text: str | None) -> str:
    """Text without control characters, so that a hostile package can't drive the terminal."""
    return "".join(ch if ch.isprintable() else "\N{REPLACEMENT CHARACTER}" for ch in text or "")


def percent(share: float) -> str:
    """'97 %', and '< 1 %' for what rounds to nothing."""
    return "< 1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def milliseconds(microseconds: float) -> str:
    return f"{microseconds / 1000:.2f} ms" if microseconds >= 10 else f"{microseconds:.1f} us"


def bytes_of(number: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} bytes"


def _count(number: int, noun: str, plural: str = "") -> str:
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
