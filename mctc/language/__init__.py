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
else:
    from mctc.lazy_names import lazy

    __getattr__ = lazy(
        __name__,
        {
            "check_file": "check",
            "elaborate_file": "elaborate",
            "format_source": "format",
            "parse": "parser",
        },
    )

__all__ = ["check_file", "elaborate_file", "format_source", "parse"]
