"""A Moonshine checkpoint of the transformers library with random weights and a tokenizer, as a user has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers

from mctc.audio import bundled_text

PIECES = 60
SIZES = {
    "width": 40, "depth": 2, "heads": 2, "inner": 48, "turned": 18, "vocab": PIECES, "labels": 24, "frames": 100,
}  # fmt: skip
SECONDS = 2.4  # of an utterance


def save(folder: Path, seed: int = 0) -> Any:
    """Writes checkpoint, tokenizer and settings of a generation into a folder; the library's own model."""
    torch.manual_seed(seed)
    sides = {
        f"{side}_{what}": 2 for side in ("encoder", "decoder") for what in ("num_hidden_layers", "num_attention_heads")
    }
    config = transformers.MoonshineConfig(
        vocab_size=PIECES, hidden_size=40, intermediate_size=48, max_position_embeddings=24, **sides
    )
    model = transformers.MoonshineForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(_drawn(parameter).half().float())
    model.generation_config = transformers.GenerationConfig(
        bos_token_id=1, decoder_start_token_id=1, eos_token_id=2, pad_token_id=2, max_length=24
    )
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return model


def _drawn(tensor: Any) -> Any:
    """Numbers with which texts are of many pieces: kernels that keep how loud their input is, and small biases."""
    noise = torch.randn_like(tensor)
    if tensor.dim() > 1:
        return noise * (3 / tensor[0].numel()) ** 0.5
    return tensor + 0.1 * noise * (tensor.abs() + 0.2)


def tokenizer() -> Any:
    """Pairs of pieces as SentencePiece makes them, behind the three that are no text."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    made.decoder = tokenizers.decoders.Metaspace()
    special = ["<unk>", "<s>", "</s>"]
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=PIECES, special_tokens=special, show_progress=False)
    made.train_from_iterator([" ".join(bundled_text().split())], trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="<unk>", bos_token="<s>", eos_token="</s>", pad_token="</s>"
    )
