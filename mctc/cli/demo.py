"""`mctc demo`: the main job from end to end, each command shown before it runs."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from mctc.cli.verbosity import Verbosity, verbosity
from mctc.diagnostics.errors import ExitCode

MODEL = "mct_small"


@click.command()
def demo() -> int:
    """Build mct_small, run it over a bundled recording, and prove it.

    Writes build/mct_small in the folder it is called in. Stops at the first command that fails.
    """
    from mctc.cli.main import run

    said = {Verbosity.QUIET: ["--quiet"], Verbosity.VERBOSE: ["--verbose"]}.get(verbosity(), [])
    for arguments in steps():
        click.secho(f"$ mctc {shlex.join(arguments)}", bold=True, color=None if sys.stdout.isatty() else False)
        code = run([*said, *arguments])
        if code != ExitCode.OK:
            return code
        click.echo()
    return ExitCode.OK


def steps() -> list[list[str]]:
    """The command lines of the demo, with the shipped spec and recording."""
    import mctc.spec
    from mctc.audio import bundled_recording

    spec = Path(mctc.spec.__file__).parent / f"{MODEL}.mct"
    built = f"build/{MODEL}"
    return [
        ["build", _short(spec), "--target", "ane"],
        ["run", built, "--audio", _short(bundled_recording())],
        ["verify", built],
    ]


def _short(path: Path) -> str:
    """Relative to the current folder where the path lies inside it: the command as one would type it."""
    try:
        return str(path.resolve().relative_to(Path.cwd().resolve()))
    except ValueError:
        return str(path)
