"""Where to train, and what Apple's GPU asks of a training script that NVIDIA's does not.

    device = pick_device()
    check_fallback(device)
    limit_memory(device)
    loss = Running()
    for batch in loader:
        with autocast(device):
            ...
        loss.add(batch_loss)
    print(loss.value())

One rule that is often given is not here: to send operations on small tensors to the CPU. `x.cpu()` waits until the GPU
has done all its queued work, which costs more than the launch that it saves, in every step. The kernels and modules
beside this file launch little on small tensors instead.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import subprocess
import warnings

import torch
from torch import Tensor

ORDER = ("cuda", "mps", "cpu")
FALLBACK = "PYTORCH_ENABLE_MPS_FALLBACK"
MOST_WORKERS = 8  # more saturate the memory bandwidth that CPU and GPU share on Apple silicon

log = logging.getLogger(__name__)


def pick_device(prefer: str | None = None) -> torch.device:
    """The device that `prefer` or else MCTC_DEVICE names; without either the best there is: cuda, then mps, then cpu.

    Under torchrun each process takes the CUDA device of its LOCAL_RANK. Why a better device was passed over goes to
    the log. Raises RuntimeError where the named device can't be used, with the reason.
    """
    named = prefer or os.environ.get("MCTC_DEVICE")
    if named:
        device = torch.device(named)
        if reason := why_not(device.type):
            raise RuntimeError(f"the device {named} was asked for, but {reason}")
        return _of_this_process(device)
    for name in ORDER:
        reason = why_not(name)
        if not reason:
            return _of_this_process(torch.device(name))
        log.info("not training on %s: %s", name, reason)
    raise AssertionError("a CPU is always there")


def why_not(device_type: str) -> str:
    """Why this process can't train on cuda, mps or cpu; empty where it can."""
    if device_type == "cpu":
        return ""
    if device_type == "cuda":
        if torch.version.cuda is None and torch.version.hip is None:
            return "this torch was built without CUDA"
        return "" if torch.cuda.is_available() else "torch sees no CUDA device"
    if device_type == "mps":
        return _why_not_mps()
    return f"it is none of {', '.join(ORDER)}"


def under_rosetta() -> bool:
    """Whether this is an x86-64 Python translated on Apple silicon, which has no MPS."""
    if platform.system() != "Darwin" or platform.machine() != "x86_64":
        return False
    asked = subprocess.run(["sysctl", "-n", "sysctl.proc_translated"], capture_output=True, text=True, check=False)
    return asked.stdout.strip() == "1"


def training_dtype(device: torch.device) -> torch.dtype:
    """The type to compute in by default: bf16 where a CUDA device has it, otherwise fp32.

    fp32 on MPS because low precision there is younger and less even between operations: begin with fp32, and ask for
    autocast(device, torch.bfloat16) once training is stable.
    """
    has_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if has_bf16 else torch.float32


def autocast(device: torch.device, dtype: torch.dtype | None = None) -> contextlib.AbstractContextManager[None]:
    """Mixed precision in `dtype`, or in training_dtype(device); nothing where that is fp32, as on MPS."""
    dtype = dtype or training_dtype(device)
    return contextlib.nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def limit_memory(device: torch.device, ratio: float = 0.7) -> None:
    """Lets torch take that part of the memory that Metal recommends, and fail beyond; does nothing but on MPS.

    CPU and GPU share their memory: without a limit a batch that is too large makes the Mac swap, and training crawls
    with no error. Better than PYTORCH_MPS_HIGH_WATERMARK_RATIO, which has to be set before torch starts and, below
    1.4, stops it with "invalid low watermark ratio" unless PYTORCH_MPS_LOW_WATERMARK_RATIO is lowered too.
    """
    if not 0 < ratio <= 1:
        raise ValueError(f"limit_memory: ratio is {ratio}; it must be above 0 and at most 1")
    if device.type == "mps":
        torch.mps.set_per_process_memory_fraction(float(ratio))


def check_fallback(device: torch.device) -> bool:
    """Warns when torch will silently run on the CPU what MPS lacks; whether it did."""
    hidden = device.type == "mps" and os.environ.get(FALLBACK, "0") not in ("", "0")
    if hidden:
        warnings.warn(
            f"{FALLBACK} is on: operations that MPS lacks run on the CPU, each time with a wait for the GPU and two "
            "copies, and nothing tells which. Unset it and torch names the first one; move that one alone to the CPU.",
            RuntimeWarning,
            stacklevel=2,
        )
    return hidden


def loader_workers() -> int:
    """How many workers a DataLoader of this process should have: half its share of the processors, from 1 to 8."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, min(MOST_WORKERS, processors // processes // 2))


class Running:
    """A mean over training steps that stays on the device: reading a loss with .item() makes the GPU idle each time."""

    def __init__(self) -> None:
        self._sum: Tensor | None = None
        self._weight: Tensor | float = 0.0

    def add(self, value: Tensor, weight: Tensor | float = 1.0) -> None:
        """Counts a 0-dimensional value with a weight, such as the number of utterances; waits for nothing."""
        # fp32 at least: half a type's precision is gone after a few hundred steps. MPS has no fp64.
        weighted = value.detach().float() * weight
        self._sum = weighted if self._sum is None else self._sum + weighted
        self._weight = self._weight + weight

    def value(self) -> float:
        """The mean since the start or the last reset; waits for the device once. Raises ValueError if it is of none."""
        if self._sum is None:
            raise ValueError("Running.value: nothing was added yet")
        return float(self._sum / self._weight)

    def reset(self) -> None:
        """Starts anew, for the next interval of the log."""
        self._sum, self._weight = None, 0.0


def _why_not_mps() -> str:
    if torch.backends.mps.is_available():
        return ""
    if platform.system() != "Darwin":
        return "MPS is Apple's, and this is no Mac"
    if under_rosetta():
        return "this Python is an x86-64 one under Rosetta, which MPS does not work in: install an arm64 Python"
    if not torch.backends.mps.is_built():
        return "this torch was built without MPS"
    return "torch sees no Metal device: MPS needs an Apple GPU and a macOS that this torch supports"


def _of_this_process(device: torch.device) -> torch.device:
    if str(device) == "cuda":
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return device
