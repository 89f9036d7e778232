"""The rules as text: `mctc explain ANE-CV-001`, the help of SARIF, and the page of rules."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import fill, indent

from mctc.hardware.devices import chips_of
from mctc.hardware.systems import PLATFORMS
from mctc.linter.coreml.rule import CONFIDENCE, EVIDENCE, Effect, Rule, Severity
from mctc.linter.coreml.target import Scope

WIDTH = 80
SEVERITIES = {
    Severity.ERROR: "will not run on the Neural Engine of the stated target",
    Severity.WARNING: "likely off it, or sources disagree",
    Severity.PERFORMANCE: "stays on it, but slow",
    Severity.NUMERICS: "stays on it, with risky or silently wrong numbers",
    Severity.INFO: "worth knowing",
}
EFFECTS = {
    Effect.OFF: "what it names is taken not to be eligible for the Neural Engine",
    Effect.DOUBT: "whether the Neural Engine takes what it names is in doubt; the prediction weighs both readings",
    Effect.STAYS: "no effect on where anything is predicted to run",
}


def explain(rule: Rule) -> str:
    """The long explanation of a rule as text for a terminal of 80 columns."""
    head = f"{_filled(f'{rule.code}: {rule.summary}')}\n{_filled(f'({rule.name}, {rule.severity.value})')}"
    facts = "\n".join(_filled(f"{name}: {text}", "  ") for name, text in _facts(rule))
    parts = [head, facts, *map(_filled, _said(rule))]
    for title, example in (("Found:", rule.fires), ("Not found:", rule.silent)):
        parts += [title, indent("\n".join(folded(line, WIDTH - 4) for line in example.splitlines()), "    ")]
    return "\n\n".join(parts)


def markdown(rule: Rule) -> str:
    """All that a rule says but its heading, as Markdown."""
    facts = "\n".join(f"* {name}: {prose(text)}" for name, text in _facts(rule))
    found = f"Found:\n\n```python\n{rule.fires}\n```"
    clean = f"Not found:\n\n```python\n{rule.silent}\n```"
    return "\n\n".join([facts, *map(prose, _said(rule)), found, clean])


def evidence(rule: Rule) -> str:
    """'Apple: documentation, ... (A); measured through Core ML, ... (B)'."""
    return "; ".join(f"{EVIDENCE[letter]} ({letter})" for letter in rule.evidence)


def scope(scope: Scope) -> str:
    """'M1, A14 (H13) and iOS', or 'every chip and system'."""
    families = ", ".join(f"{chips_of(name) or 'no known chip'} ({name})" for name in sorted(scope.families))
    platforms = " or ".join(PLATFORMS.get(name, name) for name in sorted(scope.platforms))
    if not families and not platforms:
        return "every chip and system"
    return "; ".join(part for part in (families or "every chip", platforms) if part)


def folded(line: str, width: int) -> str:
    """A line of an example in several, broken after commas inside brackets, where Python's syntax allows it."""
    start = line[: len(line) - len(line.lstrip())] + "    "
    lines = []
    while len(line) > width and (cut := _break(line, width)):
        lines.append(line[:cut].rstrip())
        line = start + line[cut:].lstrip()
    return "\n".join([*lines, line])


def _break(line: str, width: int) -> int:
    """Where to break a line: after the last comma before `width`, after the first beyond it, or 0 for nowhere."""
    commas = [place + 1 for place in range(len(line) - 1) if line[place : place + 2] == ", "]
    fitting = [place for place in commas if place <= width]
    return max(fitting) if fitting else min(commas, default=0)


def _facts(rule: Rule) -> Iterator[tuple[str, str]]:
    yield "severity", f"{rule.severity.value}, {SEVERITIES[rule.severity]}"
    yield "placement", EFFECTS[rule.effect]
    yield "scope", scope(rule.scope)
    yield "evidence", evidence(rule)
    yield "confidence", CONFIDENCE[rule.confidence] + (", and sources disagree" if rule.contested else "")


def _said(rule: Rule) -> Iterator[str]:
    yield rule.why
    if rule.sides is not None:
        yield f"That it leaves the Neural Engine: {rule.sides.leaves}"
        yield f"That it stays: {rule.sides.stays}"
    yield f"Fix: {rule.fix}"
    yield f"Source: {rule.source}"


def _filled(text: str, before: str = "") -> str:
    after = before and f"{before}  "
    return fill(
        text, WIDTH, break_long_words=False, break_on_hyphens=False, initial_indent=before, subsequent_indent=after
    )


def prose(text: str) -> str:
    """One line of Markdown: what would open a tag, emphasis or a cell is escaped."""
    text = " ".join(text.split())
    for character in "\\<*|":
        text = text.replace(character, "\\" + character)
    return text
