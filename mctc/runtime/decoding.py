"""How an attention decoder is asked for a text: by the words of a person, and by the labels of a build."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from difflib import get_close_matches

from mctc.decode.attempts import Attempts
from mctc.diagnostics.errors import UsageError
from mctc.records import dataclass
from mctc.runtime.built import Built
from mctc.tokens.errors import NAMELESS, TokensError


@dataclass(frozen=True)
class Asked:
    """start, end: tokens by number, name or text, in place of those of the spec. longest: most labels. times: whether
    to tell them. context: what is told of the recording, such as names in it. prefix: a text that the decoder goes on
    from. attempts: what texts of windows have to hold to."""

    start: tuple[str, ...] = ()
    end: str | None = None
    longest: int | None = None
    times: bool = False
    context: str | None = None
    prefix: str | None = None
    attempts: Attempts = field(default_factory=Attempts)


@dataclass(frozen=True)
class Search:
    """From which labels to start, the one to end at (below 0 where there is none), how many to find at most (None: as
    many as the decoder goes on for), and whether to tell times.

    before: labels in front of the frames that stand among them. ends: others that end a text as well. heading: the
    label that ends what a text says of itself. prefix: how many of `start` are the beginning of the text. attempts:
    what texts of windows have to hold to.
    """

    start: tuple[int, ...]
    end: int
    longest: int | None = None
    times: bool = False
    before: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()
    heading: int | None = None
    prefix: int = 0
    attempts: Attempts = field(default_factory=Attempts)


def search_of(built: Built, asked: Asked) -> Search:
    """The labels of a build for what is asked. Raises UsageError for names and texts that it has no labels for, and
    where nothing says what its texts begin and end with."""
    told = built.manifest.get("prompt") or {}
    start = [_label(built, each) for each in asked.start] or list(told.get("begin", []))
    end = told.get("end") if asked.end is None else _label(built, asked.end)
    if not start or end is None:
        raise UsageError("this build has a decoder: --start and --end say between which tokens it writes")
    if asked.prefix is not None and asked.times:
        raise UsageError("--prefix begins one text, and with --timestamps there is one for each window")
    prefix = [] if asked.prefix is None else _labels(built, asked.prefix)
    before, place = list(told.get("before", [])), told.get("context")
    if asked.context is not None:
        if place is None:
            hint = "a spec has one where its objective says `context`"
            raise UsageError(f"{built.folder} has no place for what is told of a recording", hint=hint)
        before[place:place] = _labels(built, asked.context)
    ends = built.tokens.ends if built.tokens is not None and asked.end is None else ()
    return Search(
        (*start, *prefix), end, asked.longest, asked.times, tuple(before), ends, told.get("heading"), len(prefix),
        asked.attempts,
    )  # fmt: skip


def _label(built: Built, told: str) -> int:
    """A token by its number, its name or its text."""
    if told.removeprefix("-").isdecimal():
        return int(told)
    if built.tokens is None:
        raise UsageError(f"{built.folder} has no tokens, so none is called {told}", hint=NAMELESS)
    try:
        return built.tokens.named(told)
    except TokensError as error:
        if told.encode() in built.tokens.pieces:
            return built.tokens.pieces.index(told.encode())
        raise UsageError(str(error), hint=_near(told, built.tokens.special.values())) from error


def _near(told: str, names: Iterable[str]) -> str | None:
    near = get_close_matches(told, names, 3)
    return f"near it are {', '.join(near)}" if near else None


def _labels(built: Built, text: str) -> list[int]:
    if built.tokens is None:
        raise UsageError(f"{built.folder} has no tokens to spell {text!r} with", hint=NAMELESS)
    try:
        return built.tokens.encode(text)
    except TokensError as error:
        raise UsageError(str(error), hint=error.hint) from error
