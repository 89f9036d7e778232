"""Byte-pair vocabularies in other files than a tokenizer.json: vocab.json with merges.txt, and tiktoken's ranks.

Each is put into the form of a tokenizer.json, so that there is one way to read it and one library that spells with it.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mctc.tokens.byte_text import as_text
from mctc.tokens.errors import TokensError
from mctc.tokens.table import Tokens
from mctc.tokens.tokenizer import checked_ids, of_tokenizer

PAIRS, RANKS = "byte pairs", "tiktoken"
# How Qwen's tokenizers split a text before bytes are merged. The usual way, GPT-2's, is one that the library knows.
QWEN = r"(?i:'(?:[sdmt]|ll|re|ve))|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def of_pairs(vocabulary: Any, merges: str, added: Mapping[int, tuple[str, bool]], qwen: bool) -> Tokens:
    """Tokens of the contents of vocab.json and merges.txt. Raises TokensError.

    added: names of tokens beside them, and whether these are no text. qwen: whether texts are split as Qwen does.
    """
    ids = checked_ids(vocabulary)
    lines = [line for line in merges.splitlines() if line and not line.startswith("#version")]
    pairs = [line.split(" ") for line in lines]
    if wrong := next((line for line, pair in zip(lines, pairs) if len(pair) != 2), None):
        raise TokensError(f"the merges hold {wrong[:40]!r}, which is no pair of pieces")
    return _read(PAIRS, ids, pairs, added, qwen)


def of_ranks(text: str, qwen: bool) -> Tokens:
    """Tokens of tiktoken's lines: a piece in base64 and its id. Raises TokensError with the line."""
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        coded, _, rank = line.partition(" ")
        try:
            piece, token = base64.b64decode(coded, validate=True), int(rank)
        except (binascii.Error, ValueError) as error:
            raise TokensError("it is no piece in base64 with its id", line=number) from error
        if piece in ranks:
            raise TokensError(f"{coded} stands twice", line=number)
        ranks[piece] = token
    if missing := [byte for byte in range(256) if bytes([byte]) not in ranks]:
        raise TokensError(f"no piece is the byte 0x{missing[0]:02x}")
    pairs = [(as_text(left), as_text(right)) for left, right in _pairs(ranks)]
    return _read(RANKS, checked_ids({as_text(piece): token for piece, token in ranks.items()}), pairs, {}, qwen)


def _pairs(ranks: Mapping[bytes, int]) -> Iterable[tuple[bytes, bytes]]:
    """Every pair of pieces that makes a third, the pairs of a lower rank before others."""
    for piece in sorted(ranks, key=lambda piece: ranks[piece]):
        halves = ((piece[:at], piece[at:]) for at in range(1, len(piece)))
        yield from (pair for pair in halves if pair[0] in ranks and pair[1] in ranks)


def _read(
    kind: str,
    ids: Mapping[str, int],
    pairs: Sequence[Sequence[str]],
    added: Mapping[int, tuple[str, bool]],
    qwen: bool,
) -> Tokens:
    levels = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": not qwen}
    split = {"type": "Split", "pattern": {"Regex": QWEN}, "behavior": "Isolated", "invert": False}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    content = {
        "version": "1.0",
        "added_tokens": [
            {"id": token, "content": name, "special": special, **flags}
            for token, (name, special) in sorted(added.items())
        ],
        "normalizer": {"type": "NFC"} if qwen else None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, levels]} if qwen else levels,
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "vocab": ids, "merges": [" ".join(pair) for pair in pairs]},
    }
    return of_tokenizer(content, json.dumps(content, ensure_ascii=False).encode(), kind)
