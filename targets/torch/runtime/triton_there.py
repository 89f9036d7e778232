"""Where Triton's kernels run."""

from __future__ import annotations

import functools
import importlib.util

import torch

OLDEST = (8, 0)  # compute capability: bf16 in tensor cores


@functools.cache
def triton_runs(device: torch.device) -> bool:
    """On NVIDIA GPUs from OLDEST on, where torch's build has Triton, as those for Linux have."""
    there = device.type == "cuda" and torch.version.hip is None and importlib.util.find_spec("triton") is not None
    return there and torch.cuda.get_device_capability(device) >= OLDEST
