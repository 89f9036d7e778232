"""What happens to recordings on their way to the model: samples [n] in [-1, 1] at 16 kHz in and out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, resample_poly, sosfiltfilt

RATE, NARROW = 16_000, 8_000
BAND_HZ = (300.0, 3400.0)
MU = 255.0  # ITU-T G.711

Samples = NDArray[np.float64]


def noisy(samples: Samples, decibels: float, rng: np.random.Generator) -> Samples:
    """With noise whose power falls as one over the frequency, so many decibels below the power of the recording."""
    spectrum = np.fft.rfft(rng.standard_normal(len(samples)))
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), len(samples))
    power = np.mean(samples**2) / np.mean(noise**2)
    heard: Samples = samples + noise * np.sqrt(power) * 10 ** (-decibels / 20)
    return heard / max(1.0, float(np.abs(heard).max()))


def levelled(samples: Samples, decibels: float) -> Samples:
    """With the loudest sample so many decibels from full scale."""
    peak = max(float(np.abs(samples).max()), 1e-9)
    return np.asarray(samples / peak * 10 ** (decibels / 20))


def narrow(samples: Samples) -> Samples:
    """Through a rate of 8 kHz and back."""
    return _resampled(_resampled(samples, RATE, NARROW), NARROW, RATE)[: len(samples)]


def telephone(samples: Samples) -> Samples:
    """8 kHz, 300 to 3400 Hz, and eight bits a sample by the mu-law of G.711."""
    low = _resampled(samples, RATE, NARROW)
    band = sosfiltfilt(butter(4, BAND_HZ, "bandpass", fs=NARROW, output="sos"), low)
    squeezed = np.sign(band) * np.log1p(MU * np.abs(np.clip(band, -1, 1))) / np.log1p(MU)
    coded = np.rint(squeezed * 127) / 127
    widened = np.sign(coded) * np.expm1(np.abs(coded) * np.log1p(MU)) / MU
    return _resampled(widened, NARROW, RATE)[: len(samples)]


def _resampled(samples: Samples, given: int, wanted: int) -> Samples:
    return np.asarray(resample_poly(samples, wanted, given))


def sixteen_bits(samples: Samples) -> NDArray[np.int16]:
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
