"""tokenizer.json of the library tokenizers: its table by what the file says, its spelling by the library."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

from mctc.tokens.byte_text import as_bytes
from mctc.tokens.errors import TokensError
from mctc.tokens.spelling import TOKENIZER, Spelling
from mctc.tokens.table import Tokens

KIND = TOKENIZER
LARGEST = 1 << 21  # ids of a vocabulary
NAMED = re.compile(r"<\|.*\|>")  # added tokens that are no text, whether or not the file calls them special
BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")

Change = Callable[[bytes], bytes]


def of_tokenizer(content: Any, data: bytes, kind: str = KIND) -> Tokens:
    """Tokens of a file: its JSON and its bytes. Raises TokensError."""
    ids = _ids(content)
    added = _added(content)
    special = {token: name for token, (name, is_special) in added.items() if is_special}
    names = {**{token: name for name, token in ids.items()}, **{token: name for token, (name, _) in added.items()}}
    if not names:
        raise TokensError("it has no vocabulary")
    change = decoder(content.get("decoder"))

    def piece(token: int) -> bytes:
        if token in special or token not in names:
            return b""
        return names[token].encode() if token in added else change(names[token].encode())

    return Tokens(kind, tuple(map(piece, range(max(names) + 1))), special, spelling=Spelling(TOKENIZER, data))


def _ids(content: Any) -> dict[str, int]:
    model = content.get("model") if isinstance(content, Mapping) else None
    vocabulary = model.get("vocab") if isinstance(model, Mapping) else None
    if isinstance(vocabulary, Sequence) and not isinstance(vocabulary, str):  # Unigram: pieces with their scores
        vocabulary = {row[0]: at for at, row in enumerate(vocabulary) if isinstance(row, Sequence) and row}
    return checked_ids(vocabulary)


def checked_ids(vocabulary: Any) -> dict[str, int]:
    """A table of pieces and their ids, each id once. Raises TokensError for anything else."""
    if not isinstance(vocabulary, Mapping):
        raise TokensError("it has no table of pieces and their ids")
    first: dict[int, str] = {}
    for name, token in vocabulary.items():
        if not isinstance(name, str) or type(token) is not int or not 0 <= token < LARGEST:
            raise TokensError(f"{str(name)[:40]!r} has the id {str(token)[:40]!r}, which is none")
        if token in first:
            raise TokensError(f"{first[token]!r} and {name!r} have the same id, {token}")
        first[token] = name
    return {name: token for token, name in first.items()}


def _added(content: Mapping[str, Any]) -> dict[int, tuple[str, bool]]:
    """Names of tokens beside the vocabulary, and whether they are no text."""
    found: dict[int, tuple[str, bool]] = {}
    listed = content.get("added_tokens") or []
    if not isinstance(listed, Sequence):
        raise TokensError("its added tokens are no list")
    for row in listed:
        name, token = (row.get("content"), row.get("id")) if isinstance(row, Mapping) else (None, None)
        if not isinstance(name, str) or type(token) is not int or not 0 <= token < LARGEST:
            raise TokensError("an added token has no content or no id")
        found[token] = name, bool(row.get("special")) or bool(NAMED.fullmatch(name))
    return found


def decoder(said: Any) -> Change:
    """What makes bytes of a piece, by the file's `decoder`. Raises TokensError for one that isn't known."""
    if said is None:
        return lambda piece: b" " + piece
    kind = said.get("type") if isinstance(said, Mapping) else None
    if kind == "Sequence":
        changes = [decoder(each) for each in said.get("decoders") or []]
        return lambda piece: reduce(lambda held, change: change(held), changes, piece)
    if not isinstance(kind, str) or kind not in DECODERS:
        raise TokensError(f"its decoder {kind!r} isn't known", hint=f"known are Sequence, {', '.join(DECODERS)}")
    try:
        return DECODERS[kind](said)
    except (KeyError, TypeError, AttributeError) as error:
        raise TokensError(f"its decoder {kind} lacks {error}") from error


def _replace(said: Mapping[str, Any]) -> Change:
    old, new = str(said["pattern"]["String"]).encode(), str(said["content"]).encode()
    return lambda piece: piece.replace(old, new)


def _metaspace(said: Mapping[str, Any]) -> Change:
    mark = str(said["replacement"]).encode()
    return lambda piece: piece.replace(mark, b" ")


def _word_piece(said: Mapping[str, Any]) -> Change:
    inside = str(said["prefix"]).encode()
    return lambda piece: piece[len(inside) :] if piece.startswith(inside) else b" " + piece


def _suffix(said: Mapping[str, Any]) -> Change:
    ending = str(said["suffix"]).encode()
    return lambda piece: piece.replace(ending, b" ")


def _ctc(said: Mapping[str, Any]) -> Change:
    nothing, space = str(said["pad_token"]).encode(), str(said["word_delimiter_token"]).encode()
    return lambda piece: b"" if piece == nothing else piece.replace(space, b" ")


def _byte(piece: bytes) -> bytes:
    match = BYTE.fullmatch(piece.decode("utf-8", "replace"))
    return bytes([int(match[1], 16)]) if match else piece


DECODERS: Mapping[str, Callable[[Mapping[str, Any]], Change]] = {
    "ByteLevel": lambda _: lambda piece: as_bytes(piece.decode()),
    "ByteFallback": lambda _: _byte,
    "Replace": _replace,
    "Metaspace": _metaspace,
    "WordPiece": _word_piece,
    "BPEDecoder": _suffix,
    "CTC": _ctc,
    "Fuse": lambda _: lambda piece: piece,
    "Strip": lambda _: lambda piece: piece,
}
"""What each kind of decoder does to a piece, as bytes; Fuse and Strip are about a whole text."""
