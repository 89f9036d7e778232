"""The report as Markdown, to be posted as a comment on a pull request: a table of functions, then findings by rule.

GitHub takes comments of 65,536 characters. What does not fit is counted at the end, and it is the least severe.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from mctc.diagnostics.clean import clean
from mctc.linter.coreml.formats.layers import NO_PLACEMENT, at_sizes, by_type, in_numbers, not_told, to_convert
from mctc.linter.coreml.formats.size_table import HEADS as SIZE_HEADS
from mctc.linter.coreml.formats.size_table import size_cells
from mctc.linter.coreml.formats.words import (
    ESTIMATE,
    PLACES,
    by_message,
    by_rule,
    bytes_of,
    counted,
    milliseconds,
    of_function,
    placed,
    scaled,
    shortened,
    sides_of,
    skipped_for,
    totals,
)
from mctc.linter.coreml.report import Finding, FunctionReport, NetworkReport, Report, Unchecked
from mctc.linter.coreml.rule import Rule

LIMIT = 60_000
NOTE = 200  # characters kept free for what was left out
SHOWN_OPS = 5
SHOWN_MESSAGES = 5
SHOWN_FUNCTIONS = 20
SHOWN_SIZES = 12
LONGEST_NAME = 80
LONGEST_TEXT = 500
SPECIAL = re.compile(r"[\\`*_\[\]<>#|~&$]")
LINKING = re.compile(r"(?<=[@#])|(?<=www)(?=\.)|(?=://)", re.IGNORECASE)
LAYER_COLUMNS = ("layers", "count", "parameters", "multiply-accumulates")
COLUMNS = ("function", *PLACES.values(), "segments", "estimated", "all on the CPU", "tensors", "padded")


SIZE_COLUMNS = ("judged at", *SIZE_HEADS)


def render_markdown(reports: Sequence[Report], unchecked: Sequence[Unchecked] = ()) -> str:
    """All reports, without a closing newline, in at most LIMIT characters."""
    head = f"## Core ML lint: {totals(reports)}"
    estimated = [f"<sub>{_prose(ESTIMATE)}</sub>"] if any(report.functions for report in reports) else []
    foot = "\n\n".join([*_skipped(reports), *estimated])
    room = LIMIT - len(head) - len(foot) - NOTE
    passed = _fitting(map(_unchecked, unchecked), room // 4)
    room -= sum(len(each) + 2 for each in passed)
    kept = _fitting(map(_package, reports), room // 2)
    groups = [(report, rule, group) for report in reports for rule, group in by_rule(report.findings)]
    groups.sort(key=lambda each: (each[2][0].severity.rank, -len(each[2])))
    sections = (_section(rule, group, report if len(reports) > 1 else None) for report, rule, group in groups)
    shown = _fitting(sections, room - sum(len(each) + 2 for each in kept))
    hidden = groups[len(shown) :]
    packages = len(reports) - len(kept) + len(unchecked) - len(passed)
    note = _left_out(packages, len(hidden), sum(len(group) for _, _, group in hidden))
    return "\n\n".join([head, *passed, *kept, *shown, *note, foot])


def _fitting(parts: Iterable[str], room: int) -> list[str]:
    """The first parts, as many as fit; what is beyond is not made."""
    kept = []
    for part in parts:
        room -= len(part) + len("\n\n")
        if room < 0:
            break
        kept.append(part)
    return kept


def _left_out(packages: int, rules: int, findings: int) -> Iterator[str]:
    left = [counted(packages, "package")] if packages else []
    left += [f"{counted(rules, 'rule')} with {counted(findings, 'finding')}, the least severe"] if rules else []
    if left:
        yield f"**Left out, to fit a comment:** {'; '.join(left)}. `--format json` has everything."


def _unchecked(model: Unchecked) -> str:
    said = [model.reason, f"Hint: {model.hint}" if model.hint else "", *model.about]
    return "\n".join([f"### {_code(model.label)} was not checked", "", *(f"- {_prose(line)}" for line in said if line)])


def _package(report: Report) -> str:
    if report.network is not None:
        return _network(report, report.network)
    about = f"{report.container}, {report.opset}, weights {bytes_of(report.weight_bytes)}; checked for {report.target}."
    assumed = "" if report.stated >= {"device", "os"} else " What was not stated is the oldest that the opset permits."
    found = f"{totals([report])}{f' ({report.hidden} not shown)' if report.hidden else ''}."
    rows = [_row(COLUMNS), _row(["---", *["---:"] * (len(COLUMNS) - 1)])]
    rows += [_row(list(_cells(function))) for function in report.functions[:SHOWN_FUNCTIONS]]
    parts = [f"### {_code(report.label)}", f"{_prose(about + assumed)} {found.capitalize()}"]
    parts += [_prose(note) for note in report.notes]
    parts.append("\n".join(rows))
    if len(report.functions) > SHOWN_FUNCTIONS:
        parts.append(f"and {counted(len(report.functions) - SHOWN_FUNCTIONS, 'function')} more")
    parts += [_sizes(function) for function in report.functions[:SHOWN_FUNCTIONS] if function.sizes]
    return "\n\n".join(parts)


def _network(report: Report, network: NetworkReport) -> str:
    about = f"{report.container}, {network.kind} of version {report.spec_version}, "
    about += f"weights {bytes_of(report.weight_bytes)}; checked for {report.target}. {in_numbers(network)}."
    rows = [_row(LAYER_COLUMNS), _row(["---", *["---:"] * (len(LAYER_COLUMNS) - 1)])]
    rows += [
        _row([_code(row.type), str(row.count), scaled(row.parameters), row.macs_text or "0"])
        for row in by_type(network)[:SHOWN_FUNCTIONS]
    ]
    said = [*(f"{size}." for size in at_sizes(network)), *not_told(network), NO_PLACEMENT, *to_convert(report.findings)]
    parts = [f"### {_code(report.path)}", f"{_prose(about)} {totals([report]).capitalize()}.", "\n".join(rows)]
    return "\n\n".join([*parts, _prose(" ".join(said), LIMIT // 10)])


def _sizes(function: FunctionReport) -> str:
    """The figures of a function at every size that it was judged at; those of the table above are of the first."""
    shown = function.sizes[:SHOWN_SIZES]
    rows = [_row(SIZE_COLUMNS), _row(["---", *["---:"] * (len(SIZE_COLUMNS) - 1)])]
    rows += [_row([_code(size.label.replace("|", "¦")), *size_cells(size)]) for size in shown]
    hidden = len(function.sizes) - len(shown) + function.unjudged
    more = [f"and {counted(hidden, 'size')} more"] if hidden else []
    return "\n\n".join(["\n".join(rows), *more])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(function: FunctionReport) -> Iterator[str]:
    yield _code(function.name.replace("|", "¦"))  # a pipe would end the cell
    for where in PLACES:
        yield placed(function, where)
    yield str(len(function.segments))
    yield milliseconds(function.time)
    yield milliseconds(function.cpu_time)
    yield bytes_of(function.memory.bytes)
    yield bytes_of(function.memory.padded)


def _section(rule: Rule, findings: Sequence[Finding], report: Report | None) -> str:
    """One rule in one package; the package is named where there are several."""
    times = f" ({len(findings)} times)" if len(findings) > 1 else ""
    inside = f" in {_code(report.label)}" if report is not None else ""
    lines = [f"**{findings[0].severity.value}** `{rule.code}` {_prose(rule.summary)}{times}{inside}", ""]
    messages = by_message(findings)
    lines += [f"- {_message(message, group)}" for message, group in messages[:SHOWN_MESSAGES]]
    if len(messages) > SHOWN_MESSAGES:
        lines.append(f"- and {counted(len(messages) - SHOWN_MESSAGES, 'message')} more of this rule")
    lines += [f"- Contested, that it {side}: {_prose(said)}" for side, said in sides_of(rule)]
    lines.append(f"- Fix: {_prose(rule.fix)}")
    return "\n".join(lines)


def _message(message: str, findings: Sequence[Finding]) -> str:
    """'gru never runs on the Neural Engine: `gru_0`, `gru_1` and 4 more, from `spec/a.mct:15:32`'."""
    names = [of_function(each) for each in findings if each.op is not None]
    names = names or list(dict.fromkeys(each.function for each in findings if each.function is not None))
    places = list(dict.fromkeys(each.place.location for each in findings if each.place is not None))
    parts = [_prose(message)]
    parts += [f": {_codes(names)}"] if names else []
    parts += [f", from {_codes(places)}"] if places else []
    return "".join(parts)


def _codes(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN_OPS} more" if len(names) > SHOWN_OPS else ""
    return ", ".join(map(_code, names[:SHOWN_OPS])) + more


def _skipped(reports: Sequence[Report]) -> Iterator[str]:
    """Rules that were not applied to any of the packages."""
    everywhere = set.intersection(*(set(report.skipped) for report in reports)) if reports else set()
    if everywhere:
        listed = (f"{', '.join(codes)} ({needs})" for needs, codes in skipped_for(sorted(everywhere)).items())
        yield f"<sub>Not applied, for want of the target: {_prose('; '.join(listed), LIMIT // 10)}.</sub>"


def _code(name: str) -> str:
    """A name as code: no mention, link or tag takes effect in it."""
    text = clean(shortened(name, LONGEST_NAME))
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    room = " " if longest or not text.strip() else ""
    return f"{fence}{room}{text}{room}{fence}"


def _prose(text: str, longest: int = LONGEST_TEXT) -> str:
    """Text without markup; what GitHub would make a link or a mention of is broken by a space without width."""
    text = clean(shortened(" ".join(text.split()), longest))
    return SPECIAL.sub(r"\\\g<0>", LINKING.sub("\N{ZERO WIDTH SPACE}", text))
