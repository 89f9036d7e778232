"""What spells a text with a model's tokens: the file of a library, which is imported when it is first needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from typing import Any

from mctc.records import dataclass
from mctc.tokens.errors import TokensError

SENTENCEPIECE, TOKENIZER = "sentencepiece.model", "tokenizer.json"


@dataclass(frozen=True)
class Spelling:
    """file: `SENTENCEPIECE` or `TOKENIZER`, what a build calls it; data: its bytes."""

    file: str
    data: bytes

    def encode(self, text: str) -> Sequence[int]:
        """Ids of a text, without tokens that are no text. Raises TokensError where the library isn't installed."""
        if self.file == SENTENCEPIECE:
            pieces: Sequence[int] = self.opened.EncodeAsIds(text)
            return pieces
        ids: Sequence[int] = self.opened.encode(text, add_special_tokens=False).ids
        return ids

    @cached_property
    def opened(self) -> Any:
        """The library's own object. Raises TokensError for a file that it does not read."""
        if self.file == SENTENCEPIECE:
            processor = library("sentencepiece").SentencePieceProcessor()
            try:
                processor.LoadFromSerializedProto(self.data)
            except (RuntimeError, OSError, TypeError, ValueError) as error:
                raise TokensError("it is no SentencePiece model") from error
            return processor
        tokenizers = library("tokenizers")
        try:
            return tokenizers.Tokenizer.from_buffer(self.data)
        except Exception as error:  # the library raises nothing narrower
            raise TokensError(f"the library tokenizers can't read it: {error}") from error


def library(name: str) -> Any:
    """sentencepiece, or a library of the extra `tokens`. Raises TokensError where it isn't installed."""
    try:
        return import_module(name)
    except ImportError as error:
        hint = "pip install 'mctc[tokens]'"
        raise TokensError(f"these tokens take the library {name}, which isn't installed", hint=hint) from error
