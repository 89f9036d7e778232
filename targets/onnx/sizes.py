"""Extents at run time: numbers where they are known, else computed from the shapes of the function's inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING

from mctc.ir.dims import Extent
from mctc.ir.types import TensorType
from mctc.targets.onnx.errors import OnnxError

if TYPE_CHECKING:
    from mctc.targets.onnx.graph import GraphEmitter

KEEP, REST = 0, -1  # what Reshape understands: the extent of the input's axis at this position; whatever is left


class Sizes:
    """Where the extents of one function's axes are to be had: one-element int64 tensors by extent, each made once."""

    def __init__(self, emitter: GraphEmitter) -> None:
        self._emitter = emitter
        self._inputs: dict[Extent, tuple[str, int]] = {}
        self._made: dict[Extent, str] = {}

    def learn(self, name: str, type_: TensorType) -> None:
        """Takes note of the axes of an input."""
        for axis, extent in enumerate(type_.extents):
            if not extent.is_static:
                self._inputs.setdefault(extent, (name, axis))

    @contextmanager
    def apart(self) -> Iterator[None]:
        """What is made inside is forgotten: a loop's body is not seen from outside."""
        made = dict(self._made)
        try:
            yield
        finally:
            self._made = made

    def size(self, extent: Extent) -> str:
        """An extent as an int64 tensor of one entry. Raises OnnxError for a symbol that no input has."""
        if extent.is_static:
            return self._emitter.ints([extent.value])
        if extent not in self._made:
            self._made[extent] = self._read(extent) if extent in self._inputs else self._computed(extent)
        return self._made[extent]

    def shape(self, extents: Sequence[Extent]) -> str:
        """Extents as one int64 tensor."""
        if all(extent.is_static for extent in extents):
            return self._emitter.ints([extent.value for extent in extents])
        return self._emitter.node("Concat", *(self.size(extent) for extent in extents), axis=0)

    def reshaping(self, have: Sequence[Extent], want: Sequence[Extent]) -> str:
        """The second operand of the Reshape from `have` to `want`, without run-time arithmetic if that can be."""
        kept = [not new.is_static and i < len(have) and have[i] == new for i, new in enumerate(want)]
        rest = [i for i, new in enumerate(want) if not new.is_static and not kept[i]]
        if len(rest) > 1:
            return self.shape(want)
        return self._emitter.ints([KEEP if kept[i] else REST if i in rest else new.value for i, new in enumerate(want)])

    def _read(self, extent: Extent) -> str:
        name, axis = self._inputs[extent]
        return self._emitter.node("Shape", name, start=axis, end=axis + 1)

    def _computed(self, extent: Extent) -> str:
        """The polynomial over its symbols; exact, since an extent is always a whole number."""
        e = self._emitter
        common = lcm(*(factor.denominator for _, factor in extent.terms))
        total = ""
        for monomial, factor in extent.terms:
            term = e.ints([int(factor * common)])
            for symbol in monomial:
                term = e.node("Mul", term, self._symbol(symbol))
            total = e.node("Add", total, term) if total else term
        return total if common == 1 else e.node("Div", total, e.ints([common]))

    def _symbol(self, symbol: str) -> str:
        plain = Extent.of(symbol)
        if plain not in self._made and plain not in self._inputs:
            self._made[plain] = self._solved(symbol)
        return self.size(plain)

    def _solved(self, symbol: str) -> str:
        """A symbol that inputs have only in multiples or parts: T from T/4."""
        e = self._emitter
        for extent in self._inputs:
            factor = extent.coefficient(symbol)
            if factor and extent == Extent.of(symbol) * Extent.of(factor):
                times, over = Fraction(1, 1) / factor, self.size(extent)
                made = e.node("Mul", over, e.ints([times.numerator]))
                return made if times.denominator == 1 else e.node("Div", made, e.ints([times.denominator]))
        raise OnnxError(
            f"{e.function.name}: no input has an axis that says how many {symbol} there are",
            hint=f"an extent in {symbol} needs an input with an axis of {symbol}, or of a multiple or part of it",
        )
