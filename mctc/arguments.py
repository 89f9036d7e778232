"""Types of the arguments of `load`, `build`, `open` and `lint`: what a caller without a type checker gets wrong."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from numbers import Integral, Rational, Real
from typing import Any

from mctc.diagnostics.errors import MctcError, UsageError

PATH, TEXT, WHOLE, LIST, TABLE = "a path", "a string", "a whole number", "a list of strings", "a mapping"
SHAPE, SECONDS = "a list of whole numbers", "seconds as a Fraction, or frames as an int"
LENGTH = "a string such as '320 ms', seconds as a Fraction, or frames as an int"
_TAKEN: dict[str, tuple[type, ...]] = {
    PATH: (str, os.PathLike),
    TEXT: (str,),
    WHOLE: (Integral,),
    LIST: (Iterable,),
    TABLE: (Mapping,),
    LENGTH: (str, Real),
    SECONDS: (Rational,),
}


def expect(what: str, optional: bool = False, /, **given: object) -> None:
    """Raises UsageError for an argument that is not `what`, one of the constants above; `optional` permits None."""
    for name, value in given.items():
        if (value is None and optional) or (_is(what, value) and not isinstance(value, bool)):
            continue
        raise UsageError(f"{name} can't be {value!r}", hint=f"{name} takes {what}{' or None' if optional else ''}")


@contextmanager
def paths_told() -> Iterator[None]:
    """What the system says of a path, too long, below a file, not to be read, as an MctcError that names it."""
    try:
        yield
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise MctcError(f"{place}{(error.strerror or str(error)).lower()}") from error


def plain(defines: Mapping[str, Any] | None) -> dict[str, Any]:
    """Values of a model's parameters, numbers of numpy as Python's. Raises UsageError for any other kind of value."""
    expect(TABLE, True, defines=defines)
    return {name: _plain(name, value) for name, value in (defines or {}).items()}


def _plain(name: str, value: object) -> object:
    expect(TEXT, **{"a name in defines": name})
    if value is None or isinstance(value, str | bool | int | float | Fraction):
        return value
    if isinstance(value, list | tuple):
        return tuple(_plain(name, entry) for entry in value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    raise UsageError(
        f"defines: {name} can't be {value!r}", hint="it takes a number, True, False, None, a string or a list"
    )


def _is(what: str, value: object) -> bool:
    if what == LIST:  # a string is a list of its letters, which nobody means
        return isinstance(value, Iterable) and not isinstance(value, str | Mapping) and _strings(value)
    if what == SHAPE:
        return isinstance(value, Sequence) and all(isinstance(each, Integral) for each in value)
    if what == PATH and isinstance(value, _TAKEN[PATH]) and "\0" in str(value):
        return False
    return isinstance(value, _TAKEN[what])


def _strings(value: Iterable[object]) -> bool:
    return all(isinstance(each, str) for each in value) if isinstance(value, Sequence | set | frozenset) else True
