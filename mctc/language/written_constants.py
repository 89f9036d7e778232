"""Numbers of a `constant` that are written in the spec."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.diagnostics.source import Span
from mctc.ir.attribute_value import AttributeValue
from mctc.ir.op import Array
from mctc.language.failure import fail
from mctc.language.values import describe

FROM_FILE = 'numbers of a file are written `constant(file = "{}")`'


def written_constant(value: AttributeValue, dtype: AttributeValue, span: Span) -> Array:
    """The array of a number, or of lists in lists that are equally long. Raises FaultError."""
    import numpy as np

    for entry in _entries(value):
        if isinstance(entry, str):
            hint = FROM_FILE.format(entry) if entry is value else None
            raise fail("MCT0095", f"`value` of `constant` is made of numbers, not of {describe(entry)}", span, hint)
        if not isinstance(entry, (bool, int, float)):
            raise fail("MCT0095", f"`value` of `constant` is made of numbers, not of {describe(entry)}", span)
        if dtype == "i32" and not float(entry).is_integer():
            hint = 'its `dtype` is "f32"'
            raise fail("MCT0095", f"a `constant` of i32 holds whole numbers, not {entry:g}", span, hint)
    if _shape(value) is None:
        raise fail("MCT0095", "the lists in `value` of `constant` differ in length", span, "an array has no gaps")
    return np.asarray(value)


def _entries(value: AttributeValue) -> Iterator[AttributeValue]:
    if isinstance(value, (tuple, list)):
        for item in value:
            yield from _entries(item)
    else:
        yield value


def _shape(value: AttributeValue) -> tuple[int, ...] | None:
    """The extents of lists in lists; None where two of one level differ."""
    if not isinstance(value, (tuple, list)):
        return ()
    inner = {_shape(item) for item in value} or {()}
    (first,) = inner if len(inner) == 1 else (None,)
    return None if first is None else (len(value), *first)
