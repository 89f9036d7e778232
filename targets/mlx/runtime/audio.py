"""Log-mel frames of sound that arrives in pieces of any length, and recordings from WAV files."""

from __future__ import annotations

import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

FILE = "front_end.npz"  # the window [window] and the mel filters [bins, fft / 2 + 1]


class LogMel:
    """Frames [frames, bins] of samples at the model's rate: frame t ends with the hop that completes it.

    told: `audio` of config.json, all lengths in samples.
    """

    def __init__(self, folder: Path, told: Mapping[str, Any]) -> None:
        self._told = told
        with np.load(folder / FILE) as held:
            self._window, self._filters = held["window"], held["filters"]
        self._pending = np.zeros(told["window"] - told["hop"])
        self._last = 0.0

    def push(self, samples: np.ndarray) -> np.ndarray:
        """The frames that `samples`, floats in [-1, 1], complete; possibly none. Raises ValueError for others."""
        given = np.asarray(samples)
        if given.ndim != 1 or given.dtype.kind != "f" or not np.isfinite(given).all():
            raise ValueError("samples are one axis of finite floats in [-1, 1]")
        given = given.astype(np.float64)
        before = np.concatenate([[self._last], given])
        self._last = float(before[-1])
        return self._complete(given - self._told["preemphasis"] * before[:-1])

    def flush(self) -> np.ndarray:
        """The frame left at the end of the sound, its last hop filled up with silence."""
        left = self._pending.size - (self._told["window"] - self._told["hop"])
        frames = -(-left // self._told["hop"]) if self._told["partial"] else 0
        return self._complete(np.zeros(max(0, frames * self._told["hop"] - left)))

    def _complete(self, more: np.ndarray) -> np.ndarray:
        heard, hop, window = np.concatenate([self._pending, more]), self._told["hop"], self._told["window"]
        count = (heard.size - (window - hop)) // hop
        self._pending = heard[count * hop :].copy()
        if not count:
            return np.zeros((0, self._told["bins"]), np.float32)
        spectrum = np.fft.rfft(sliding_window_view(heard, window)[::hop][:count] * self._window, self._told["fft"])
        energy = (spectrum.real**2 + spectrum.imag**2) @ self._filters.T
        floor = self._told["floor"]
        energy = energy + floor if self._told["added"] else np.maximum(energy, floor)
        level = np.log10(energy) if self._told["log"] == "log10" else np.log(energy)
        return ((level + 4) / 4 if self._told["normalise"] == "scaled" else level).astype(np.float32)


def read_wav(path: Path, rate: int) -> np.ndarray:
    """Samples of a WAV file of 16 bits, channels mixed. Raises ValueError for another rate or another form."""
    with wave.open(str(path), "rb") as file:
        if file.getsampwidth() != 2 or file.getframerate() != rate:
            told = f"{8 * file.getsampwidth()} bits at {file.getframerate()} Hz"
            raise ValueError(f"{path} has {told}; the model takes 16 bits at {rate} Hz: resample it first")
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
    return samples.mean(axis=1).astype(np.float32) / 32768
