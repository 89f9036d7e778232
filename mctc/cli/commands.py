"""The commands of `mctc` as a table, and the click group that imports a command when it is called."""

from __future__ import annotations

from importlib import import_module

import click

from mctc.cli.verbosity import verbosity_options
from mctc.diagnostics.near import did_you_mean
from mctc.records import dataclass


@dataclass(frozen=True)
class Entry:
    """`module:attribute` holds the click command; `summary` is its line in `mctc --help`."""

    module: str
    attribute: str
    summary: str


COMMANDS = {
    "demo": Entry("mctc.cli.demo", "demo", "Build mct_small, run it over a bundled recording, prove it."),
    "check": Entry("mctc.cli.check", "check", "Check a spec and report what is wrong with it."),
    "fmt": Entry("mctc.cli.fmt", "fmt", "Format specs."),
    "show": Entry("mctc.cli.show", "show", "Print the program of a spec, before or after any pass."),
    "lint": Entry("mctc.cli.lint", "lint", "Check packages for what leaves the Neural Engine."),
    "info": Entry("mctc.cli.info", "info", "Say what a package is: interface, sizes, weights, work."),
    "explain": Entry("mctc.cli.explain", "explain", "Explain a diagnostic code or a lint rule."),
    "passes": Entry("mctc.cli.passes", "passes", "List the passes in pipeline order, with what they promise."),
    "build": Entry("mctc.cli.build", "build", "Build a spec for a target."),
    "import-weights": Entry(
        "mctc.cli.import_weights", "import_weights", "Bring a checkpoint of another library under a spec's names."
    ),
    "run": Entry("mctc.cli.run", "run", "Run a built package over audio or arrays."),
    "score": Entry("mctc.cli.score", "score", "Count the errors of a build over known recordings."),
    "calibrate": Entry("mctc.cli.calibrate", "calibrate", "Measure what compression needs to know of a trained model."),
    "prune": Entry("mctc.cli.prune", "prune", "Sort a checkpoint, so that what a spec prunes is felt least."),
    "compress": Entry("mctc.cli.compress", "compress", "Find the quantize section that a budget allows."),
    "why": Entry("mctc.cli.why", "why", "Trace ops or parameters of a build back to the spec."),
    "compare": Entry("mctc.cli.compare", "compare", "Compare what models cost, from specs or builds."),
    "dev": Entry("mctc.cli.dev", "dev", "Write the files of a new pass, rule or target of mctc."),
    "probe": Entry("mctc.cli.probe", "probe", "Settle on a Mac what sources contest about the engine."),
    "verify": Entry("mctc.cli.verify", "verify", "Prove a build: every check, measured."),
}
GLOBAL_HELP = """Compile speech architectures, written once, into what Apple silicon needs.

A first run: mctc demo
"""


class LazyGroup(click.Group):
    """Lists the commands from the table and imports only the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = getattr(import_module(entry.module), entry.attribute)
        assert isinstance(command, click.Command)
        known = {param.name for param in command.params}
        command.params += [option for option in common_options() if option.name not in known]
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            hint = did_you_mean(args[0], COMMANDS)
            raise click.UsageError(f"there is no command `{args[0]}`{'; ' + hint if hint else ''}", ctx)
        return super().resolve_command(ctx, args)


def show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from mctc.version import __version__

        click.echo(f"mctc {__version__}")
        ctx.exit()


def common_options() -> list[click.Option]:
    """What every command takes, and mctc itself in front of one."""
    version = click.Option(
        ["-V", "--version"], is_flag=True, expose_value=False, is_eager=True, callback=show_version,
        help="Print the version.",
    )  # fmt: skip
    return [*verbosity_options(), version]


def group() -> LazyGroup:
    """The `mctc` command itself."""
    return LazyGroup(
        "mctc", help=GLOBAL_HELP, params=[*common_options()], context_settings={"help_option_names": ["-h", "--help"]}
    )
