"""Bytes as printable characters: how byte-level vocabularies write their pieces (GPT-2's alphabet).

Bytes that are printable in Latin-1 stand for themselves; the others, in order, for the characters from U+0100 on.
"""

from __future__ import annotations

PRINTABLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
OTHERS = tuple(byte for byte in range(256) if byte not in PRINTABLE)
TO_BYTE = {**{chr(byte): byte for byte in PRINTABLE}, **{chr(0x100 + at): byte for at, byte in enumerate(OTHERS)}}
TO_CHARACTER = {byte: character for character, byte in TO_BYTE.items()}


def as_bytes(piece: str) -> bytes:
    """The bytes that a piece stands for; a character outside of the alphabet is itself."""
    return b"".join(bytes([TO_BYTE[each]]) if each in TO_BYTE else each.encode() for each in piece)


def as_text(piece: bytes) -> str:
    """A piece as such a vocabulary writes it."""
    return "".join(TO_CHARACTER[byte] for byte in piece)
