"""Token files of each kind: the text of ids is what their own libraries say."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mctc.tokens import read_tokens
from mctc.tokens.byte_text import as_bytes
from mctc.tokens.stored import write_tokens
from tests.tokens.conftest import SENTENCES, UNHEARD


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_sentencepiece_model(kind: str, sentencepiece_model: Callable[..., bytes], tmp_path: Path) -> None:
    import sentencepiece

    (tmp_path / "pieces.model").write_bytes(model := sentencepiece_model(model_type=kind))
    library, tokens = sentencepiece.SentencePieceProcessor(model_proto=model), read_tokens(tmp_path)
    for text in [*SENTENCES, UNHEARD]:
        assert tokens.encode(text) == library.encode(text)
        assert tokens.text(tokens.encode(text)) == library.decode(library.encode(text))
    draw = random.Random(0)
    for _ in range(100):  # whatever a model emits
        ids = [draw.randrange(tokens.size) for _ in range(6)]
        ids = [token for token in ids if token not in tokens.special and not library.IsByte(token)]
        assert tokens.text(ids) == library.decode(ids).strip()
    assert tokens.special == {0: "<unk>", 1: "<s>", 2: "</s>"}
    assert tokens.text([0]) == "⁇"


def test_a_blank_among_the_pieces_of_a_sentencepiece_model_is_no_text(
    sentencepiece_model: Callable[..., bytes], tmp_path: Path
) -> None:
    (tmp_path / "pieces.model").write_bytes(sentencepiece_model(user_defined_symbols=["<blk>"]))
    tokens = read_tokens(tmp_path / "pieces.model")
    assert tokens.pieces[tokens.named("<blk>")] == b""


def saved(tokenizer: Any, folder: Path) -> Path:
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def trained(model: str, before: str, after: str, trainer: str, **settings: Any) -> Any:
    import tokenizers

    made = tokenizers.Tokenizer(getattr(tokenizers.models, model)(**settings))
    made.pre_tokenizer = getattr(tokenizers.pre_tokenizers, before)()
    made.decoder = getattr(tokenizers.decoders, after)()
    chosen = {"unk_token": "<unk>"} if trainer == "UnigramTrainer" else {}
    teaches = getattr(tokenizers.trainers, trainer)(vocab_size=300, special_tokens=["<unk>"], **chosen)
    made.train_from_iterator(SENTENCES, teaches)
    return made


@pytest.mark.parametrize(
    "made",
    [
        ("Unigram", "Metaspace", "Metaspace", "UnigramTrainer"),
        ("BPE", "Metaspace", "Metaspace", "BpeTrainer"),
    ],
    ids=lambda made: made[0],
)
def test_a_tokenizer_file(made: tuple[str, str, str, str], tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    tokenizer = trained(*made)
    tokens = read_tokens(saved(tokenizer, tmp_path))
    for text in SENTENCES:
        assert tokens.encode(text) == tokenizer.encode(text).ids
        assert tokens.text(tokens.encode(text)) == tokenizer.decode(tokenizer.encode(text).ids).strip()


def test_a_tokenizer_of_word_pieces(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = trained("WordPiece", "Whitespace", "WordPiece", "WordPieceTrainer", unk_token="<unk>")
    tokenizer.decoder = tokenizers.decoders.WordPiece(cleanup=False)
    tokens = read_tokens(saved(tokenizer, tmp_path))
    for text in SENTENCES:
        ids = tokenizer.encode(text).ids
        assert tokens.text(ids) == tokenizer.decode(ids, skip_special_tokens=True)


def test_a_tokenizer_of_bytes_gives_any_text_back(byte_level: Any, tmp_path: Path) -> None:
    tokens = read_tokens(saved(byte_level, tmp_path))
    for text in [*SENTENCES, UNHEARD]:
        assert tokens.encode(text) == byte_level.encode(text).ids
        assert tokens.text(tokens.encode(text)) == text
    assert tokens.special == {0: "<|end|>"}


def test_a_vocabulary_with_its_merges(pairs_folder: Path, byte_level: Any) -> None:
    tokens = read_tokens(pairs_folder / "vocab.json")
    for text in [*SENTENCES, UNHEARD]:
        assert tokens.encode(text) == byte_level.encode(text).ids
        assert tokens.text(tokens.encode(text)) == text
    assert tokens.named("<|0.00|>") == tokens.size - 1


def test_a_vocabulary_of_qwen_splits_numbers_as_qwen_does(pairs_folder: Path) -> None:
    transformers = pytest.importorskip("transformers")
    (pairs_folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "Qwen2Tokenizer"}))
    names = [str(pairs_folder / name) for name in ("vocab.json", "merges.txt")]
    theirs, tokens = transformers.Qwen2Tokenizer(*names), read_tokens(pairs_folder)
    for text in [*SENTENCES, UNHEARD, "I'LL take 2024,\n\n 12 of them  now"]:
        assert tokens.encode(text) == theirs.encode(text)


def test_ranks_of_tiktoken(byte_level: Any, tmp_path: Path) -> None:
    vocabulary = sorted((token - 1, piece) for piece, token in byte_level.get_vocab().items() if token)
    rows = [f"{base64.b64encode(as_bytes(piece)).decode()} {rank}" for rank, piece in vocabulary]
    (tmp_path / "multilingual.tiktoken").write_text("\n".join(rows) + "\n")
    tokens = read_tokens(tmp_path / "multilingual.tiktoken")
    for text in [*SENTENCES, UNHEARD]:
        assert tokens.text(tokens.encode(text)) == text
        assert [token + 1 for token in tokens.encode(text)] == byte_level.encode(text).ids


def test_a_list_of_symbols_with_and_without_their_ids(tmp_path: Path) -> None:
    (tmp_path / "tokens.txt").write_text("<blk> 0\n▁THE 2\nS 1\n", encoding="utf-8")
    (tmp_path / "plain.txt").write_text("<blk>\nS\n▁THE\n", encoding="utf-8")
    tokens = read_tokens(tmp_path / "tokens.txt")
    assert tokens == read_tokens(tmp_path / "plain.txt")
    assert tokens.pieces == (b"", b"S", b" THE")
    assert tokens.text([2, 0, 2, 1]) == "THE THES"


def test_the_vocabulary_of_a_ctc_model_has_no_merges(tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text(json.dumps({"<pad>": 0, "|": 1, "A": 2, "B": 3}))
    assert read_tokens(tmp_path).text([2, 1, 3]) == "A B"


def test_stored_tokens_are_the_same_and_spell_the_same(byte_level: Any, tmp_path: Path) -> None:
    tokens = read_tokens(saved(byte_level, tmp_path))
    (tmp_path / "build").mkdir()
    write_tokens(tokens, tmp_path / "build")
    again = read_tokens(tmp_path / "build" / "tokens.json")
    assert again == tokens
    assert again.encode(UNHEARD) == tokens.encode(UNHEARD)
