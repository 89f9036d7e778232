"""What makes a new input from an old one: by its structure, or by libFuzzer's own mutations of bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from bench.fuzz.guided.bundle import KINDS, MEMBERS, Bundle, Member, decoded
from bench.fuzz.guided.messages import mutate_message
from bench.fuzz.guided.tokens import mutate_text
from mctc.package.protobuf import model_class

Bytes = Callable[[bytes, int], bytes]
"""A mutation of bytes: old content, most bytes of the new one."""
BLOB_FIELDS = ((0, 4), (4, 4), (8, 8), (16, 8), (24, 8))
"""Offset and width of the numbers in a header or record of a weight file (mctc/package/blob.py)."""
PATHS = ("", ".", "..", "/etc/passwd", "../../x.mlmodel", "com.apple.CoreML", "a/" * 99)


@dataclass(frozen=True)
class TextMutator:
    """Mutates a source text. `words` may be put in, pieces of `others` are spliced in."""

    words: Sequence[str]
    others: Sequence[str]

    def __call__(self, data: bytes, random: Random, most: int, plain: Bytes) -> bytes:
        if random.random() < 0.1:
            return plain(data, most)
        text = data.decode("utf-8", "replace")
        return mutate_text(text, random, self.words, self.others).encode("utf-8", "replace")[:most]


@dataclass(frozen=True)
class BundleMutator:
    """Mutates one member of a model by what it is. `words` are names of ops, operands, types and the like."""

    words: Sequence[str]
    others: Sequence[bytes]

    def __call__(self, data: bytes, random: Random, most: int, plain: Bytes) -> bytes:
        bundle = decoded(data)
        names = [name for name in MEMBERS[bundle.container] if name in bundle.members]
        if not names or random.random() < 0.02:
            return plain(data, most)
        if random.random() < 0.05:
            return self._exchanged(bundle, random).encoded()[:most]
        # The program is what most of the code reads.
        name = max(names, key=_is_program) if random.random() < 0.7 else random.choice(names)
        old = bundle.members[name]
        if random.random() < 0.03:
            new = Member(random.choice(PATHS).encode() or old.content, random.choice(KINDS))
        else:
            new = Member(self._content(name, old.content, random, most, plain), old.kind)
        encoded = bundle.with_member(name, new).encoded()
        return encoded if len(encoded) <= most else data[:most]

    def _exchanged(self, bundle: Bundle, random: Random) -> Bundle:
        """With one member of another model, of whichever container."""
        other = decoded(random.choice(self.others))
        names = [name for name in bundle.members if name in other.members]
        return other if not names else bundle.with_member(names[0], other.members[names[0]])

    def _content(self, name: str, content: bytes, random: Random, most: int, plain: Bytes) -> bytes:
        if random.random() < 0.1:
            return plain(content, most)
        if name.endswith(".json"):
            return _mutated_json(content, random, self.words) or plain(content, most)
        if name.endswith(".bin"):
            return _mutated_blob(content, random)
        if name.endswith(".mil"):
            return mutate_text(content.decode("utf-8", "replace"), random, self.words, ()).encode("utf-8", "replace")
        donor = random.choice(self.others) if random.random() < 0.3 else None
        return _mutated_model(content, random, self.words, donor) or plain(content, most)


def _is_program(name: str) -> bool:
    return name.endswith((".mil", ".mlmodel")) or not name  # a bare specification is the container itself


def _mutated_model(content: bytes, random: Random, words: Sequence[str], donor: bytes | None) -> bytes:
    model, other = model_class()(), model_class()()
    try:
        model.ParseFromString(content)
        if donor is not None:
            members = decoded(donor).members
            other.ParseFromString(next((members[name].content for name in members if _is_program(name)), b""))
        mutate_message(model, random, words, other)
        return bytes(model.SerializeToString())
    except Exception:  # no message any more, or too deep to be one: whatever protobuf says
        return b""


def _mutated_json(content: bytes, random: Random, words: Sequence[str]) -> bytes:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return b""
    holders = [each for each in _containers(value) if each]
    if not holders:
        return b"[]"
    holder = random.choice(holders)
    key = random.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    if random.random() < 0.15:
        del holder[key]
    else:
        holder[key] = random.choice(
            (*PATHS, random.choice(words), 0, -1, 1 << 70, None, [], {}, True, 0.5, "[1, 2]", value)
        )
    try:
        return json.dumps(value).encode()
    except (ValueError, RecursionError):  # it holds itself
        return b"[" * 5000


def _containers(value: Any) -> list[Any]:
    found = [value] if isinstance(value, (dict, list)) else []
    for inner in (value.values() if isinstance(value, dict) else value) if found else ():
        found += _containers(inner)
    return found


def _mutated_blob(content: bytes, random: Random) -> bytes:
    """Numbers of the header or a record changed, or the file cut short."""
    if not content or random.random() < 0.15:
        return content[: random.randint(0, len(content))]
    changed = bytearray(content)
    start = 64 * random.randrange(-(-len(content) // 64))
    offset, width = random.choice(BLOB_FIELDS)
    old = int.from_bytes(changed[start + offset : start + offset + width], "little")
    new = random.choice((0, 1, old + 1, old - 1, old * 2, len(content), 1 << 40, (1 << 64) - 64, random.randrange(20)))
    changed[start + offset : start + offset + width] = (new % (1 << 8 * width)).to_bytes(width, "little")
    return bytes(changed[: len(content)])
