"""Checkpoints that the transformers library itself writes, through the maps that come with mctc."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.importing import Checkpoint, Status, plan, shipped_map
from mctc.language import elaborate_file

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SPECS = Path(__file__).parents[2] / "spec"
WHISPER = {"width": 16, "depth": 2, "heads": 2, "vocab": 99, "frames": 32, "labels": 12}
PARAKEET = {"bins": 16, "width": 16, "depth": 2, "heads": 2, "inner": 24, "kernel": 5, "channels": 8, "vocab": 20}
QWEN = {"mels": 16, "audio_width": 32, "audio_depth": 2, "audio_heads": 2, "audio_inner": 48, "audio_channels": 8}
QWEN |= {"width": 32, "depth": 2, "heads": 4, "kv_heads": 2, "head": 16, "inner": 48, "vocab": 90}


def whisper(kind: str) -> Any:
    sides: dict[str, Any] = {f"{side}_{what}": n for side in ("encoder", "decoder")
             for what, n in (("layers", 2), ("attention_heads", 2), ("ffn_dim", 64))}  # fmt: skip
    tokens = {"vocab_size": 99, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    config = transformers.WhisperConfig(d_model=16, max_source_positions=32, max_target_positions=12, **sides, **tokens)
    return getattr(transformers, kind)(config)


def qwen3_asr() -> Any:
    theirs = pytest.importorskip("transformers.models.qwen3_asr")
    audio: dict[str, Any] = {"d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 48}
    audio |= {"num_mel_bins": 16, "output_dim": 32, "downsample_hidden_size": 8, "model_type": "qwen3_asr_encoder"}
    text: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    text |= {"head_dim": 16, "intermediate_size": 48, "vocab_size": 90, "tie_word_embeddings": True}
    config = theirs.Qwen3ASRConfig(audio_config=audio, text_config={"model_type": "qwen3", **text}, audio_token_id=89)
    return theirs.Qwen3ASRForConditionalGeneration(config)


def parakeet_ctc() -> Any:
    pytest.importorskip("transformers.models.parakeet")
    encoder: dict[str, Any] = {"num_mel_bins": 16, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    encoder |= {"intermediate_size": 24, "conv_kernel_size": 5, "subsampling_conv_channels": 8}
    config = transformers.ParakeetCTCConfig(vocab_size=20, encoder_config=encoder, pad_token_id=0)
    return transformers.ParakeetForCTC(config)


CASES: dict[str, tuple[str, str, dict[str, int], Callable[[], Any]]] = {
    "whisper": ("whisper", "whisper_tiny", WHISPER, lambda: whisper("WhisperForConditionalGeneration")),
    "whisper without its head": ("whisper", "whisper_tiny", WHISPER, lambda: whisper("WhisperModel")),
    "parakeet_ctc": ("parakeet_ctc", "parakeet_ctc", PARAKEET, parakeet_ctc),
    "qwen3_asr": ("qwen3_asr", "qwen3_asr_0_6b", QWEN, qwen3_asr),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_number_of_a_saved_model_finds_its_place(case: str, dtype: str, tmp_path: Path) -> None:
    family, spec, sizes, make = CASES[case]
    model = make().to(getattr(torch, dtype))
    model.save_pretrained(tmp_path, max_shard_size="6KB")
    assert (tmp_path / "model.safetensors.index.json").is_file()
    planned = plan(elaborate_file(SPECS / f"{spec}.mct", defines=sizes), Checkpoint(tmp_path), shipped_map(family))
    assert {row.status for row in planned.rows} <= {Status.MAPPED, Status.IGNORED}
    ours = np.concatenate([planned.value(name).ravel() for name in planned.recipes])
    statistics = [buffer for name, buffer in model.named_buffers() if name.rpartition(".")[2].startswith("running_")]
    theirs = torch.cat([tensor.detach().float().ravel() for tensor in (*model.parameters(), *statistics)]).numpy()
    np.testing.assert_array_equal(np.sort(ours), np.sort(theirs))


def test_qwen3_asr_under_the_names_of_its_own_code_finds_its_place(tmp_path: Path) -> None:
    """thinker.audio_tower, with the projector in it, thinker.model and thinker.lm_head."""
    from safetensors.torch import save_file

    parts = {"audio_tower": "thinker.audio_tower", "language_model": "thinker.model"}
    parts |= {"multi_modal_projector.linear_": "thinker.audio_tower.proj"}
    tensors = {}
    for name, tensor in qwen3_asr().named_parameters():
        old = next(part for part in parts if part in name)
        tensors[name.removeprefix("model.").replace(old, parts[old])] = tensor.detach().clone()
    tensors["thinker.lm_head.weight"] = tensors["thinker.model.embed_tokens.weight"].clone()
    save_file(tensors, tmp_path / "model.safetensors")
    program = elaborate_file(SPECS / "qwen3_asr_0_6b.mct", defines=QWEN)
    planned = plan(program, Checkpoint(tmp_path), shipped_map("qwen3_asr_thinker"))
    assert {row.status for row in planned.rows} == {Status.MAPPED, Status.IGNORED}
    assert planned.recipes.keys() == program.sources.keys()
