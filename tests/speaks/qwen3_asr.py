"""A Qwen3-ASR checkpoint of the transformers library with random weights and a whole vocabulary, as a user has it."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from shutil import copy
from string import ascii_lowercase
from typing import Any

import tokenizers
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers.models import qwen3_asr

SIZES = {"mels": 80, "audio_width": 16, "audio_depth": 1, "audio_heads": 2, "audio_inner": 32, "audio_channels": 4}
SIZES |= {"window": 2, "width": 16, "depth": 2, "heads": 2, "kv_heads": 1, "head": 8, "inner": 32, "labels": 160}
SIZES |= {"prefill": 8}
PIECES = 151_643  # the special tokens stand behind them
SPECIAL = {151_643: "<|endoftext|>", 151_644: "<|im_start|>", 151_645: "<|im_end|>", 151_669: "<|audio_start|>",
           151_670: "<|audio_end|>", 151_676: "<|audio_pad|>"}  # fmt: skip
TEXTS = {151_704: "<asr_text>", 151_705: "<timestamp>"}
WORDS = {"system": 8948, "user": 872, "assistant": 77091}  # where the published vocabulary has them


def model(seed: int = 0) -> Any:
    """The library's model, its sines and cosines in steps of 2^-11, its weights numbers that fp16 holds."""
    torch.manual_seed(seed)
    audio = {"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 32}
    audio |= {"num_mel_bins": 80, "output_dim": 16, "downsample_hidden_size": 4, "n_window_infer": 200}
    text = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
    text |= {"head_dim": 8, "intermediate_size": 32, "vocab_size": 151_936, "tie_word_embeddings": True}
    text |= {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}
    config = qwen3_asr.Qwen3ASRConfig(
        audio_config={"model_type": "qwen3_asr_encoder", **audio}, text_config={"model_type": "qwen3", **text}
    )
    made = qwen3_asr.Qwen3ASRForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            spread = 0.6 if parameter.ndim > 1 else 0.1
            parameter.copy_((parameter.mean().round() + spread * torch.randn_like(parameter)).half().float())
    positions = made.model.audio_tower.positional_embedding.positional_embedding
    positions.copy_((2048 * positions).round() / 2048)
    made.model.language_model.rotary_emb.register_forward_hook(
        lambda module, given, turns: tuple((2048 * each).round() / 2048 for each in turns)
    )
    return made


def save(made: Any, folder: Path) -> Any:
    """Writes checkpoint, tokenizer and settings of a generation into a folder; the library's tokenizer."""
    made.save_pretrained(folder)
    settings = {"eos_token_id": [151_643, 151_645], "pad_token_id": 151_643, "do_sample": False}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    return tokenizer(folder)


def as_published(folder: Path, to: Path) -> None:
    """The checkpoint and its tokenizer under the names of the model's own code."""

    def renamed(name: str) -> str:
        name = name.replace("model.audio_tower", "thinker.audio_tower")
        name = name.replace("model.multi_modal_projector.linear_", "thinker.audio_tower.proj")
        return name.replace("model.language_model", "thinker.model")

    tensors = {renamed(name): each for name, each in load_file(folder / "model.safetensors").items()}
    table = tensors["thinker.model.embed_tokens.weight"].clone()
    save_file({**tensors, "thinker.lm_head.weight": table}, to / "model.safetensors")
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json", "generation_config.json"):
        copy(folder / name, to / name)


def tokenizer(folder: Path) -> Any:
    """Bytes, words of the prompt that are merged letter by letter, made-up words, and the special tokens, each at its
    published place, in the files that such a folder has."""
    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    ids = {letter: at for at, letter in enumerate(letters)}
    newline = "\u010a"
    other = letters[198]
    ids[other], ids[newline] = ids[newline], 198
    merges: dict[str, None] = {}
    for word, place in WORDS.items():
        for end in range(2, len(word) + 1):
            merges[f"{word[: end - 1]} {word[end - 1]}"] = None
            ids.setdefault(word[:end], 1000 + len(ids))
        ids[word] = place
    free = iter(sorted(set(range(PIECES)) - set(ids.values())))
    for word in map("".join, product(("\u0120", ""), *4 * [ascii_lowercase])):
        if word not in ids and (place := next(free, None)) is not None:
            ids[word] = place
    (folder / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")
    names = {place: f"<|{place}|>" for place in range(PIECES, 151_704)} | SPECIAL | TEXTS
    rows = {place: {"content": name, "special": place not in TEXTS} for place, name in names.items()}
    config = {"tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": rows}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    theirs = transformers.Qwen2Tokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    for place, name in sorted(names.items()):
        theirs.add_tokens([transformers.AddedToken(name, special=place not in TEXTS)])
        assert theirs.convert_tokens_to_ids(name) == place
    return theirs
