"""A small pretty printer: documents with groups that are printed flat where they fit and broken where they don't.

After Wadler, "A prettier printer" (2003), in the strict form with an explicit stack.
"""

from __future__ import annotations

from collections.abc import Sequence

from mctc.records import dataclass

WIDTH = 120
INDENT = 4


@dataclass(frozen=True)
class Line:
    """A line break; `flat` is what stands there in a group that fits. A `hard` one breaks its groups."""

    flat: str = " "
    hard: bool = False
    blank: bool = False  # leave one line empty


@dataclass(frozen=True)
class Choose:
    """One text in a broken group, another in a flat one."""

    broken: str
    flat: str


@dataclass(frozen=True)
class Nest:
    """`inner` indented by one level."""

    inner: Doc


@dataclass(frozen=True)
class Group:
    """`yields`: where a line is too long this group breaks rather than one before it."""

    inner: Doc
    yields: bool = False


Doc = str | Line | Choose | Nest | Group | tuple["Doc", ...]
SOFT = Line("")
SPACE = Line(" ")
HARD = Line(hard=True)
BLANK = Line(hard=True, blank=True)


def joined(parts: Sequence[Doc], separator: Doc) -> Doc:
    out: list[Doc] = []
    for part in parts:
        out += [separator, part] if out else [part]
    return tuple(out)


def must_break(doc: Doc) -> bool:
    """Whether a hard line or a comment stands in it."""
    if isinstance(doc, tuple):
        return any(map(must_break, doc))
    if isinstance(doc, (Nest, Group)):
        return must_break(doc.inner)
    return doc.lstrip().startswith("#") if isinstance(doc, str) else isinstance(doc, Line) and doc.hard


def render(doc: Doc) -> str:
    """The text of a document, no trailing spaces, one line end at the end."""
    out: list[str] = []
    column = 0
    stack: list[tuple[int, bool, Doc]] = [(0, False, doc)]
    while stack:
        indent, flat, item = stack.pop()
        if isinstance(item, str):
            out.append(item)
            column += len(item)
        elif isinstance(item, tuple):
            stack += [(indent, flat, part) for part in reversed(item)]
        elif isinstance(item, Nest):
            stack.append((indent + INDENT, flat, item.inner))
        elif isinstance(item, Choose):
            stack.append((indent, flat, item.flat if flat else item.broken))
        elif isinstance(item, Group):
            fits = flat or (not must_break(item.inner) and _fits(item.inner, stack, WIDTH - column))
            stack.append((indent, fits, item.inner))
        elif flat and not item.hard:
            out.append(item.flat)
            column += len(item.flat)
        else:
            out.append("\n" * (1 + item.blank) + " " * indent)
            column = indent
    lines = [line.rstrip() for line in "".join(out).split("\n")]
    return "\n".join(lines).strip("\n") + "\n"


def _fits(doc: Doc, after: Sequence[tuple[int, bool, Doc]], room: int) -> bool:
    """Whether `doc`, flat, and what follows up to the next possible break fit into `room` columns."""
    rest = list(after)
    work: list[tuple[bool, Doc]] = [(True, doc)]
    while room >= 0:
        if not work:
            if not rest:
                return True
            _, flat, item = rest.pop()
        else:
            flat, item = work.pop()
        if isinstance(item, str):
            if item.startswith("  #"):  # a comment may run over
                return True
            room -= len(item)
        elif isinstance(item, tuple):
            work += [(flat, part) for part in reversed(item)]
        elif isinstance(item, Nest):
            work.append((flat, item.inner))
        elif isinstance(item, Group):
            work.append((flat or not (item.yields or must_break(item.inner)), item.inner))
        elif isinstance(item, Choose):
            room -= len(item.flat if flat else item.broken)
        elif flat and not item.hard:
            room -= len(item.flat)
        else:
            return True
    return False
