"""Types and values of MIL text: from words to records."""

from __future__ import annotations

from sys import intern
from typing import Any

import numpy as np

from mctc.package import mil_scan as scan
from mctc.package.dtypes import DTYPES, unknown
from mctc.package.errors import PackageError
from mctc.package.inline import Inline, check_elements
from mctc.package.mil_literal import Written, count, unquoted
from mctc.package.model import Binding, Constant, Reference
from mctc.package.place import Place
from mctc.package.types import ListType, OtherType, StateType, TensorType, ValueType
from mctc.package.weights import Weights
from mctc.records import dataclass

_BLOB_PARTS = ("path", "offset")
_MAX_RANK = 32
_MAX_NESTING = 40
"""Types or literals inside one another: more than any rank needs."""


@dataclass(frozen=True)
class _String:
    """A string literal; numbers and other words stay text, lists are lists."""

    value: str


@dataclass(frozen=True)
class _Braced:
    """What stands in braces: a pair, or a dictionary of pairs."""

    items: list[Any]


@dataclass(frozen=True)
class _Blob:
    """A literal in a weight file."""

    file: str
    offset: int


class Values:
    """Reads types and values at a cursor. Equal types are one object."""

    def __init__(self, cursor: scan.Cursor, weights: Weights) -> None:
        self._at = cursor
        self._weights = weights
        self._types: dict[str, ValueType] = {}

    def bindings(self, closing: str, place: Place) -> dict[str, tuple[Binding, ...]]:
        """Names and values up to the closing mark."""
        found: dict[str, tuple[Binding, ...]] = {}
        while not self._at.mark(closing):
            if found and not self._at.mark(","):
                self._at.fail(f"',' or '{closing}' is expected")
            match = self._at.need(scan.BINDING, "a name and '='")
            key, *simple = match.groups()
            if key in found:
                self._at.fail(f"'{key}' was given already")
            if simple[0] is not None:
                found[intern(key)] = (self._simple(place, *simple),)
            else:
                found[intern(key)] = self._several(place) if self._at.mark("(") else (self._value(place),)
        return found

    def _several(self, place: Place) -> tuple[Binding, ...]:
        items: list[Binding] = []
        while not self._at.mark(")"):
            if items and not self._at.mark(","):
                self._at.fail("',' or ')' is expected")
            items.append(self._value(place))
        return tuple(items)

    def _value(self, place: Place) -> Binding:
        simple = self._at.take(scan.SIMPLE)
        if simple is not None:
            return self._simple(place, *simple.groups())
        type_ = self.type()
        self._at.need_mark("(")
        if self._at.mark(")"):
            return self._constant(type_, [], place)
        literal = self._literal(place, 0)
        self._at.need_mark(")")
        return self._constant(type_, literal, place)

    def _simple(self, place: Place, name: str, string: str | None, numbers: str | None, word: str | None) -> Binding:
        """What the groups of the pattern SIMPLE stand for."""
        if string is not None:
            return self._constant(self.simple_type(name), _String(unquoted(string)), place)
        if numbers is not None:
            return self._constant(self.simple_type(name), numbers[1:-1], place)
        if word is not None:
            return self._constant(self.simple_type(name), word, place)
        return Reference(intern(name))

    def type(self, depth: int = 0) -> ValueType:
        """A type of any kind."""
        tensor, name, generic = self._at.need(scan.TYPE, "a type").groups()
        if generic is None:
            return self.simple_type(tensor or name)
        if depth == _MAX_NESTING:
            self._at.fail(f"types more than {_MAX_NESTING} deep aren't read")
        parts: list[ValueType | str] = []
        labelled: dict[str, Any] = {}
        while not self._at.mark(">"):
            if (parts or labelled) and not self._at.mark(","):
                self._at.fail("',' or '>' is expected")
            label, extent = self._at.take(scan.LABEL), self._at.take(scan.EXTENT)
            if label is not None and extent is None:
                labelled[label.group(1)] = self._literal(Place(""), 0)
            else:
                parts.append(self.type(depth + 1) if extent is None else extent.group(1))
        return self._generic(name, parts, labelled)

    def _generic(self, name: str, parts: list[ValueType | str], labelled: dict[str, Any]) -> ValueType:
        inner = parts[0] if parts else None
        if name == "tensor_buffer" and isinstance(inner, TensorType) and "shape" in labelled:
            extents = ",".join(_numbers(labelled["shape"], Place("")))  # strides and interleaving say how it lies
            return self.simple_type(f"tensor<{inner.dtype}, [{extents}]>")
        if name == "state" and len(parts) == 1 and isinstance(inner, TensorType):
            return StateType(inner)
        length = parts[1] if len(parts) == 2 else None
        if name == "list" and isinstance(inner, TensorType) and isinstance(length, str):
            return ListType(inner, self._extent(length))
        if name in ("state", "list", "tensor"):
            self._at.fail(f"a type '{name}' of other parts than it has")
        return OtherType({"dict": "dictionary"}.get(name, name))

    def simple_type(self, text: str) -> ValueType:
        """The type that the text of a tensor or the name of an element type stands for."""
        known = self._types.get(text)
        if known is None:
            known = self._types[text] = self._tensor(text)
        return known

    def _tensor(self, text: str) -> TensorType:
        dtype, extents = scan.tensor_parts(text)
        name = dtype if dtype in DTYPES else unknown(dtype)
        if any(part in ("*", "...") for part in extents):
            return TensorType(name, None)
        if len(extents) > _MAX_RANK:
            self._at.fail(f"a tensor of rank {len(extents)}")
        return TensorType(name, tuple(self._extent(part) for part in extents))

    def _extent(self, text: str) -> int | None:
        if text == "?":
            return None
        if not text.removeprefix("-").isdecimal() or len(text) > 20:
            self._at.fail(f"the extent {text[:24]!r} is no number")
        return int(text)

    def _literal(self, place: Place, depth: int) -> Any:
        """Text for numbers and words, a list of literals, braces around them for a pair or dictionary."""
        string, numbers, blob, scalar, opening = self._at.need(scan.LITERAL, "a value").groups()
        if string is not None:
            return _String(unquoted(string))
        if numbers is not None:
            return [numbers[1:-1]]
        if scalar is not None:
            return scalar
        if blob is not None:
            return self._blob(place)
        if depth == _MAX_NESTING:
            self._at.fail(f"values more than {_MAX_NESTING} deep aren't read")
        closing = {"[": "]", "(": ")", "{": "}"}[opening]
        items: list[Any] = []
        while not self._at.mark(closing):
            if items and not self._at.mark(","):
                self._at.fail(f"',' or '{closing}' is expected")
            items.append(self._literal(place, depth + 1))
        return _Braced(items) if opening == "{" else items

    def _blob(self, place: Place) -> _Blob:
        parts = {key: values[0] for key, values in self.bindings(")", place).items() if len(values) == 1}
        path, offset = (part.value() if isinstance(part := parts.get(key), Constant) else None for key in _BLOB_PARTS)
        if (
            not isinstance(path, str)
            or not isinstance(offset, np.ndarray)
            or offset.shape
            or offset.dtype.kind not in "iu"
        ):
            self._at.fail("a place in a weight file needs a path and an offset")
        return _Blob(path, int(offset))

    def _constant(self, type_: ValueType, literal: Any, place: Place) -> Constant:
        if isinstance(literal, _Blob):
            return Constant(type_, self._weights.tensor(literal.file, literal.offset, type_, place))
        if isinstance(type_, ListType):
            items = literal if isinstance(literal, list) else [literal]
            return Constant(
                type_, Inline(tuple(self._constant(type_.element, item, place) for item in items), type_, place)
            )
        if not isinstance(type_, TensorType):
            return Constant(type_, Inline(_pairs(literal), type_, place))
        if type_.dtype == "string":
            strings = tuple(_strings(literal, place))
            check_elements(len(strings), type_, place)
            return Constant(type_, Inline(strings, type_, place))
        numbers = literal if isinstance(literal, str) else ",".join(_numbers(literal, place))
        check_elements(count(numbers), type_, place)
        return Constant(type_, Written(numbers, type_, place))


def _pairs(literal: Any) -> dict[str, str] | None:
    """What a dictionary from strings to strings or numbers holds, numbers as text; None for any other."""
    if not isinstance(literal, _Braced):
        return None
    found: dict[str, str] = {}
    for item in literal.items:
        pair = [part for each in item.items for part in _split(each)] if isinstance(item, _Braced) else []
        if len(pair) != 2 or not isinstance(pair[0], _String):
            return None
        found[pair[0].value] = pair[1].value if isinstance(pair[1], _String) else str(pair[1])
    return found


def _split(literal: Any) -> list[Any]:
    return literal if isinstance(literal, list) else [literal]


def _strings(literal: Any, place: Place) -> list[str]:
    if isinstance(literal, _String):
        return [literal.value]
    if not isinstance(literal, list):
        # An empty list of numbers is an empty list of strings too.
        if isinstance(literal, str) and not count(literal):
            return []
        raise PackageError(f"{place}: a string was expected")
    return [text for item in literal for text in _strings(item, place)]


def _numbers(literal: Any, place: Place) -> list[str]:
    """The texts of numbers in nested lists, in order, none of them empty."""
    if isinstance(literal, str):
        return [literal] if count(literal) else []
    if not isinstance(literal, list):
        raise PackageError(f"{place}: a number was expected")
    return [text for item in literal for text in _numbers(item, place)]
