"""The language: .mct text -> syntax tree -> Program.

grammar.lark, lexer, tree and parser read; format prints; modules resolves imports; elaborate turns a file into a
Program; check finds what is wrong. Everything is imported when first used, so that `mctc --help` pays for none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mctc.language.check import check_file
    from mctc.language.elaborate import elaborate_file
    from mctc.language.format import format_source
    from mctc.language.parser import parse

__all__ = ["check_file", "elaborate_file", "format_source", "parse"]

_HOME = {
    "check_file": "mctc.language.check",
    "elaborate_file": "mctc.language.elaborate",
    "format_source": "mctc.language.format",
    "parse": "mctc.language.parser",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
