"""Tokens of a model: what text each class of its vocabulary stands for.

Whatever they come from, they are one table, `table`: bytes of each class, names of the classes that are no text, the
blank. `letters`, `pieces`, `tokenizer`, `byte_pairs` and `ranks` read the kinds of files, `read` tells these apart, and
`fit` puts a table over a vocabulary. `stored` is the table in the form that travels with a build.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mctc.tokens.errors import TokensError
    from mctc.tokens.fit import fitted
    from mctc.tokens.read import read_tokens
    from mctc.tokens.table import Tokens, Word

__all__ = ["Tokens", "TokensError", "Word", "fitted", "read_tokens"]

_HOME = {
    "Tokens": "table",
    "TokensError": "errors",
    "Word": "table",
    "fitted": "fit",
    "read_tokens": "read",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"mctc.tokens.{_HOME[name]}"), name)
