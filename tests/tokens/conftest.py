"""Token files of each kind, made by the libraries that read them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SENTENCES = [
    "good morning and thank you for calling the harbour office",
    "the next ferry leaves at a quarter past nine, at platform 12",
    "wir fahren über Zürich nach Süden",
    "北京 and 東京 are far away 🎉",
    "warm clothes, please: the wind on deck is cold",
] * 3
UNHEARD = "a café in Łódź, 1 o'clock 🙂"


@pytest.fixture(scope="session")
def sentencepiece_model() -> Callable[..., bytes]:
    """`sentencepiece_model(**settings)` trains one on the sentences."""
    sentencepiece = pytest.importorskip("sentencepiece")

    def trained(**settings: Any) -> bytes:
        model = io.BytesIO()
        chosen = {"vocab_size": 320, "byte_fallback": True, "minloglevel": 2, **settings}
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(SENTENCES), model_writer=model, **chosen)
        return model.getvalue()

    return trained


@pytest.fixture(scope="session")
def byte_level() -> Any:
    """A tokenizer as GPT-2's, with an end token."""
    tokenizers = pytest.importorskip("tokenizers")
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=330, special_tokens=["<|end|>"], initial_alphabet=alphabet)
    made.train_from_iterator(SENTENCES, trainer)
    return made


@pytest.fixture
def pairs_folder(byte_level: Any, tmp_path: Path) -> Path:
    """The same in the files that Whisper and Qwen ship: vocab.json, merges.txt, added_tokens.json."""
    model = json.loads(byte_level.to_str())["model"]
    merges = ["#version: 0.2", *(" ".join(pair) for pair in model["merges"])]
    (tmp_path / "vocab.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
    (tmp_path / "merges.txt").write_text("\n".join(merges) + "\n", encoding="utf-8")
    added = {"<|startoftranscript|>": len(model["vocab"]), "<|0.00|>": len(model["vocab"]) + 1}
    (tmp_path / "added_tokens.json").write_text(json.dumps(added), encoding="utf-8")
    return tmp_path
