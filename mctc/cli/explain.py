"""`mctc explain`: what a diagnostic code or a lint rule means."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import click

CODE = re.compile(r"\b(?:MCT\d{4}|MPS\d{3}|ANE-[A-Z]+-\d{3}[a-z]?)\b")


@click.command()
@click.argument("codes", nargs=-1, metavar="[CODE]...")
def explain(codes: tuple[str, ...]) -> None:
    """Explain codes of diagnostics and lint rules: MCT0051, MPS050, ANE-OP-001; without a code, list them all.

    `-` explains every code in the text on standard input, such as what `mctc check` printed.
    """
    if not codes:
        titles = list(_titles())
        width = max(len(code) for code, _ in titles)
        for code, title in titles:
            click.echo(f"{code:{width}}  {title}")
        return
    said = [each for code in codes for each in (_codes_said() if code == "-" else [code])]
    click.echo("\n\n".join(map(_explanation, said)))


def _codes_said() -> list[str]:
    """The codes in the text on standard input, each once. Raises UsageError when there is none."""
    from mctc.diagnostics.errors import UsageError

    text = sys.stdin.buffer.read().decode("utf-8", "replace")
    found = list(dict.fromkeys(CODE.findall(text)))
    if not found:
        raise UsageError("there is no code in the text on standard input", hint="codes look like MCT0051 or ANE-OP-001")
    return found


def _titles() -> Iterator[tuple[str, str]]:
    from mctc.diagnostics.catalogue import CATALOGUE
    from mctc.linter.coreml.table import table
    from mctc.linter.mps.table import RULES

    yield from ((entry.code, entry.title) for entry in CATALOGUE.values())
    yield from ((rule.code, rule.summary) for rule in RULES.values())
    yield from sorted((rule.code, rule.summary) for rule in table().rules.values())


def _explanation(code: str) -> str:
    """Raises UsageError for a code that neither the diagnostics nor the rules have."""
    from mctc.diagnostics.catalogue import CATALOGUE
    from mctc.diagnostics.catalogue import explain as explain_diagnostic

    wanted = code.strip().upper()
    if wanted in CATALOGUE:
        return explain_diagnostic(wanted)
    from mctc.linter.mps.table import RULES

    if wanted in RULES:
        from mctc.linter.mps.explain import explain as explain_mps_rule

        return explain_mps_rule(RULES[wanted])
    return _package_rule(code, [*CATALOGUE, *RULES])


def _package_rule(code: str, others: list[str]) -> str:
    """A rule for packages. They are looked up last, since plugins may bring some and all of them import numpy."""
    from mctc.diagnostics.errors import UsageError
    from mctc.diagnostics.near import did_you_mean
    from mctc.linter.coreml.explain import explain as explain_rule
    from mctc.linter.coreml.table import table

    rules = {known.upper(): rule for known, rule in table().rules.items()}  # a suffix is a small letter: ANE-CV-004b
    wanted = code.strip().upper()
    if wanted in rules:
        return explain_rule(rules[wanted])
    undecided = {known.upper(): (known, why) for family in table().families for known, why in family.not_decidable}
    if wanted in undecided:
        known_as, why = undecided[wanted]
        return f"{known_as}: known, but no rule of mctc lint\n\nNo file can decide it: {why}."
    known = [*others, *(rule.code for rule in rules.values())]
    hint = did_you_mean(wanted, known) or "codes look like MCT0051, MPS050 or ANE-OP-001; `mctc explain` lists them"
    raise UsageError(f"there is no code `{code}`", hint=hint)
