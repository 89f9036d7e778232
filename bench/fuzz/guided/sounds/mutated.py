"""Damage to a sound file: numbers of its header, its bytes, its length, the order of its parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from bench.fuzz.guided.sounds.file import HEADER, SUFFIXES, decoded
from bench.fuzz.guided.sounds.made import made

NUMBERS = (0, 1, 2, 3, 7, 8, 16, 24, 32, 255, 256, 999, 1000, 44_100, 384_000, 1 << 15, (1 << 16) - 1, 1 << 31,
           (1 << 31) - 1, (1 << 32) - 1, 1 << 40, (1 << 63) - 1, (1 << 64) - 1)  # fmt: skip
FLOATS = (b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\0\0\x80\xff", b"\1\0\0\0", b"\xff\xff\x7f\x7f", b"\0\0\0\0\0\0\xf0\x7f")
"""Not a number, both infinities, the least subnormal number, the largest one, and infinity in 64 bits."""
HEAD = 200  # bytes in which headers have their numbers
TAGS = (
    *(b"ID3\4\0\0\0\0\0\x0a" + bytes(10), b"ID3\3\0\0\x7f\x7f\x7f\x7f", b"TAG".ljust(128), bytes(37)),
    *(b"RIFF", b"junk" * 50),
)
KINDS = (*["number"] * 3, "bits", "cut", "drop", "double", "splice", "swap", "float", "tag")


Plain = Callable[[bytes, int], bytes]


@dataclass(frozen=True)
class SoundMutator:
    """A new recording, or a damaged one. others: what pieces are taken from."""

    others: Sequence[bytes]

    def __call__(self, data: bytes, random: Random, most: int, plain: Plain) -> bytes:
        if random.random() < 0.4:
            return self._new(random, most)
        file = decoded(data)
        content = file.content
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            content = self._damaged(content, random, most, plain)
        changed = file.with_content(content[: most - HEADER.size])
        if random.random() < 0.05:
            changed = replace(changed, suffix=random.choice(SUFFIXES))
        if random.random() < 0.03:
            changed = replace(changed, at=random.randint(0, len(content)), hole=random.choice((1, 7, 1 << 12, 1 << 25)))
        return changed.encoded()

    def _new(self, random: Random, most: int) -> bytes:
        while len(encoded := made(random).encoded()) > most:
            pass
        return encoded

    def _damaged(self, content: bytes, random: Random, most: int, plain: Plain) -> bytes:
        """One damage. Most of them meet the header."""
        if not content or random.random() < 0.05:
            return plain(content, most)
        at = random.randrange(min(len(content), HEAD)) if random.random() < 0.7 else random.randrange(len(content))
        kind = random.choice(KINDS)
        if kind == "number":
            width = random.choice((1, 2, 4, 4, 8))
            value = random.choice(NUMBERS) % (1 << 8 * width)
            return content[:at] + value.to_bytes(width, random.choice(("little", "big"))) + content[at + width :]
        if kind == "bits":
            return content[:at] + bytes([content[at] ^ 1 << random.randrange(8)]) + content[at + 1 :]
        if kind == "cut":
            return content[:at]
        if kind == "float":
            place = random.randrange(len(content)) // 4 * 4
            special = random.choice(FLOATS)
            return content[:place] + special + content[place + len(special) :]
        if kind == "tag":
            return random.choice((random.choice(TAGS) + content, content + random.choice(TAGS)))
        end = min(len(content), at + random.choice((1, 2, 4, 8, 36, random.randint(1, 5000))))
        piece = content[at:end]
        if kind == "drop":
            return content[:at] + content[end:]
        if kind == "double":
            return random.choice((content[:end] + piece + content[end:], content + content))
        if kind == "swap":
            further = content[end : end + len(piece)]
            return content[:at] + further + piece + content[end + len(further) :]
        other = decoded(random.choice(self.others)).content
        start = random.randint(0, len(other))
        return content[:at] + other[start : start + random.randint(0, 3000)] + content[at:]
