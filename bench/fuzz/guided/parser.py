"""The parsers under a text: .mct through check and fmt, textual IR through its reader."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from bench.fuzz.guided.sandbox import sandboxed
from bench.fuzz.guided.verdict import Finding, Verdict, refused
from mctc.diagnostics.errors import MctcError
from mctc.diagnostics.render import render_all
from mctc.diagnostics.source import SourceFile
from mctc.ir.program import Program
from mctc.ir.text import parse_program, print_program
from mctc.ir.verify import verify
from mctc.language.check import check_all
from mctc.language.format import format_source
from mctc.language.modules import PRELUDE, Loader, Module, library_root
from mctc.language.parser import parse, parse_all
from mctc.language.read import decode

IR = re.compile(r"\s*(program|function)\b")
"""How a text begins that is read as IR; no .mct file begins so."""


def try_text(data: bytes, folder: Path) -> Verdict:
    """Bytes as a source file. Raises Finding, or what the language or the IR raised beside MctcError."""
    known = _prelude()
    try:
        source = decode(data, "spec.mct")
        with sandboxed([folder, library_root()]):
            return _ir(source.text) if IR.match(source.text) else _spec(source, data, folder, known)
    except MctcError as error:
        return refused(error)


def _spec(source: SourceFile, data: bytes, folder: Path, known: Mapping[Path, Module]) -> Verdict:
    path, loader = folder / "spec.mct", Loader()
    path.write_bytes(data)
    loader.modules.update(known)  # parsing the prelude takes longer than parsing an input
    program, found = check_all(path, loader=loader)
    if found:
        render_all(found)
    for diagnostic in found:
        span = diagnostic.span
        if span is not None and not 0 <= span.start <= span.end <= len(span.source.text):
            raise Finding(f"{diagnostic.code} points outside of the text")
    if not parse_all(source).problems:
        _formats(source)
    if program is None:
        return Verdict.REFUSED
    verify(program)
    _prints(program)
    return Verdict.ACCEPTED


def _formats(source: SourceFile) -> None:
    """The formatted text means the same, holds every comment, and is left alone by a second run."""
    text = format_source(source.text)
    again = SourceFile("formatted.mct", text)
    if parse(again).statements != parse(source).statements:
        raise Finding("formatting changes the tree")
    if [each.text for each in parse_all(again).comments] != [each.text for each in parse_all(source).comments]:
        raise Finding("formatting changes the comments")
    if format_source(text) != text:
        raise Finding("formatting twice changes the text again")


def _ir(text: str) -> Verdict:
    program = parse_program(text)
    _prints(program)
    try:
        verify(program)
    except MctcError as error:
        refused(error)
    return Verdict.ACCEPTED


def _prints(program: Program) -> None:
    """The printed program parses, and prints the same again."""
    text = print_program(program, locations=True)
    if print_program(parse_program(text), locations=True) != text:
        raise Finding("the printed program is another one")


@lru_cache(maxsize=1)
def _prelude() -> Mapping[Path, Module]:
    """The modules that every file sees; whatever is opened once, the grammars too, is open then."""
    parse_program("")
    loader = Loader()
    loader.load(library_root() / PRELUDE)
    return loader.modules
