"""Tokens of a model: what text each class of its vocabulary stands for.

Whatever they come from, they are one table, `table`: bytes of each class, names of the classes that are no text, the
blank. `letters`, `pieces`, `tokenizer`, `byte_pairs` and `ranks` read the kinds of files, `read` tells these apart, and
`fit` puts a table over a vocabulary. `stored` is the table in the form that travels with a build.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mctc.tokens.errors import TokensError
    from mctc.tokens.fit import fitted
    from mctc.tokens.read import read_tokens
    from mctc.tokens.table import Tokens, Word
else:
    from mctc.lazy_names import lazy

    __getattr__ = lazy(
        __name__,
        {
            "Tokens": "table",
            "TokensError": "errors",
            "Word": "table",
            "fitted": "fit",
            "read_tokens": "read",
        },
    )

__all__ = ["Tokens", "TokensError", "Word", "fitted", "read_tokens"]
