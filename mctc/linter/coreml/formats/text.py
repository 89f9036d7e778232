"""The report for a terminal: placement first, then findings by cause, the worst first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import StringIO
from itertools import groupby

from rich.console import Console
from rich.text import Text

from mctc.diagnostics.clean import clean
from mctc.hardware.rates import INT8_RATIO
from mctc.linter.coreml.formats.arithmetic_lines import arithmetic_lines
from mctc.linter.coreml.formats.compile_lines import compile_line
from mctc.linter.coreml.formats.layers import NO_PLACEMENT, at_sizes, by_type, in_numbers, not_told, to_convert
from mctc.linter.coreml.formats.plain import cell
from mctc.linter.coreml.formats.size_table import size_lines
from mctc.linter.coreml.formats.words import (
    ESTIMATE,
    PLACES,
    by_message,
    by_rule,
    bytes_of,
    counted,
    milliseconds,
    placed,
    scaled,
    shortened,
    sides_of,
    skipped_for,
    totals,
)
from mctc.linter.coreml.placement import Predicted
from mctc.linter.coreml.report import Finding, FunctionReport, NetworkReport, Report, Unchecked
from mctc.linter.coreml.rule import Rule, Severity

WIDTH = 80
SHOWN = 3  # ops of a message, messages of a rule, lines of a spec
LONGEST = 200  # characters of a name
BAR = 20
LAYER = 43  # columns of a layer's name and type
COLOURS = {
    Severity.ERROR: "bold red",
    Severity.WARNING: "bold yellow",
    Severity.PERFORMANCE: "magenta",
    Severity.NUMERICS: "cyan",
    Severity.INFO: "blue",
}
CELLS = {Predicted.ANE: ("█", "green"), Predicted.DOUBTFUL: ("▒", "yellow"), Predicted.CPU: ("░", "red")}


def render_text(
    reports: Sequence[Report],
    *,
    color: bool = False,
    width: int = WIDTH,
    everything: bool = False,
    unchecked: Sequence[Unchecked] = (),
) -> str:
    """All reports, without a closing newline. everything: every message and op of a finding, and what remarks say.

    unchecked: of these, the members of pipelines are told; what fails is an error of the command.
    """
    file = StringIO()
    console = Console(
        file=file, width=width, force_terminal=color, color_system="standard" if color else None,
        no_color=not color, highlight=False, markup=False, emoji=False, legacy_windows=False,
    )  # fmt: skip
    for index, report in enumerate(reports):
        if index:
            console.print()
        _Writer(console, everything).report(report)
    for member in (each for each in unchecked if not each.fails):
        console.print()
        _Writer(console, everything).unchecked(member)
    return "\n".join(line.rstrip() for line in file.getvalue().rstrip("\n").split("\n"))


class _Writer:
    """Writes one report to a console."""

    def __init__(self, console: Console, everything: bool) -> None:
        self.console, self.everything = console, everything

    def report(self, report: Report) -> None:
        self.head(report)
        for function in report.functions:
            self.function(function)
        if report.network is not None:
            self.network(report.network)
        for rule, findings in by_rule(report.findings):
            self.group(rule, findings)
        self.console.print()
        self.closing(report)

    def unchecked(self, model: Unchecked) -> None:
        self.console.print(Text(clean(model.label), "bold", overflow="fold"))
        for line in (clean(model.reason), *model.about):
            self.wrapped(line, 2, 4)

    def head(self, report: Report) -> None:
        made = report.made_by.get("mctc.model")
        from_mctc = f", made by mctc from {_named(made)}" if made else ""
        self.console.print(Text(clean(report.label), "bold", overflow="fold"))
        weights = f"weights {bytes_of(report.weight_bytes)}"
        kind = report.opset if report.network is None else f"{report.network.kind} of version {report.spec_version}"
        self.wrapped(f"{report.container}, {_named(kind)}, {weights}{from_mctc}", 2, 4)
        assumed = " and ".join({"device": "--device", "os": "--os"}[name] for name in ("device", "os")
                               if name not in report.stated)  # fmt: skip
        why = "the oldest that the opset permits" if report.network is None else "the oldest"
        oldest = f" ({why}; {assumed} to say otherwise)" if assumed else ""
        self.wrapped(f"for {report.target}{oldest}", 2, 4)
        for note in report.notes:
            self.wrapped(clean(note), 2, 4, "yellow")

    def function(self, function: FunctionReport) -> None:
        self.console.print()
        name = Text(_named(function.name), "bold", overflow="fold")
        self.console.print(name.append(f"  {counted(len(function.ops), 'op')}", "not bold"))
        if not function.ops:
            return
        bar = Text("  ")
        for (mark, colour), filled in zip(CELLS.values(), _cells(function), strict=True):
            bar.append(mark * filled, colour)
        shares = [f"{word} {placed(function, place)}" for place, word in PLACES.items() if function.count(place)]
        self.console.print(bar.append(f"  {shares[0]}"))
        for share in shares[1:]:
            self.console.print(Text(" " * (BAR + 4) + share))
        segments = f"{counted(len(function.segments), 'segment')}, {counted(function.switches, 'switch', 'switches')}"
        against = f"{milliseconds(function.time)}, all on the CPU {milliseconds(function.cpu_time)}"
        self.wrapped(f"{segments}; estimated {against}", 2, 4)
        if function.int8_time is not None:
            faster = f"were int8 by int8 {INT8_RATIO} times as fast, which sources disagree about (ANE-QT-009)"
            self.wrapped(f"{milliseconds(function.int8_time)} {faster}", 2, 4)
        memory = function.memory
        if memory.bytes:
            padded = f"{bytes_of(memory.padded)} with rows padded to 64 bytes ({memory.padded / memory.bytes:.1f}x)"
            self.wrapped(f"tensors {bytes_of(memory.bytes)}, {padded}; at most {bytes_of(memory.peak)} at once", 2, 4)
        if function.open:
            ops = counted(function.open, "op has", "ops have")
            self.wrapped(f"{ops} an extent that only a run tells: it counts as 1", 2, 4)
        for place, line in enumerate(arithmetic_lines(function.numbers) if self.everything else ()):
            self.wrapped(line if place else f"in the engine's arithmetic: {line}", 2 + 2 * bool(place), 6)
        if self.everything and (line := compile_line(function.compile)):
            self.wrapped(line, 2, 4)
        for line in size_lines(function, everything=self.everything):
            self.console.print(Text(line), no_wrap=True, overflow="fold")

    def network(self, network: NetworkReport) -> None:
        self.console.print()
        self.wrapped(in_numbers(network), 0, 2, "bold")
        self.wrapped(f"{', '.join(map(_named, network.inputs))} -> {', '.join(map(_named, network.outputs))}", 2, 4)
        for size in at_sizes(network):
            self.wrapped(_named(size), 2, 4)
        rows = [
            (f"{row.count} {_named(row.type)}", scaled(row.parameters) if row.parameters else "", row.macs_text)
            for row in by_type(network)
        ]
        if self.everything:
            rows = [
                (f"{_named(layer.name)} ({_named(layer.type)}) {layer.shape or 'shape not known'}",
                 scaled(layer.parameters) if layer.parameters else "",
                 "not known" if layer.macs is None else scaled(layer.macs) if layer.macs else "")
                for layer in network.layers
            ]  # fmt: skip
        self.console.print(Text(f"  {'layers':<{LAYER}}{'parameters':>12}{'multiply-accumulates':>23}", "bold"))
        for name, parameters, work in rows:
            line = Text(f"  {cell(name, LAYER)}{parameters:>12}{work:>23}")
            self.console.print(line, no_wrap=True, overflow="fold")
        for sentence in not_told(network):
            self.wrapped(sentence, 2, 4, "yellow")

    def group(self, rule: Rule, findings: list[Finding]) -> None:
        severity = findings[0].severity
        terse = severity is Severity.INFO and not self.everything
        if not terse:
            self.console.print()
        times = f"  (x{len(findings)})" if len(findings) > 1 else ""
        head = Text.assemble((severity.value, COLOURS[severity]), " ", (rule.code, "bold"), f"  {rule.summary}{times}")
        self.console.print(head)
        if terse:
            return
        messages = by_message(findings)
        for message, group in messages if self.everything else messages[:SHOWN]:
            self.wrapped(f"{clean(message)}{_ops(group, self.everything)}", 2, 4)
            for line in _origins(group, self.everything):
                self.wrapped(line, 4, 6, "dim")
        if not self.everything and len(messages) > SHOWN:
            self.wrapped(f"and {counted(len(messages) - SHOWN, 'message')} more of this rule (--all)", 2, 4)
        for side, said in sides_of(rule):
            self.wrapped(f"{side}: {said}", 2, 4, "dim")
        self.wrapped(f"fix: {rule.fix}", 2, 4, "green")

    def closing(self, report: Report) -> None:
        hidden = f" ({report.hidden} not shown)" if report.hidden else ""
        explain = f"; `mctc explain {report.findings[0].rule.code}` says more" if report.findings else ""
        self.wrapped(f"{totals([report])}{hidden}{explain}", 0, 0, "bold")
        if report.skipped:
            wanted = skipped_for(report.skipped).items()
            listed = "; ".join(f"{', '.join(codes)} ({target})" for target, codes in wanted)
            self.wrapped(f"Not applied, for want of the target: {listed}.", 0, 0, "dim")
        for converted in to_convert(report.findings):
            self.wrapped(converted, 0, 2, "green")
        self.wrapped(ESTIMATE if report.network is None else NO_PLACEMENT, 0, 0, "dim")

    def wrapped(self, text: str, first: int, rest: int, style: str = "") -> None:
        """Prints with a hanging indent: breaks between words, then anywhere."""
        lines = Text(" ".join(text.split()), style, overflow="fold").wrap(self.console, self.console.width - rest)
        for index, line in enumerate(lines):
            line.rstrip()
            self.console.print(Text(" " * (rest if index else first)) + line, no_wrap=True, overflow="fold")


def _named(name: str | None) -> str:
    return shortened(clean(name), LONGEST)


def _ops(group: list[Finding], everything: bool) -> str:
    """' (encoder: conv_0, conv_1 and 4 more)', or ' (encoder)' for findings about functions."""
    ops = [finding for finding in group if finding.op is not None]
    if not ops:
        names = ", ".join(dict.fromkeys(_named(each.function) for each in group if each.function))
        return f" ({names})" if names else ""
    shown = ops if everything else ops[:SHOWN]
    parts = [
        (f"{_named(function)}: " if function is not None else "") + ", ".join(_named(each.op) for each in of_function)
        for function, of_function in groupby(shown, key=lambda each: each.function)
    ]
    more = f" and {len(ops) - len(shown)} more" if len(ops) > len(shown) else ""
    return f" ({'; '.join(parts)}{more})"


def _origins(group: list[Finding], everything: bool) -> Iterator[str]:
    """The lines of the spec that the ops of a group come from, each once."""
    places = list(dict.fromkeys(each.place.location for each in group if each.place is not None))
    if places:
        shown = places if everything else places[:SHOWN]
        more = f" and {len(places) - len(shown)} more" if len(places) > len(shown) else ""
        yield f"from {', '.join(map(_named, shown))}{more}"


def _cells(function: FunctionReport) -> list[int]:
    """How many of BAR cells each place takes; what is there at all takes one."""
    shares = [function.shares[place] for place in CELLS]
    cells = [max(1, round(share * BAR)) if share > 0 else 0 for share in shares]
    cells[cells.index(max(cells))] += BAR - sum(cells)
    return cells
