"""`mctc explain`: what a diagnostic code means."""

from __future__ import annotations

import click


@click.command()
@click.argument("codes", nargs=-1, metavar="[CODE]...")
def explain(codes: tuple[str, ...]) -> None:
    """Explain diagnostic codes, such as MCT0051; without a code, list them all."""
    from mctc.diagnostics.catalogue import CATALOGUE
    from mctc.diagnostics.catalogue import explain as explanation

    if not codes:
        for entry in CATALOGUE.values():
            click.echo(f"{entry.code}  {entry.title}")
        return
    click.echo("\n\n".join(explanation(code) for code in codes))
