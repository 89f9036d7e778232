"""Token files: bounded, told apart by their names and contents, and what is wrong with one said with its place."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mctc.tokens import byte_pairs, letters, pieces, stored, tokenizer
from mctc.tokens.errors import TokensError
from mctc.tokens.table import Tokens

LARGEST = 128 << 20  # bytes of a file
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
IN_FOLDER = ("tokens.json", "tokenizer.json", "vocab.json", "tokens.txt", "*.model", "*.tiktoken")
MERGES, ADDED, CONFIG = "merges.txt", "added_tokens.json", "tokenizer_config.json"
GENERATION, LEFT_OUT = "generation_config.json", ("suppress_tokens", "begin_suppress_tokens")
KINDS = "a tokenizer.json, a vocab.json with its merges.txt, a SentencePiece .model, a .tiktoken, or a symbol a line"


def read_tokens(path: Path) -> Tokens:
    """The tokens of a file, or of the first known one in a folder. Raises TokensError with the file and line."""
    if path.is_dir():
        found = [each for pattern in IN_FOLDER for each in sorted(path.glob(pattern))]
        if not found:
            raise TokensError(f"{path} holds no file of tokens", hint=f"known are {KINDS}")
        path = found[0]
    try:
        return _searched(path, _read(path, read_bytes(path)))
    except TokensError as error:
        place = str(path) if error.line is None else f"{path}:{error.line}"
        raise TokensError(f"{place}: {error.message}", hint=error.hint, line=error.line) from error
    except UnicodeEncodeError as error:
        raise TokensError(f"{path}: {error.object[:40]!r} holds half a character") from error


def _read(path: Path, data: bytes) -> Tokens:
    if path.suffix == ".model":
        return pieces.of_model(data)
    text = text_of(data)
    if path.suffix == ".tiktoken":
        return byte_pairs.of_ranks(text, qwen="qwen" in path.stem.lower())
    if path.suffix != ".json":
        return letters.of_lines(_without_control(text))
    content = json_of(text)
    if stored.is_table(content):
        return stored.of_json(content, stored.spelling_beside(path))
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        return tokenizer.of_tokenizer(content, data)
    return _vocabulary(path, content)


def _vocabulary(path: Path, content: Any) -> Tokens:
    """A vocab.json: byte pairs where merges lie beside it, else symbols, as CTC models have them."""
    ids = tokenizer.checked_ids(content)
    config = _beside(path, CONFIG)
    merges = path.with_name(MERGES)
    if not merges.is_file():
        return letters.of_table(ids, str(config.get("word_delimiter_token") or "|"))
    qwen = str(config.get("tokenizer_class", "")).startswith("Qwen")
    return byte_pairs.of_pairs(ids, text_of(read_bytes(merges)), _added(path, config), qwen)


def _added(path: Path, config: Mapping[str, Any]) -> dict[int, tuple[str, bool]]:
    """Tokens beside a vocabulary, of added_tokens.json and of the tokenizer's settings; whether each is no text."""
    named = {token: name for name, token in tokenizer.checked_ids(_beside(path, ADDED)).items()}
    added = {token: (name, bool(tokenizer.NAMED.fullmatch(name))) for token, name in named.items()}
    told = config.get("added_tokens_decoder")
    for token, row in told.items() if isinstance(told, Mapping) else ():
        name = row.get("content") if isinstance(row, Mapping) else None
        if not token.isdecimal() or len(token) > 7 or not isinstance(name, str):
            raise TokensError(f"{CONFIG} has an added token {token[:20]!r} that is none")
        added[int(token)] = name, bool(row.get("special")) or bool(tokenizer.NAMED.fullmatch(name))
    return added


def _searched(path: Path, tokens: Tokens) -> Tokens:
    """The tokens with what a search leaves out and ends at, where a generation's settings lie beside their file."""
    config = _beside(path, GENERATION)
    found = []
    for key in LEFT_OUT:
        ids = config.get(key) or []
        bad = [each for each in ids if type(each) is not int or each >= tokens.size] if isinstance(ids, list) else [ids]
        if bad:
            raise TokensError(
                f"{GENERATION} beside it names {str(bad[0])[:20]!r} ({key}), and there are {tokens.size:,} tokens",
                hint="take both files from the same checkpoint",
            )
        found.append(tuple(sorted({each for each in ids if each >= 0})))
    told = config.get("eos_token_id")  # one or several, of which a CTC model's tokens need not have any
    listed = told if isinstance(told, list) else [told]
    ends = tuple(sorted({each for each in listed if type(each) is int and 0 <= each < tokens.size}))
    return replace(tokens, never=found[0], not_first=found[1], ends=ends) if any(found) or ends else tokens


def _beside(path: Path, name: str) -> Mapping[str, Any]:
    """The JSON table of a file beside another; an empty one where there is none."""
    beside = path.with_name(name)
    content = json_of(text_of(read_bytes(beside))) if beside.is_file() else {}
    return content if isinstance(content, Mapping) else {}


def read_bytes(path: Path) -> bytes:
    """A regular file of at most `LARGEST` bytes. Raises TokensError."""
    try:
        if path.exists() and not path.is_file():
            raise TokensError("it is no regular file")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        told = os.strerror(error.errno).lower() if isinstance(error, OSError) and error.errno else str(error)
        raise TokensError(f"it can't be read: {told}") from error
    if len(data) > LARGEST:
        raise TokensError(f"it is larger than {LARGEST:,} bytes")
    if not data:
        raise TokensError("it is empty")
    return data


def text_of(data: bytes) -> str:
    """Bytes as text. Raises TokensError with the line of the first byte that is none."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        hint = f"save it as UTF-8; known are {KINDS}"
        raise TokensError(f"byte 0x{data[error.start]:02x} is not UTF-8", hint=hint, line=line) from error


def json_of(text: str) -> Any:
    """What a JSON text holds. Raises TokensError with the line, and for a name that stands twice in one table."""
    try:
        return json.loads(text, object_pairs_hook=_table)
    except json.JSONDecodeError as error:
        raise TokensError(f"it is no JSON: {error.msg}", line=error.lineno) from error
    except (ValueError, RecursionError) as error:
        raise TokensError(f"it is no JSON that can be read: {error}") from error


def _table(rows: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(rows)
    if len(found) < len(rows):
        twice = Counter(name for name, _ in rows).most_common(1)[0][0]
        raise TokensError(f"{twice[:40]!r} stands twice in one table")
    return found


def _without_control(text: str) -> str:
    if found := CONTROL.search(text):
        line = text.count("\n", 0, found.start()) + 1
        told = f"the control character U+{ord(found.group()):04X} is no symbol"
        raise TokensError(told, hint=f"known are {KINDS}", line=line)
    return text
