"""The figures of a function at each size that it was judged at, as rows of a table."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.diagnostics.clean import clean
from mctc.linter.coreml.formats.plain import cell, columns, wrapped
from mctc.linter.coreml.formats.words import bytes_of, counted, milliseconds, portion, scaled
from mctc.linter.coreml.placement import Predicted
from mctc.linter.coreml.report import FunctionReport, SizeRow

HEADS = ("engine", "estimated", "CPU alone", "MACs", "tensors")
WIDTHS = (8, 10, 10, 8, 9)
INDENT, LABEL = 4, 25
SHOWN = 6


def size_cells(size: SizeRow) -> list[str]:
    """A cell for each of HEADS; a size at which ops don't fit together has no figures."""
    if size.misfit is not None:
        return ["does not fit", *[""] * (len(HEADS) - 1)]
    share = _on_engine(size)
    times = milliseconds(size.time), milliseconds(size.cpu_time)
    return [share, *times, scaled(size.macs), bytes_of(size.memory)]


def _on_engine(size: SizeRow) -> str:
    """'97 %', or '0-94 %' where so much is doubtful."""
    ops = sum(size.counts.values())
    sure, doubtful = size.counts[Predicted.ANE], size.counts[Predicted.DOUBTFUL]
    least = portion(size.shares[Predicted.ANE], sure, ops)
    most = portion(size.shares[Predicted.ANE] + size.shares[Predicted.DOUBTFUL], sure + doubtful, ops)
    return least if least == most else f"{least.removesuffix(' %')}-{most}"


def size_lines(function: FunctionReport, *, everything: bool = False) -> Iterator[str]:
    """The table for a terminal of 80 columns; nothing for a function whose shapes are fixed."""
    if not function.sizes:
        return
    yield f"  these figures are at {clean(function.sizes[0].label)}"
    if len(function.sizes) > 1:
        heads = zip(HEADS, WIDTHS, strict=True)
        yield f"{' ' * INDENT}{cell('judged at', LABEL)} " + " ".join(cell(head, n, right=True) for head, n in heads)
    shown = function.sizes if everything else _fewer(function.sizes)
    for size in shown if len(function.sizes) > 1 else ():
        yield from _lines(size)
    hidden = len(function.sizes) - len(shown)
    if hidden:
        yield f"{' ' * INDENT}and {counted(hidden, 'size')} more (--all)"
    if function.unjudged:
        said = f"{counted(function.unjudged, 'listed shape')} not judged, to save time: --shape chooses one"
        yield from wrapped(said, INDENT)


def _fewer(sizes: tuple[SizeRow, ...]) -> list[SizeRow]:
    """The first, the smallest and the largest ones."""
    if len(sizes) <= SHOWN:
        return list(sizes)
    return [*sizes[: SHOWN // 2], *sizes[-(SHOWN // 2) :]]


def _lines(size: SizeRow) -> Iterator[str]:
    label = clean(size.label)
    alone = columns(label) > LABEL
    if alone:
        yield from wrapped(label, INDENT)
    start = f"{' ' * INDENT}{cell('' if alone else label, LABEL)} "
    if size.misfit is not None:
        yield from wrapped(f"does not fit: {size.misfit}", INDENT + 2) if alone else [f"{start}does not fit"]
        return
    cells = zip(size_cells(size), WIDTHS, strict=True)
    yield start + " ".join(cell(text, width, right=True) for text, width in cells)
