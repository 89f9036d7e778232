"""The specs at sizes that every runtime finishes in seconds: their names are those of the specs' own settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TRANSDUCER = {"width": 32, "depth": 2, "vocab": 30}
CONFORMER = {"width": 32, "depth": 2, "heads": 2, "inner": 48, "kernel": 7}
CONMAMBA = {"width": 32, "depth": 2, "inner": 48, "kernel": 7, "state": 4, "frames": 64}

SIZES: Mapping[str, Mapping[str, Any]] = {
    "conformer_chunked": {**CONFORMER, "within": 8, "before": 8, "vocab": 60},
    "conformer_ctc": {**CONFORMER, "seconds": 2},
    "conformer_s2s": {**CONFORMER, "decoder_depth": 2, "vocab": 60, "seconds": 2},
    "conformer_streaming": {**CONFORMER, "left": 8, "vocab": 60},
    "conmamba_ctc": CONMAMBA,
    "conmamba_s2s": {**CONMAMBA, "heads": 2, "decoder_depth": 2, "vocab": 60},
    "conmambamamba_s2s": {**CONMAMBA, "decoder_depth": 2, "vocab": 60},
    "denoiser": {"hop": 40, "width": 16, "low": 8},
    "ecapa_tdnn": {"width": 32, "scale": 4, "inner": 16, "pooled": 48, "embedding": 16, "seconds": 1},
    "emformer": {
        "mels": 16, "width": 32, "depth": 2, "heads": 2, "inner": 48, "segment": 16, "memories": 2, "vocab": 60,
    },
    "mamba3_transducer": {**TRANSDUCER, "state": 8, "head": 16},
    "mct2_small": {**TRANSDUCER, "state": 8, "head": 16},
    "mct_base": TRANSDUCER,
    "mct_large": TRANSDUCER,
    "mct_small": TRANSDUCER,
    "mct_tiny": TRANSDUCER,
    "mimi": {
        "width": 16, "filters": 4, "depth": 2, "heads": 4, "inner": 24, "window": 6, "entries": 16, "codebook": 8,
        "levels": 3,
    },
    "moonshine_tiny": {
        "width": 40, "depth": 2, "heads": 2, "inner": 48, "turned": 18, "vocab": 99, "labels": 24, "frames": 100,
    },
    "paraformer": {
        "mels": 16, "width": 32, "depth": 2, "heads": 2, "inner": 48, "kernel": 5, "vocab": 60, "seconds": 6,
    },
    "parakeet_ctc": {
        "bins": 16, "width": 32, "depth": 2, "heads": 2, "inner": 48, "kernel": 5, "channels": 8, "vocab": 60,
        "seconds": 2,
    },
    "parakeet_tdt": {
        "bins": 16, "width": 32, "depth": 2, "heads": 2, "inner": 48, "kernel": 5, "channels": 8, "cells": 16,
        "vocab": 60, "seconds": 2,
    },
    "qwen3_asr_0_6b": {
        "mels": 16, "audio_width": 32, "audio_depth": 2, "audio_heads": 2, "audio_inner": 48, "audio_channels": 8,
        "window": 2, "width": 32, "depth": 2, "heads": 4, "kv_heads": 2, "head": 16, "inner": 48,
        "vocab": 90, "labels": 48, "prefill": 4,
    },
    "rnnt_lstm": {"width": 32, "depth": 2, "predictor_depth": 1, "vocab": 30},
    "samba_asr": {"width": 32, "depth": 2, "decoder_depth": 2, "inner": 48, "state": 4, "vocab": 60},
    "silero_vad": {"width": 32},
    "wav2vec2": {
        "width": 16, "depth": 2, "heads": 4, "inner": 24, "channels": 8, "kernel": 6, "groups": 4, "vocab": 12,
        "seconds": 1,
    },
    "whisper_small": {"width": 32, "depth": 2, "heads": 2, "vocab": 99, "frames": 64, "labels": 40},
    "whisper_tiny": {"width": 32, "depth": 2, "heads": 2, "vocab": 99, "frames": 64, "labels": 40},
    "zipformer": {
        "mels": 16, "channels": [2, 4, 8], "factors": [1, 2, 4, 2], "widths": [16, 24, 32, 24], "depths": [1, 1, 1, 1],
        "heads": [2, 2, 4, 2], "inner": [24, 32, 48, 32], "kernels": [7, 7, 5, 7], "query": 8, "place": 2, "value": 6,
        "encoded": 12, "before": 32, "vocab": 60,
    },
}  # fmt: skip


def defined(name: str) -> list[str]:
    """The words by which `mctc` is told the size of a spec."""
    return [word for key, value in SIZES[name].items() for word in ("-D", f"{key}={value}")]
