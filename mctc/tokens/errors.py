"""The one error of tokens."""

from __future__ import annotations

from mctc.diagnostics.errors import MctcError

NAMELESS = "mctc build --tokens FILE says what its classes stand for"  # how a build gets tokens


class TokensError(MctcError):
    """A token file that can't be read or does not fit a model, or a text that its tokens can't spell.

    line: where in the file, counted from 1, if that is known.
    """

    def __init__(self, message: str, *, hint: str | None = None, line: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.line = line
