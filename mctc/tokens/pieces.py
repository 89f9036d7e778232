"""SentencePiece models, read by the library sentencepiece."""

from __future__ import annotations

from typing import Any

from mctc.tokens.errors import TokensError
from mctc.tokens.letters import SPACE, SPECIAL
from mctc.tokens.spelling import SENTENCEPIECE, Spelling
from mctc.tokens.table import Tokens

KIND = "sentencepiece"


def of_model(data: bytes) -> Tokens:
    """Tokens of a model file's bytes. Raises TokensError."""
    spelling = Spelling(SENTENCEPIECE, data)
    processor = spelling.opened
    size = processor.GetPieceSize()
    if not size:
        raise TokensError("it is no SentencePiece model: it has no pieces")
    special = {token: str(processor.IdToPiece(token)) for token in range(size) if _is_special(processor, token)}
    silent = {token for token in special if not processor.IsUnknown(token)}
    pieces = tuple(b"" if token in silent else _bytes(processor, token) for token in range(size))
    return Tokens(KIND, pieces, special, spelling=spelling)


def _is_special(processor: Any, token: int) -> bool:
    if processor.IsByte(token):
        return False
    named = processor.IsControl(token) or processor.IsUnknown(token) or processor.IsUnused(token)
    return bool(named or SPECIAL.fullmatch(processor.IdToPiece(token)))


def _bytes(processor: Any, token: int) -> bytes:
    """The bytes of a piece; of the unknown one, what the library puts in its place."""
    piece = str(processor.IdToPiece(token))
    if processor.IsByte(token):
        return bytes([int(piece[3:5], 16)])  # '<0xE4>'
    if processor.IsUnknown(token):
        return str(processor.DecodeIds([token])).encode()
    return piece.replace(SPACE, " ").encode()
