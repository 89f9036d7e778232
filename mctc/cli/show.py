"""`mctc show`: prints the program of a spec, as written or as a pass finds or leaves it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mctc.cli.options import SPEC, defines_option, model_option, names_of, plugin_option
from mctc.cli.pass_option import Written, pass_option, told
from mctc.diagnostics.errors import UsageError

if TYPE_CHECKING:
    from mctc.language.read import Spec


@click.command()
@click.argument("file", type=SPEC)
@defines_option
@model_option
@click.option(
    "--after",
    metavar="PASS",
    shell_complete=names_of("passes"),
    help="The program as this pass (or derive-step) leaves it.",
)
@click.option(
    "--before",
    metavar="PASS",
    shell_complete=names_of("passes"),
    help="The program as this pass (or derive-step) finds it.",
)
@pass_option
@click.option("--function", "only", metavar="NAME", help="One function, instead of the whole program.")
@click.option("--locations", is_flag=True, help="Say of every op where it comes from and which passes touched it.")
@plugin_option
def show(
    file: Spec, defines: dict[str, Any], model: str | None,
    after: str | None, before: str | None, passes: list[Written], only: str | None, locations: bool,
) -> None:  # fmt: skip
    """Print the program of a spec, before or after any pass.

    FILE is a spec, or - for standard input.

    Without --after and --before: as the spec says it, before any pass. What is printed parses back to an equal program
    when --locations is given.
    """
    from mctc.driver.load import load_program
    from mctc.ir.printer import print_function, print_program

    if after and before:
        raise UsageError("--after and --before exclude each other")
    program = load_program(file, model, defines)
    if after or before:
        from mctc.driver import BuildOptions, program_at

        program = program_at(program, after=after, before=before, options=BuildOptions(passes=told(passes)))
    if only is None:
        click.echo(print_program(program, locations=locations), nl=False)
        return
    if only not in program.functions:
        from mctc.diagnostics.near import did_you_mean, listing

        functions = program.functions
        raise UsageError(
            f"{file} has no function `{only}`", hint=did_you_mean(only, functions) or f"there are {listing(functions)}"
        )
    click.echo(print_function(program.functions[only], locations=locations), nl=False)
