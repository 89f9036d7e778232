"""What one elaboration shares: the program, the builder of the running component, what was reported, the limits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mctc.diagnostics.diagnostic import Diagnostic, Note
from mctc.diagnostics.source import Span
from mctc.ir.attribute_value import Attributes
from mctc.ir.build import Builder
from mctc.ir.dims import ExtentError
from mctc.ir.location import Origin
from mctc.ir.op import InferenceError
from mctc.ir.program import Program, Value
from mctc.ir.types import DType
from mctc.language import syntax as s
from mctc.language.failure import LimitError, fail
from mctc.language.limits import EXTENT, OPS, STEPS
from mctc.language.scope import Frame, Site, bindings
from mctc.language.values import show_type
from mctc.language.walk import labels

if TYPE_CHECKING:
    from mctc.language.finals import Ending

SHOWN_CALLS = 3
ASSERTED = "MCT0073"  # what an assert says where it does not hold


class Session:
    """Collects ops and diagnostics. A diagnostic is kept once per code and place, however often its block is called."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.builder = Builder(program)
        self.diagnostics: list[Diagnostic] = []
        self._seen: set[tuple[str, Span]] = set()
        self.steps, self.ops = 0, 0
        self.endings: dict[Value, dict[str, Ending]] = {}  # of states, by what a recurrence gave and by name
        self._facts: dict[int, tuple[dict[str, int], frozenset[str]]] = {}

    def report(self, diagnostic: Diagnostic, sites: Iterable[Site] = ()) -> None:
        sites = list(sites)
        diagnostic = _with_calls(_outside(diagnostic, sites), sites)
        if diagnostic.span is not None:
            key = (diagnostic.code, diagnostic.span)
            if key in self._seen:
                return
            self._seen.add(key)
        self.diagnostics.append(diagnostic)

    def step(self, span: Span) -> None:
        """Counts one piece of work. Raises LimitError when there was too much."""
        self.steps += 1
        if self.steps > STEPS:
            message = f"elaborating this takes more than {STEPS:,} steps"
            raise LimitError(Diagnostic("MCT0007", message, span, "repeat less, or use smaller numbers"))

    def facts(self, body: s.Body, inputs: Iterable[s.Input] = ()) -> tuple[dict[str, int], frozenset[str]]:
        """How often a header and its body bind each name, and the names behind `as` in the body."""
        key = id(body)
        if key not in self._facts:
            counts = bindings(body)
            for item in inputs:
                counts[item.name.text] = counts.get(item.name.text, 0) + 1
            self._facts[key] = counts, labels(body)
        return self._facts[key]

    def emit(
        self,
        name: str,
        operands: list[Value | None],
        attributes: Attributes,
        span: Span,
        frame: Frame,
        places: Mapping[str, Span] | None = None,
    ) -> list[Value]:
        """The results of op `name`. Raises FaultError, at the operand's place if inference names one."""
        self.ops += 1
        self.step(span)
        if self.ops > OPS:
            raise LimitError(Diagnostic("MCT0007", f"the program has more than {OPS:,} ops", span, "repeat less"))
        self.builder.origin = Origin(authored(span, frame).place, frame.path)
        try:
            results = list(self.builder.emit(name, *operands, **attributes))
        except InferenceError as error:
            place = (places or {}).get(error.operand or "", span)
            raise fail("MCT0103", f"`{name}`: {error}", place, error.hint, *_types(name, operands)) from None
        except (
            ExtentError,
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            OverflowError,
            ZeroDivisionError,
        ) as error:
            raise fail("MCT0103", f"`{name}` cannot take this: {error}", span, None, *_types(name, operands)) from None
        for value in results:
            for extent in value.type.extents:
                if extent.is_static and not 0 < extent.value <= EXTENT:
                    message = f"an axis of {extent} entries is out of range in {show_type(value.type)}"
                    raise fail("MCT0009", message, span, f"an axis has 1 to {EXTENT:,} entries")
        return results

    def number(self, value: float, like: Value, span: Span, frame: Frame) -> Value:
        """A number as a tensor without axes, of the element type of another."""
        dtype = like.type.dtype
        if dtype is DType.I32 and value != int(value):
            raise fail("MCT0072", f"{value} is no whole number, as {show_type(like.type)} has them", span)
        known = np.asarray(value, np.float64 if dtype.is_float else np.int32)
        return self.emit("constant", [], {"value": known, "dtype": dtype.value, "roles": ()}, span, frame)[0]


def authored(span: Span, frame: Frame) -> Span:
    """The author's place for something made at `span`: inside the library, the call that led into it."""
    outward = [span, *(site.span for site in reversed(frame.sites))]
    return next((each for each in outward if not each.source.shipped), span)


def _types(name: str, operands: list[Value | None]) -> list[Note]:
    from mctc.ir.declared import registry

    declared = registry()[name].fields if name in registry() else ()
    shown = [
        f"{declared[min(index, len(declared) - 1)].name}: {show_type(value.type)}"
        for index, value in enumerate(operands)
        if value is not None and declared
    ]
    return [Note(f"`{name}` was given {', '.join(shown)}")] if shown else []


def _outside(diagnostic: Diagnostic, sites: list[Site]) -> Diagnostic:
    """A diagnostic inside the shipped library, moved to the author's call that led there, and to the argument that is
    at fault, where what failed names one."""
    span = diagnostic.span
    calls = [site for site in sites if not site.span.source.shipped]
    if span is None or not span.source.shipped or not calls:
        return diagnostic
    first = sites.index(calls[-1])
    inward = sites[first:]
    del sites[first:]
    note = Note(f"it goes wrong here, in `{calls[-1].name}`", span)
    key = _argument(span, inward, first=diagnostic.code == ASSERTED)
    place, message, name = calls[-1].span, diagnostic.message, calls[-1].name
    if key is not None:
        place = calls[-1].arguments[key]
        message = f"`{key}` of `{name}`: {message.removeprefix(f'`{name}`: ')}"
    return replace(diagnostic, span=place, message=message, notes=(note, *diagnostic.notes))


def _argument(span: Span, sites: Sequence[Site], *, first: bool) -> str | None:
    """The argument of the outermost call that the text at `span`, in the innermost one's block, is about: the one that
    it names (the `first` of several in what was asserted), followed outward through what the calls between give on."""
    key: str | None = None
    for site in reversed(sites):
        keys = dict.fromkeys(name for name in re.findall(r"[A-Za-z_]\w*", span.text) if name in site.arguments)
        if not keys or (len(keys) > 1 and not first):
            return None
        key = str(next(iter(keys)))
        span = site.arguments[key]
    return key


def _with_calls(diagnostic: Diagnostic, sites: list[Site]) -> Diagnostic:
    """The diagnostic with notes for the calls that led to it, the nearest first."""
    if not sites:
        return diagnostic
    notes = [Note(f"in this call of `{site.name}`", site.span) for site in reversed(sites[-SHOWN_CALLS:])]
    return replace(diagnostic, notes=(*diagnostic.notes, *notes))
