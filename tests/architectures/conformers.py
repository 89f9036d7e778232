"""What the tests of Conformers share: small sizes, an utterance, builds and their weights as tensors."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from mctc.language import elaborate_file

from .proof import Proof

WIDTH, HEADS, INNER, KERNEL, MELS, VOCAB, LEFT = 16, 2, 24, 5, 16, 20, 6
SMALL: dict[str, Any] = {"width": WIDTH, "heads": HEADS, "inner": INNER, "kernel": KERNEL, "mels": MELS}
SIZES: dict[str, dict[str, Any]] = {
    "conformer_ctc": SMALL | {"depth": 2, "characters": VOCAB, "seconds": 1},
    "conformer_s2s": SMALL | {"depth": 1, "decoder_depth": 2, "vocab": VOCAB, "seconds": 1},
    "conformer_streaming": SMALL | {"depth": 2, "left": LEFT, "vocab": VOCAB - 1},
}
FRAMES = 100
MEL = np.random.default_rng(7).normal(size=(1, FRAMES, MELS)).astype(np.float32)


def built(name: str, root: Path, folder: Path) -> Proof:
    """A small build of the spec of that name."""
    return Proof.of(root / f"spec/{name}.mct", folder, **SIZES[name])


def tensors(weights: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """The weights whose names begin with `prefix`, without it."""
    import torch

    return {name.removeprefix(prefix): torch.tensor(w) for name, w in weights.items() if name.startswith(prefix)}


def parameters(spec: Path, **defines: Any) -> int:
    """How many there are, counted without a build."""
    return sum(prod(type_.shape) for type_, _ in elaborate_file(spec, defines=defines).sources.values())
