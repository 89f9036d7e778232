"""`mctc fmt`: formats specs in place."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mctc.cli.options import SPEC
from mctc.cli.verbosity import Verbosity, say, verbosity
from mctc.diagnostics.errors import ExitCode, MctcError

if TYPE_CHECKING:
    from mctc.language.read import Spec


@click.command()
@click.argument("paths", nargs=-1, required=True, type=SPEC, metavar="PATH...")
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 when a file is not formatted.")
@click.option("--diff", is_flag=True, help="Change nothing; print what would change, and exit as --check does.")
def fmt(paths: tuple[Spec, ...], check: bool, diff: bool) -> int:
    """Format specs in place.

    PATH is a file, a folder (every .mct file in it) or - for standard input, which is printed formatted.
    """
    from mctc.atomic import write_text
    from mctc.language import format_source

    changed = 0
    for path in _files(paths):
        before = _read(path)
        after = format_source(before, str(path))
        if not isinstance(path, Path) and not (check or diff):
            click.echo(after, nl=False)
            continue
        if after == before:
            if verbosity() is Verbosity.VERBOSE:
                click.echo(f"{path}: formatted already", err=True)
            continue
        changed += 1
        if diff:
            click.echo(_difference(path, before, after), nl=False)
        elif check:
            click.echo(f"{path}: not formatted")
        elif isinstance(path, Path):
            write_text(path, after)
            say(f"{path}: formatted")
    return ExitCode.FAILED if changed and (check or diff) else ExitCode.OK


def _files(paths: tuple[Spec, ...]) -> Iterator[Spec]:
    for path in paths:
        if isinstance(path, Path) and path.is_dir():
            yield from sorted(path.rglob("*.mct"))
        else:
            yield path


def _read(path: Spec) -> str:
    if isinstance(path, Path) and path.exists() and not path.is_file():
        raise MctcError(f"{path} is no regular file", hint="pass - to format what comes through a pipe")
    try:
        if isinstance(path, Path):
            return path.read_text(encoding="utf-8")
        return sys.stdin.buffer.read().decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise MctcError(f"{path}: byte {error.start} is not UTF-8", hint="save the file as UTF-8") from error


def _difference(path: Spec, before: str, after: str) -> str:
    from difflib import unified_diff

    lines = unified_diff(before.splitlines(True), after.splitlines(True), str(path), f"{path} (formatted)")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ no newline at the end\n" for line in lines)
