"""The rules as text: `mctc explain ANE-CV-001`, the help of SARIF, and docs/lint-rules.md.

`python -m mctc.linter.coreml.catalogue docs/lint-rules.md` writes the page anew.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import fill, indent

from mctc.hardware.devices import chips_of
from mctc.hardware.systems import PLATFORMS
from mctc.linter.coreml.rates import CHIP
from mctc.linter.coreml.rule import CONFIDENCE, EVIDENCE, Effect, Rule, RuleFamily, Severity
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

INTRODUCTION = f"""# Lint rules for Core ML packages

`mctc lint model.mlpackage` ([lint.md](lint.md)) checks a package by these rules; `mctc explain ANE-OP-001` prints one.
Each has two small programs: one that has the finding and one that has not, often the last size that passes. Both are
run as tests. Their notation is Python's: a line names a result, its type and the op that makes it, a name with a type
alone is an input, and a type in place of an operand is a constant of that type
(`mctc/linter/coreml/notation.py` says all of it). Examples of rules about neural networks (ANE-NN) name layers as
NeuralNetwork.proto does (`mctc/linter/coreml/network/notation.py`).

## How far to trust a rule

Apple documents little of what the Neural Engine takes, and less of how it changes with chip and system. So every rule
says who claims what it claims, and how that was found out:

@EVIDENCE@

Confidence is high where two independent sources agree, or Apple and a measurement do; medium for one good measurement;
low where sources disagree or one person saw it once. Grades C to F alone never make an error: what a path beside
Core ML rejects, Core ML places on the engine every day (concat, gelu, tile, pooling, batch_norm), and the other way
round. Where sources disagree a rule shows both sides, is a warning at most, and puts nothing off the engine.

| severity | |
|---|---|
@SEVERITIES@

## What to keep in mind

* **To be eligible is not to be placed.** Rules tell which ops the engine takes. Core ML then weighs estimated times and
  may still keep a small graph on the CPU, all of it eligible. The report therefore gives both: what is eligible, and
  where it is predicted to run.
* **Constants have no device.** Stored weights and the ops that unpack compressed ones are folded before anything is
  placed. They are in no count and in no share.
* **Names of families are not names of chips.** The compiler's families H13, H14, ... are M1, M2, ... as far as anybody
  measured. That A14 is H13, A15 is H14 and so on is inferred from two places where Apple and others name chips
  together; another source reads it differently. Rules with a family in their scope inherit that doubt on iPhones.
* **The compute units matter.** Nearly all measurements were made with the CPU and the Neural Engine allowed
  (`CPU_AND_NE`), and this linter assumes them. With the GPU allowed too, a fast GPU can take all of a model that the
  engine would take as well.
* **A plan is not a run.** Some packages are planned on the engine and fail when called, give zeros or NaN there, or
  run elsewhere after a failed compilation. Rules name the known cases; a file can't show the rest.
* **What was measured was measured on few machines.** Estimates use the constants of one chip ({CHIP}). Of M3 and of
  the inside of the A series little is published. A rule's text names its chip and system: read it before you rebuild a
  model for it.

Nothing on this page was measured again for mctc. `MLComputePlan` on a Mac has the last word."""

UNDECIDABLE = """## What no file can decide

These rows of the sources have no rule, since what they depend on is not in a package."""


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
    facts = "\n".join(f"* {name}: {_prose(text)}" for name, text in _facts(rule))
    found = f"Found:\n\n```python\n{rule.fires}\n```"
    clean = f"Not found:\n\n```python\n{rule.silent}\n```"
    return "\n\n".join([facts, *map(_prose, _said(rule)), found, clean])


def document() -> str:
    """docs/lint-rules.md: the rules that come with mctc."""
    families = built_in()
    grades = "\n".join(["| grade | |", "|---|---|", *(f"| {letter} | {text} |" for letter, text in EVIDENCE.items())])
    severities = "\n".join(f"| {severity.value} | {text} |" for severity, text in SEVERITIES.items())
    out = [INTRODUCTION.replace("@EVIDENCE@", grades).replace("@SEVERITIES@", severities), _overview(families)]
    for family in families:
        if family.rules:
            out.append(f"## {family.title}")
            out += [_section(rule) for rule in _by_code(family.rules)]
    undecided = sorted(row for family in families for row in family.not_decidable)
    rows = [f"| {code} | {_prose(reason)} |" for code, reason in undecided]
    if rows:
        out.append("\n".join([UNDECIDABLE, "", "| row | why |", "|---|---|", *rows]))
    return "\n\n".join(out) + "\n"


def built_in() -> list[RuleFamily]:
    """The families that come with mctc, without those of plugins, by title."""
    from mctc.linter.coreml.table import table
    from mctc.plugins import DISTRIBUTION, registry

    own = {
        name for name in registry().names("rules") if registry().plugin("rules", name).origin.split()[0] == DISTRIBUTION
    }
    return sorted((family for family in table().families if family.name in own), key=lambda each: each.title)


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


def _overview(families: list[RuleFamily]) -> str:
    rules = _by_code(rule for family in families for rule in family.rules)
    rows = [f"| [{rule.code}](#{_anchor(rule)}) | {_kind(rule)} | {_prose(rule.summary)} |" for rule in rules]
    return "\n".join(["## All rules", "", "| rule | | what it finds |", "|---|---|---|", *rows])


def _kind(rule: Rule) -> str:
    return f"{rule.severity.value}, contested" if rule.contested else rule.severity.value


def _section(rule: Rule) -> str:
    return f"### {_heading(rule)}\n\n{_prose(_sentence(rule.summary))}\n\n{markdown(rule)}"


def _by_code(rules: Iterable[Rule]) -> list[Rule]:
    return sorted(rules, key=lambda rule: rule.code)


def _heading(rule: Rule) -> str:
    return f"{rule.code}: {rule.name}"


def _anchor(rule: Rule) -> str:
    return _heading(rule).lower().replace(": ", "-")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _filled(text: str, before: str = "") -> str:
    after = before and f"{before}  "
    return fill(
        text, WIDTH, break_long_words=False, break_on_hyphens=False, initial_indent=before, subsequent_indent=after
    )


def _prose(text: str) -> str:
    """One line of Markdown: what would open a tag, emphasis or a cell is escaped."""
    text = " ".join(text.split())
    for character in "\\<*|":
        text = text.replace(character, "\\" + character)
    return text


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m mctc.linter.coreml.catalogue FILE.md")
    Path(sys.argv[1]).write_text(document(), encoding="utf-8")
