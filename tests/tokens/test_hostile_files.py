"""Files that are no tokens: an error that says what is wrong, and in which line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mctc.tokens import TokensError, read_tokens
from mctc.tokens import read as reading

DEEP = "[" * 100_000
HOSTILE = {
    "an empty file": ("tokens.txt", b"", "tokens.txt: it is empty"),
    "no line": ("tokens.txt", b"\n\n", "tokens.txt: it names no symbol"),
    "another encoding": ("tokens.txt", "a\nb\nü".encode("latin-1"), "tokens.txt:3: byte 0xfc is not UTF-8"),
    "two bytes a character": ("tokens.txt", "a\nb".encode("utf-16"), "tokens.txt:1: byte 0xff is not UTF-8"),
    "a symbol twice": ("tokens.txt", b"a\nb\na\n", "tokens.txt:3: 'a' stands twice, the first time in line 1"),
    "an id twice": ("tokens.txt", b"a 0\nb 1\nc 1\n", "tokens.txt:3: id 1 stands twice"),
    "an id missing": ("tokens.txt", b"a 0\nb 2\n", "tokens.txt:2: no symbol has id 1"),
    "NUL": ("tokens.txt", b"a\nb\0\n", r"tokens.txt:2: the control character U\+0000 is no symbol"),
    "a picture": ("tokens.bin", b"\x89PNG\r\n\x1a\n", "tokens.bin:1: byte 0x89 is not UTF-8"),
    "no JSON": ("tokenizer.json", b'{"model":\n {', "tokenizer.json:2: it is no JSON"),
    "deep JSON": ("tokenizer.json", DEEP.encode(), "tokenizer.json: it is no JSON that can be read"),
    "JSON of a number": ("tokenizer.json", b"3", "tokenizer.json: it has no table of pieces"),
    "JSON of a list": ("vocab.json", b'["a", "b"]', "vocab.json: it has no table of pieces"),
    "a piece twice": ("vocab.json", b'{"a": 0, "a": 1}', "vocab.json: 'a' stands twice in one table"),
    "the same id": ("vocab.json", b'{"a": 0, "b": 0}', "vocab.json: 'a' and 'b' have the same id, 0"),
    "an id that is none": ("vocab.json", b'{"a": -1}', "vocab.json: 'a' has the id '-1', which is none"),
    "an id that is a truth": ("vocab.json", b'{"a": true}', "vocab.json: 'a' has the id 'True', which is none"),
    "an id too large": ("vocab.json", b'{"a": 1e9}', "vocab.json: 'a' has the id"),
    "ids with a gap": ("vocab.json", b'{"a": 0, "b": 7}', "vocab.json: its ids are not 0, 1, 2"),
    "half a character": (
        "tokenizer.json",
        b'{"model": {"vocab": {"\\ud800": 0}}, "decoder": {"type": "ByteLevel"}}',
        "holds half a character",
    ),
    "an unknown decoder": (
        "tokenizer.json",
        b'{"model": {"vocab": {"a": 0}}, "decoder": {"type": "Magic"}}',
        "tokenizer.json: its decoder 'Magic' isn't known",
    ),
    "a decoder without its setting": (
        "tokenizer.json",
        b'{"model": {"vocab": {"a": 0}}, "decoder": {"type": "WordPiece"}}',
        "tokenizer.json: its decoder WordPiece lacks 'prefix'",
    ),
    "added tokens that are none": (
        "tokenizer.json",
        b'{"model": {"vocab": {"a": 0}}, "added_tokens": [{"content": "b"}]}',
        "tokenizer.json: an added token has no content or no id",
    ),
    "no model": ("x.model", b"\0" * 100, "x.model: it is no SentencePiece model"),
    "no base64": ("x.tiktoken", b"IQ== 0\n!!! 1\n", "x.tiktoken:2: it is no piece in base64 with its id"),
    "not all bytes": ("x.tiktoken", b"IQ== 0\n", "x.tiktoken: no piece is the byte 0x00"),
    "a table that is none": ("tokens.json", b'{"kind": "a", "pieces": 3}', "tokens.json: it is no table of tokens"),
    "a table of no bytes": (
        "tokens.json",
        json.dumps({"kind": "a", "blank": None, "inserted": False, "special": {}, "pieces": [[256]]}).encode(),
        "tokens.json: it is no table of tokens",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_wrong_is_said_with_its_place(name: str, tmp_path: Path) -> None:
    file, data, told = HOSTILE[name]
    if file.endswith(".model"):
        pytest.importorskip("sentencepiece")
    (tmp_path / file).write_bytes(data)
    with pytest.raises(TokensError, match=told):
        read_tokens(tmp_path / file)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TokensError, match=r"absent.txt: it can't be read: no such file or directory"):
        read_tokens(tmp_path / "absent.txt")


def test_a_folder_without_tokens(tmp_path: Path) -> None:
    with pytest.raises(TokensError, match="holds no file of tokens"):
        read_tokens(tmp_path)


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGEST", 8)
    (tmp_path / "tokens.txt").write_text("a\nb\nc\nd\ne\n")
    with pytest.raises(TokensError, match="larger than 8 bytes"):
        read_tokens(tmp_path / "tokens.txt")


def test_merges_that_are_no_pairs(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text('{"a": 0, "b": 1}')
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b c\n")
    with pytest.raises(TokensError, match="the merges hold 'a b c'"):
        read_tokens(tmp_path / "vocab.json")


def test_a_library_that_is_not_installed_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sentencepiece", None)
    (tmp_path / "x.model").write_bytes(b"x")
    with pytest.raises(TokensError, match="take the library sentencepiece") as caught:
        read_tokens(tmp_path / "x.model")
    assert caught.value.hint == "pip install 'mctc[tokens]'"
