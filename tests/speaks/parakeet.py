"""A Parakeet CTC checkpoint of the transformers library with random weights and a tokenizer, as a user has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers

from mctc.audio import bundled_text

PIECES = 48  # and the blank behind them
SIZES = {
    "width": 32, "depth": 2, "heads": 2, "inner": 32, "kernel": 5, "channels": 8, "vocab": PIECES + 1, "seconds": 4,
}  # fmt: skip


def save(folder: Path, seed: int = 1) -> Any:
    """Writes checkpoint, tokenizer and front end into a folder; the library's own model."""
    torch.manual_seed(seed)
    encoder = {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
        "conv_kernel_size": 5, "subsampling_conv_channels": 8, "num_mel_bins": 80,
    }  # fmt: skip
    config = transformers.ParakeetCTCConfig(vocab_size=PIECES + 1, pad_token_id=PIECES, encoder_config=encoder)
    model = transformers.ParakeetForCTC(config).eval()
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.dtype.is_floating_point:
                tensor.copy_(_drawn(tensor).half().float())
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    transformers.ParakeetFeatureExtractor().save_pretrained(folder)
    return model


def _drawn(tensor: Any) -> Any:
    """Numbers with which frames say different things: kernels that keep how loud their input is, and small biases."""
    noise = torch.randn_like(tensor)
    if tensor.dim() > 1:
        return noise * (3 / tensor[0].numel()) ** 0.5
    return tensor + 0.1 * noise * (tensor.abs() + 0.2)


def tokenizer() -> Any:
    """Pairs of pieces as SentencePiece makes them, the unknown piece first and the blank last."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    made.decoder = tokenizers.decoders.Metaspace()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=PIECES, special_tokens=["<unk>"], show_progress=False)
    made.train_from_iterator([" ".join(bundled_text().split())], trainer)
    wrapped = transformers.ParakeetTokenizer(tokenizer_object=made, unk_token="<unk>")
    wrapped.add_special_tokens({"pad_token": "<pad>"})
    return wrapped
