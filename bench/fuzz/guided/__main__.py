"""`python -m bench.fuzz.guided parser|reader|audio`: fuzzes until the time is over or something is found."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bench.fuzz.guided import apart
from bench.fuzz.guided.session import TARGETS, run
from mctc.diagnostics.errors import MctcError


@click.command()
@click.argument("target", type=click.Choice(TARGETS))
@click.option("--minutes", type=float, default=1.0, show_default=True, help="Processor time to spend.")
@click.option(
    "--corpus",
    type=click.Path(path_type=Path, file_okay=False),
    help="Inputs found so far, read and added to.  [default: fuzz-corpus/TARGET]",
)
@click.option("--inputs", type=click.IntRange(min=1), help="Try so many mutated seeds, without coverage and atheris.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which ones, with --inputs.")
@click.argument("libfuzzer", nargs=-1, metavar="[-- LIBFUZZER_OPTION...]")
def main(
    target: str, minutes: float, corpus: Path | None, inputs: int | None, seed: int, libfuzzer: tuple[str, ...]
) -> None:
    """Tries inputs that reach new code in TARGET.

    What is found is written to the current folder as crash-..., and `python -m bench.fuzz.guided TARGET -- crash-...`
    tries it again.
    """
    if inputs is not None:
        sys.exit(1 if apart.run(target, inputs, seed) else 0)
    try:
        run(target, minutes, corpus or Path("fuzz-corpus") / target, libfuzzer)
    except MctcError as error:
        click.echo(error.render(), err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
