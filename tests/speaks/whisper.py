"""A Whisper checkpoint of the transformers library with random weights and a whole vocabulary, as a user has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
import transformers

SECONDS = 2  # of a window, where the published models have 30
SIZES = {"width": 16, "depth": 1, "heads": 2, "frames": 50 * SECONDS, "labels": 24}
BYTE_PAIRS = 50257 - 257  # of the vocabulary that all multilingual models share
LANGUAGES = ["en", "de", *(f"x{at:02}" for at in range(97))]
TASKS = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
TIMES = [f"{0.02 * at:.2f}" for at in range(1501)]
LEFT_OUT = [*range(20, 30), *range(50358, 50363), *range(50364 + 50 * SECONDS + 1, 51865)]  # no time behind a window


def save(folder: Path, seed: int = 0) -> Any:
    """Writes checkpoint, tokenizer, front end and settings of a generation into a folder; the library's own model."""
    torch.manual_seed(seed)
    sides = {f"{side}_{what}": n for side in ("encoder", "decoder")
             for what, n in (("layers", 1), ("attention_heads", 2), ("ffn_dim", 64))}  # fmt: skip
    lengths = {"max_source_positions": 50 * SECONDS, "max_target_positions": 24, "max_length": 24}
    config = transformers.WhisperConfig(d_model=16, init_std=0.5, num_mel_bins=80, **sides, **lengths)
    model = transformers.WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(parameter.half().float())
    model.generation_config = transformers.GenerationConfig(
        decoder_start_token_id=50258, eos_token_id=50257, pad_token_id=50257, is_multilingual=True, max_length=24,
        lang_to_id={"<|en|>": 50259, "<|de|>": 50260}, task_to_id={"translate": 50358, "transcribe": 50359},
        no_timestamps_token_id=50363, suppress_tokens=LEFT_OUT, begin_suppress_tokens=[220, 50257],
        max_initial_timestamp_index=50, prev_sot_token_id=50361,
    )  # fmt: skip
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    transformers.WhisperFeatureExtractor(chunk_length=SECONDS).save_pretrained(folder)
    return model


def tokenizer() -> Any:
    """All bytes and pairs of bytes, then the special tokens at their published places."""
    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    merges = [(a, b) for a in letters for b in letters][:BYTE_PAIRS]
    pieces = [*letters, *(a + b for a, b in merges), "<|filler|>"]
    special = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{name}|>" for name in (*LANGUAGES, *TASKS))]
    made = transformers.WhisperTokenizer({piece: at for at, piece in enumerate(pieces)}, merges)
    made.add_tokens([transformers.AddedToken(name, special=True) for name in special])
    made.add_tokens([transformers.AddedToken(f"<|{time}|>", special=False) for time in TIMES])
    return made


def samples(seconds: float) -> np.ndarray:
    """The bundled recording, as often as it takes."""
    from mctc.audio import bundled_recording, load_audio

    heard = load_audio(bundled_recording(), 16_000)
    return np.resize(heard, int(16_000 * seconds))
