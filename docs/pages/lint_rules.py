"""docs/lint-rules.md, from the rules of `mctc lint`."""

from __future__ import annotations

from collections.abc import Iterable

from mctc.hardware.rates import CHIP
from mctc.linter.coreml.explain import SEVERITIES, markdown, prose
from mctc.linter.coreml.rule import EVIDENCE, Rule, RuleFamily
from mctc.linter.coreml.table import table
from mctc.plugins import DISTRIBUTION, registry

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


def page() -> str:
    """The text of docs/lint-rules.md: the rules that come with mctc."""
    families = built_in()
    grades = "\n".join(["| grade | |", "|---|---|", *(f"| {letter} | {text} |" for letter, text in EVIDENCE.items())])
    severities = "\n".join(f"| {severity.value} | {text} |" for severity, text in SEVERITIES.items())
    out = [INTRODUCTION.replace("@EVIDENCE@", grades).replace("@SEVERITIES@", severities), _overview(families)]
    for family in families:
        if family.rules:
            out.append(f"## {family.title}")
            out += [_section(rule) for rule in _by_code(family.rules)]
    undecided = sorted(row for family in families for row in family.not_decidable)
    rows = [f"| {code} | {prose(reason)} |" for code, reason in undecided]
    if rows:
        out.append("\n".join([UNDECIDABLE, "", "| row | why |", "|---|---|", *rows]))
    return "\n\n".join(out) + "\n"


def built_in() -> list[RuleFamily]:
    """The families that come with mctc, without those of plugins, by title."""
    own = {
        name for name in registry().names("rules") if registry().plugin("rules", name).origin.split()[0] == DISTRIBUTION
    }
    return sorted((family for family in table().families if family.name in own), key=lambda each: each.title)


def _overview(families: list[RuleFamily]) -> str:
    rules = _by_code(rule for family in families for rule in family.rules)
    rows = [f"| [{rule.code}](#{_anchor(rule)}) | {_kind(rule)} | {prose(rule.summary)} |" for rule in rules]
    return "\n".join(["## All rules", "", "| rule | | what it finds |", "|---|---|---|", *rows])


def _kind(rule: Rule) -> str:
    return f"{rule.severity.value}, contested" if rule.contested else rule.severity.value


def _section(rule: Rule) -> str:
    return f"### {_heading(rule)}\n\n{prose(_sentence(rule.summary))}\n\n{markdown(rule)}"


def _by_code(rules: Iterable[Rule]) -> list[Rule]:
    return sorted(rules, key=lambda rule: rule.code)


def _heading(rule: Rule) -> str:
    return f"{rule.code}: {rule.name}"


def _anchor(rule: Rule) -> str:
    return _heading(rule).lower().replace(": ", "-")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
