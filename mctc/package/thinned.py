"""A specification without the numbers of its neural networks.

A neural network keeps its weights inside the specification, hundreds of megabytes of them. They are passed over, and
in their place stands how many bytes there were: what is parsed is small whatever a model weighs.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

_SIZES = struct.Struct("<4Q")
_NUMBERS = ("floatValue", "float16Value", "rawValue", "int8RawValue")
"""The fields of WeightParams that hold numbers, in the order of the sizes that replace them."""
_FLOATS, _FEW = 1, 256
"""The field of numbers in fp32, and the bytes of it that stay: what a network says of shapes is that small."""
_DEEPEST = 100
"""Messages inside one another; protobuf's own limit."""
_VARINT, _EIGHT, _COUNTED, _FOUR = 0, 1, 2, 5
_LONGEST = 10
"""Bytes of a number of 64 bits."""

Read = Callable[[int, int], bytes]
"""Reads from an offset so many bytes."""


def thinned(read: Read, size: int, descriptor: Any) -> bytes:
    """A message of `size` bytes with the numbers of every WeightParams in it replaced by their sizes; a few stay.

    descriptor: of the message. Raises ValueError for bytes that are no message.
    """
    return b"".join(_Thinner(read).message(0, size, descriptor, 0))


def weight_sizes(weights: Any) -> tuple[int, int, int, int]:
    """Bytes of fp32, fp16, quantized and int8 numbers that a WeightParams message had before it was thinned."""
    raw = weights.rawValue
    return _SIZES.unpack(raw) if len(raw) == _SIZES.size else (0, 0, 0, 0)


class _Thinner:
    def __init__(self, read: Read) -> None:
        self.read = read

    def message(self, place: int, end: int, descriptor: Any, depth: int) -> Iterator[bytes]:
        """The parts of a message that joined make it anew."""
        if depth == _DEEPEST:
            raise ValueError(f"messages more than {_DEEPEST} deep")
        inner = _holders(descriptor)
        kept = place
        while place < end:
            start = place
            number, wire, place = self.tag(place, end)
            body, place = self.skip(wire, place, end)
            field = inner.get(number) if wire == _COUNTED else None
            if field is not None:
                yield self.read(kept, start - kept)
                whole = self.weights(body, place) if _is_weights(field) else self.message(body, place, field, depth + 1)
                content = b"".join(whole)
                yield b"".join((_varint(number << 3 | _COUNTED), _varint(len(content)), content))
                kept = place
        yield self.read(kept, end - kept)

    def weights(self, place: int, end: int) -> Iterator[bytes]:
        """A WeightParams message: sizes in place of its numbers, all else as it was."""
        fields, raw = _number_fields()
        sizes = [0, 0, 0, 0]
        while place < end:
            start = place
            number, wire, place = self.tag(place, end)
            body, place = self.skip(wire, place, end)
            if number in fields:
                sizes[fields[number]] += place - body
            if number not in fields or (number == _FLOATS and place - body <= _FEW):
                yield self.read(start, place - start)
        yield b"".join((_varint(raw << 3 | _COUNTED), _varint(_SIZES.size), _SIZES.pack(*sizes)))

    def tag(self, place: int, end: int) -> tuple[int, int, int]:
        """Number and wire type of the field here, and the place behind them."""
        key, place = self.varint(place, end)
        return key >> 3, key & 7, place

    def skip(self, wire: int, place: int, end: int) -> tuple[int, int]:
        """Where the content of a field begins and where it ends."""
        if wire == _COUNTED:
            size, place = self.varint(place, end)
        elif wire == _VARINT:
            size = self.varint(place, end)[1] - place
        else:
            size = {_EIGHT: 8, _FOUR: 4}.get(wire, -1)
        if size < 0 or size > end - place:
            raise ValueError(f"the field at byte {place} is cut off or of no known kind")
        return place, place + size

    def varint(self, place: int, end: int) -> tuple[int, int]:
        value = 0
        for index, byte in enumerate(self.read(place, min(_LONGEST, end - place))):
            value |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                return value, place + index + 1
        raise ValueError(f"the number at byte {place} has no end")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _is_weights(descriptor: Any) -> bool:
    return bool(descriptor.name == "WeightParams")


@lru_cache(maxsize=1)
def _number_fields() -> tuple[dict[int, int], int]:
    """Tags of the fields that hold numbers, with the place of their size, and the tag of the one that keeps it."""
    from mctc.package.protobuf import network_messages

    fields = network_messages().WeightParams.DESCRIPTOR.fields_by_name
    return {fields[name].number: place for place, name in enumerate(_NUMBERS) if name in fields}, fields[
        "rawValue"
    ].number


_HOLDERS: dict[str, dict[int, Any]] = {}


def _holders(descriptor: Any) -> dict[int, Any]:
    """The fields of a message that hold weights, or messages that do, by number."""
    known = _HOLDERS.get(descriptor.full_name)
    if known is None:
        reaching = _reaching(descriptor)
        known = _HOLDERS[descriptor.full_name] = {
            field.number: field.message_type
            for field in descriptor.fields
            if field.message_type is not None and field.message_type.full_name in reaching
        }
    return known


def _reaching(descriptor: Any) -> set[str]:
    """Names of the messages below this one (itself included) in which weights can lie."""
    below: dict[str, set[str]] = {}
    waiting = [descriptor]
    reaching = set()
    while waiting:
        each = waiting.pop()
        if each.full_name in below:
            continue
        types = [field.message_type for field in each.fields if field.message_type is not None]
        below[each.full_name] = {type_.full_name for type_ in types}
        waiting += types
        if _is_weights(each):
            reaching.add(each.full_name)
    while True:
        more = {name for name, inner in below.items() if inner & reaching} - reaching
        if not more:
            return reaching
        reaching |= more
