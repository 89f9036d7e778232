"""Values of a model that its builder gives in place of the spec's own: `-D width=320`, `-D factors=[1, 2, 4]`."""

from __future__ import annotations

import json
from fractions import Fraction

from mctc.diagnostics.source import Span
from mctc.language.arithmetic import UnsuitableError, limited
from mctc.language.expressions import number
from mctc.language.failure import FaultError, fail
from mctc.language.limits import ENTRIES
from mctc.language.values import Constant

WORDS = {"true": True, "false": False, "none": None}
LONGEST = 60  # characters of a number or a word
LONGEST_LIST = 10_000


def override(name: str, value: object, span: Span) -> Constant:
    """A value as the language has it: text is read, lists are tuples. Raises FaultError.

    span: where the model has its name.
    """
    if isinstance(value, str) and value.strip().startswith("["):
        value = _list(name, value, span)
    if isinstance(value, (list, tuple)):
        if _count(value) > ENTRIES:
            raise _bad(name, f"a list of at most {ENTRIES:,} entries", span)
        return tuple(override(name, entry, span) for entry in value)
    return _single(name, value, span)


def _single(name: str, value: object, span: Span) -> Constant:
    try:
        if isinstance(value, str):
            return _word(value.strip())
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return limited(value)
    except UnsuitableError:
        raise _bad(name, "a number of at most 256 bits", span) from None
    except WordError:
        pass
    if value is None or isinstance(value, (bool, Fraction)):
        return value
    raise _bad(name, "a number, true, false, none, a word or a list", span)


class WordError(Exception):
    """A text that is no value."""


def _word(text: str) -> Constant:
    if text in WORDS:
        return WORDS[text]
    if not text.isascii() or len(text) > LONGEST or not text:
        raise WordError
    try:
        return limited(number(text.lstrip("-")) * (-1 if text.startswith("-") else 1))
    except ValueError:
        return text


def _list(name: str, text: str, span: Span) -> list[object]:
    """The list that a text such as '[1, 2, 4]' is."""
    try:
        found = json.loads(text, parse_constant=_no_number) if len(text) <= LONGEST_LIST else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise _bad(name, 'a list such as `[1, 2, 4]`, or `["a", "b"]` of words', span)
    return found


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _count(value: object) -> int:
    return sum(map(_count, value)) if isinstance(value, (list, tuple)) else 1


def _bad(name: str, what: str, span: Span) -> FaultError:
    return fail("MCT0056", f"-D {name}: this must be {what}", span)
