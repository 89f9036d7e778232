"""`mctc why`: an op or parameter of a build, back to the line of the spec, and every pass that touched it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mctc.cli.options import PATH

if TYPE_CHECKING:
    from mctc.ir.location import Location
    from mctc.runtime.trace import Trace, Traces

MOST = 12  # traces told in full; beyond, a line each


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--build", "folder", type=PATH, metavar="DIR",
    help="The build to look in; the one in build/ if there is exactly one.",
)  # fmt: skip
def why(names: tuple[str, ...], folder: Path | None) -> None:
    """Trace ops or parameters of a build back to the spec.

    NAME is an operation of the package (as its program has it), a parameter, or an instance path such as
    encoder.layers.3.mamba; - for names on standard input, one a line. Told are the line of the spec, the passes that
    touched it, what they decided, and those that looked at it and let it go, with the reason.
    """
    from mctc.driver.contents import blamed
    from mctc.runtime.trace import Traces

    folder = folder or _only_build()
    with blamed(folder):
        traces = Traces(folder)
        found = [trace for name in _said(names) for trace in traces.find(name)]
    if len(found) > MOST:
        for trace in found:
            click.echo(f"{trace.name}  {trace.kind}  {trace.origin.location or ''}")
        return
    for index, trace in enumerate(found):
        click.echo(("\n" if index else "") + "\n".join(_lines(traces, trace)))


def _said(names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        yield from sys.stdin.read().split() if name == "-" else [name]


def _only_build() -> Path:
    from mctc.diagnostics.errors import UsageError

    builds = sorted(path.parent for path in Path("build").glob("*/manifest.json"))
    if len(builds) == 1:
        return builds[0]
    found = f"build/ holds {len(builds)} builds" if builds else "there is no build in build/"
    raise UsageError(found, hint="say which one with --build DIR")


def _lines(traces: Traces, trace: Trace) -> list[str]:
    from mctc.runtime.trace import checkpoint_names

    place = f"of {trace.function}" if trace.function else ""
    lines = [f"{trace.name}: {trace.kind} {place}".rstrip(), f"  {trace.what}"]
    if trace.kind == "parameter":
        lines.append(f"  from the checkpoint's {', '.join(checkpoint_names(traces.program, trace.name)) or 'nothing'}")
    if trace.origin.path:
        lines.append(f"  instance: {trace.origin.path}")
    lines += _source(traces, trace.origin.location)
    lines += _told("touched by", [(event.by, event.change) for event in trace.origin.history]) or [
        "  touched by no pass"
    ]
    return lines + _told("decided by", traces.decisions(trace)) + _told("let go by", traces.refusals(trace))


def _told(heading: str, pairs: list[tuple[str, str]]) -> list[str]:
    """What passes have to say, a line each; nothing where none has."""
    width = max((len(by) for by, _ in pairs), default=0)
    return [f"  {heading}:" for _ in pairs[:1]] + [f"    {by:<{width}}  {why}" for by, why in pairs]


def _source(traces: Traces, location: Location | None) -> list[str]:
    if location is None:
        return ["  made by the compiler: no line of the spec stands for it"]
    line = traces.line(location)
    return [f"  from {location}", *([f"    {line}"] if line else [])]
