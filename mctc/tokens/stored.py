"""Tokens in the form that travels with a build: one JSON table, and beside it the file that spells.

The table is in metadata of packages and models too. `pieces` are texts; one that is no text of its own, such as a byte
of a character, is a list of bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mctc.tokens.errors import TokensError
from mctc.tokens.names import FILE
from mctc.tokens.spelling import SENTENCEPIECE, TOKENIZER, Spelling
from mctc.tokens.table import Tokens

LISTS = ("never", "not_first", "ends")  # of ids; absent where they are empty


def as_json(tokens: Tokens) -> str:
    """The table as JSON, in one line."""
    table = {
        "kind": tokens.kind,
        "blank": tokens.blank,
        "inserted": tokens.inserted,
        "special": {str(token): name for token, name in sorted(tokens.special.items())},
        **{key: list(ids) for key in LISTS if (ids := getattr(tokens, key))},
        "pieces": [_written(piece) for piece in tokens.pieces],
    }
    return json.dumps(table, ensure_ascii=False, separators=(",", ":"))


def of_json(content: Any, spelling: Spelling | None = None) -> Tokens:
    """The tokens of a table. Raises TokensError for JSON that is none."""
    try:
        special = {int(token): str(name) for token, name in content["special"].items()}
        pieces = tuple(_read(piece) for piece in content["pieces"])
        blank = None if content["blank"] is None else int(content["blank"])
        lists = (tuple(map(int, content.get(key, ()))) for key in LISTS)
        return Tokens(str(content["kind"]), pieces, special, blank, bool(content["inserted"]), spelling, *lists)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TokensError(f"it is no table of tokens: {type(error).__name__}: {error}") from error


def is_table(content: Any) -> bool:
    """Whether JSON claims to be a table of tokens."""
    return isinstance(content, Mapping) and "pieces" in content and "kind" in content


def write_tokens(tokens: Tokens, folder: Path) -> None:
    """Writes the table into a folder, and what spells beside it."""
    (folder / FILE).write_text(as_json(tokens) + "\n", encoding="utf-8")
    if tokens.spelling is not None:
        (folder / tokens.spelling.file).write_bytes(tokens.spelling.data)


def spelling_beside(table: Path) -> Spelling | None:
    """What spells with the tokens of a table, where its file lies beside it. Raises OSError."""
    for name in (SENTENCEPIECE, TOKENIZER):
        if (beside := table.with_name(name)).is_file():
            return Spelling(name, beside.read_bytes())
    return None


def _written(piece: bytes) -> str | list[int]:
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return list(piece)


def _read(piece: Any) -> bytes:
    return piece.encode() if isinstance(piece, str) else bytes(piece)
