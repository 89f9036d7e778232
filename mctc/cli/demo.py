"""`mctc demo`: the main job from end to end, each command shown before it runs."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import click

from mctc.cli.verbosity import Verbosity, verbosity
from mctc.diagnostics.errors import ExitCode

MODEL = "mct_small"
BUILT = Path("build") / MODEL
FED = ("noise", "silence")  # of the battery; all of it takes minutes


@click.command()
def demo() -> int:
    """Build mct_small, let it hear a bundled recording, and prove it over speech and silence.

    Writes build/mct_small in the folder it is called in. Stops at the first command that fails. Ends with what was
    heard beside what was said.
    """
    from mctc.audio import bundled_text
    from mctc.cli.main import run

    said = {Verbosity.QUIET: ["--quiet"], Verbosity.VERBOSE: ["--verbose"]}.get(verbosity(), [])
    build, hear, verify = steps()
    _show(build)
    if (code := run([*said, *build])) != ExitCode.OK:
        return code
    click.echo()
    _show(hear)
    heard = _heard()
    click.echo()
    _show(verify)
    if (code := run([*said, *verify])) != ExitCode.OK:
        return code
    click.echo(f"Only {' and '.join(FED)} were fed, speech in place of noise; without --input all of the battery is.")
    click.echo()
    for line in beside(heard, bundled_text()):
        click.echo(line)
    return ExitCode.OK


def steps() -> list[list[str]]:
    """The command lines of the demo, with the shipped spec, checkpoint and recording."""
    from mctc.audio import bundled_recording

    spec, weights, tokens = (_short(path) for path in model())
    return [
        ["build", spec, "--weights", weights, "--tokens", tokens],
        ["run", str(BUILT), _short(bundled_recording())],
        ["verify", str(BUILT), "--weights", weights, *(word for name in FED for word in ("--input", name))],
    ]


def model() -> tuple[Path, Path, Path]:
    """The shipped spec, its checkpoint, and what its classes stand for."""
    import mctc.spec

    folder = Path(mctc.spec.__file__).parent
    return folder / f"{MODEL}.mct", folder / "trained" / f"{MODEL}.safetensors", folder / "trained/pieces.model"


def beside(heard: str, said: str) -> list[str]:
    """Both texts in lines, and how many of their words are the same, in order."""
    from difflib import SequenceMatcher
    from textwrap import wrap

    lines = [wrap(text, 72, initial_indent=f"{name}  ", subsequent_indent="       ") for name, text in (
        ("said ", " ".join(words(said))), ("heard", " ".join(words(heard)))
    )]  # fmt: skip
    count = len(words(said))
    same = sum(
        each.size for each in SequenceMatcher(None, words(said), words(heard), autojunk=False).get_matching_blocks()
    )
    told = f"the same {count} words" if words(heard) == words(said) else f"{same} of {count} words are the same"
    return [*lines[0], *lines[1], f"       {told}"]


def words(text: str) -> list[str]:
    """The words of a text without what is written and not said: capitals and marks."""
    return re.sub(r"[^\w' ]", " ", text.lower()).split()


def _heard() -> str:
    """What `mctc run` prints of the recording, as it prints it."""
    from mctc.audio import bundled_recording
    from mctc.cli.recording import Recording
    from mctc.cli.requests import TranscriptRequest
    from mctc.cli.run_speech import Listener
    from mctc.decode.settings import Settings
    from mctc.runtime.built import open_built
    from mctc.runtime.searched import recogniser

    built = open_built(BUILT)
    listener = Listener(built, recogniser(built), Settings(), None)
    heard, text = listener.listen(Recording(bundled_recording(), _short(bundled_recording())), TranscriptRequest())
    click.echo(text, nl=False)
    return "" if built.tokens is None else " ".join(built.tokens.text(best.ids) for best in heard.best)


def _show(arguments: list[str]) -> None:
    click.secho(f"$ mctc {shlex.join(arguments)}", bold=True, color=None if sys.stdout.isatty() else False)


def _short(path: Path) -> str:
    """Relative to the current folder where the path lies inside it: the command as one would type it."""
    try:
        return str(path.resolve().relative_to(Path.cwd().resolve()))
    except ValueError:
        return str(path)
