"""`mctc explain`: what a diagnostic code or a lint rule means."""

from __future__ import annotations

import click


@click.command()
@click.argument("codes", nargs=-1, metavar="[CODE]...")
def explain(codes: tuple[str, ...]) -> None:
    """Explain codes of diagnostics and lint rules, such as MCT0051 or MPS050; without a code, list them all."""
    from mctc.diagnostics.catalogue import CATALOGUE
    from mctc.lint.mps.table import RULES

    if not codes:
        titles = {entry.code: entry.title for entry in CATALOGUE.values()}
        titles |= {rule.code: rule.summary for rule in RULES.values()}
        for code, title in titles.items():
            click.echo(f"{code:7}  {title}")
        return
    click.echo("\n\n".join(map(_explanation, codes)))


def _explanation(code: str) -> str:
    """Raises UsageError for a code that neither the diagnostics nor the rules have."""
    from mctc.diagnostics.catalogue import CATALOGUE
    from mctc.diagnostics.catalogue import explain as explain_diagnostic
    from mctc.diagnostics.errors import UsageError
    from mctc.diagnostics.near import did_you_mean
    from mctc.lint.mps.catalogue import explain as explain_rule
    from mctc.lint.mps.table import RULES

    wanted = code.strip().upper()
    if wanted in RULES:
        return explain_rule(RULES[wanted])
    if wanted in CATALOGUE:
        return explain_diagnostic(wanted)
    hint = did_you_mean(wanted, [*CATALOGUE, *RULES]) or "codes look like MCT0051 or MPS050; `mctc explain` lists them"
    raise UsageError(f"there is no code `{code}`", hint=hint)
