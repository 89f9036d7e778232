"""Files of numbers that a random spec may name: `constant(file = "numbers_4.npy")`. They lie beside the spec."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from mctc.ir.op import Array

CHANNELS = (2, 4, 6, 8)
TENSORS = "numbers.safetensors"


def vector(channels: int) -> str:
    """The file of a number for each channel."""
    return f"numbers_{channels}.npy"


def square(channels: int) -> str:
    """The tensor of TENSORS that maps so many channels to as many."""
    return f"square_{channels}"


def write(text: str, folder: Path) -> None:
    """Writes the files that a spec names."""
    for channels in CHANNELS:
        if vector(channels) in text:
            np.save(folder / vector(channels), _numbers(channels))
    if TENSORS in text:
        save_file({square(n): _numbers(n, n) / n for n in CHANNELS}, str(folder / TENSORS))


def _numbers(*shape: int) -> Array:
    """Numbers between -1 and 1 that fp16 holds, the same each time."""
    count = int(np.prod(shape))
    numbers: Array = np.round(64 * np.sin(1.7 * np.arange(1, count + 1))) / 64
    return numbers.astype(np.float32).reshape(shape)
