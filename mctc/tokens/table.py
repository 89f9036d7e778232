"""The table of tokens: the bytes of each id, which make text of ids, and what makes ids of a text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from types import MappingProxyType

from mctc.records import dataclass
from mctc.tokens.errors import TokensError
from mctc.tokens.spelling import Spelling


@dataclass(frozen=True)
class Word:
    """A word and its tokens: `ids[first:last]` of those that it was made from."""

    text: str
    first: int
    last: int


@dataclass(frozen=True)
class Tokens:
    """pieces: UTF-8 bytes of each id, a space among them where a word begins; b"" for ids that are no text.

    kind: what they were read from. special: names of ids that are no text, such as '<|endoftext|>', and of the unknown
    piece, which may show as some. blank: the id that a transducer or CTC emits for nothing. inserted: whether it was
    put among the ids of the file, so that those from it on moved up by one. spelling: what spells a text, in ids of the
    file. never, not_first: ids that a search for labels leaves out, and leaves out as the first of a text. ends: ids
    that end a text.
    """

    kind: str
    pieces: tuple[bytes, ...]
    special: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))
    blank: int | None = None
    inserted: bool = False
    spelling: Spelling | None = field(default=None, repr=False)
    never: tuple[int, ...] = ()
    not_first: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """How many ids there are."""
        return len(self.pieces)

    @property
    def white_space(self) -> frozenset[int]:
        """The ids that are white space alone: no sound."""
        return frozenset(at for at, piece in enumerate(self.pieces) if piece.isspace())

    def piece(self, token: int) -> bytes:
        """The bytes of one id; none for an id outside of the table, which pads a vocabulary."""
        return self.pieces[token] if 0 <= token < len(self.pieces) else b""

    def text(self, tokens: Iterable[int]) -> str:
        """What a sequence of ids says, without spaces at its ends. Bytes that are no UTF-8 become U+FFFD."""
        return b"".join(map(self.piece, tokens)).decode("utf-8", "replace").strip()

    def words(self, tokens: Sequence[int]) -> list[Word]:
        """The words of a sequence of ids, split at white space, each with the ids that it was made from.

        A word's ids are those that hold its first to its last byte; ids of white space alone are in none.
        """
        found: list[Word] = []
        held, first, last = b"", 0, 0
        for at, part in self._parts(tokens):
            if part.isspace():
                if held:
                    found.append(Word(held.decode("utf-8", "replace"), first, last))
                held = b""
            else:
                first = at if not held else first
                held, last = held + part, at + 1
        return [*found, Word(held.decode("utf-8", "replace"), first, last)] if held else found

    def named(self, name: str) -> int:
        """The id of a special token. Raises TokensError for a name that none has."""
        for token, called in self.special.items():
            if called == name:
                return token
        raise TokensError(f"the tokens have no {name}")

    def encode(self, text: str) -> list[int]:
        """Ids of a text: the library's where the tokens come from one, else the longest pieces from the left.

        Raises TokensError for a text that they can't spell, and where the library isn't installed.
        """
        if self.spelling is None:
            return list(self._longest(text.encode()))
        return [self.moved(token) for token in self.spelling.encode(text)]

    def moved(self, token: int) -> int:
        """The id here of an id of the file."""
        return token + 1 if self.inserted and self.blank is not None and token >= self.blank else token

    def _parts(self, tokens: Iterable[int]) -> Iterator[tuple[int, bytes]]:
        """The bytes of a sequence, white space apart from the rest, each part with the index of its id."""
        for at, token in enumerate(tokens):
            piece, begin = self.piece(token), 0
            for index in range(1, len(piece) + 1):
                if index == len(piece) or piece[index : index + 1].isspace() is not piece[begin : begin + 1].isspace():
                    yield at, piece[begin:index]
                    begin = index

    def _longest(self, text: bytes) -> Iterator[int]:
        ids = {piece: token for token, piece in reversed(tuple(enumerate(self.pieces))) if piece}
        longest, at = max(map(len, ids), default=0), 0
        while at < len(text):
            end = next((end for end in range(min(at + longest, len(text)), at, -1) if text[at:end] in ids), None)
            if end is None:
                left = text[at:].decode("utf-8", "replace")
                raise TokensError(f"no token spells {left[:1]!r} of {text.decode()!r}")
            yield ids[text[at:end]]
            at = end
