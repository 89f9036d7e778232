"""What a rule raises for an application of an op that it can't write."""

from __future__ import annotations


class UnsupportedError(ValueError):
    """An op that has no form in a target as it stands; the message says why and, if anything, what to write instead.

    Whoever calls the rule knows the op and says its place: a rule need not.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint
