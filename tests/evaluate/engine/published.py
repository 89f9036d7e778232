"""What was measured on Apple's hardware and published, as data.

751K/Apple-Neural-Engine-Microarchitecture-Study-M6, notes/numerics.md (M6 and M4, macOS 27.0.1): the MAC table, H11
(bias), H12 (small products), H50 (int8), the PE table, F3 and lut_ulp_m6.txt (largest errors), F3b (tables).
"""

from __future__ import annotations

from dataclasses import dataclass

INF = float("inf")
LSB = 2.0**-16


@dataclass(frozen=True)
class Sum:
    """bias + the sum of x * weight, in order; without weights they are all 1."""

    where: str
    x: tuple[float, ...]
    result: float
    weights: tuple[float, ...] = ()
    bias: float | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.x} {self.weights} {self.bias}"


SUMS = (
    Sum("MAC", (32752.0,), 32752.0),
    Sum("MAC", (16384.0, 16384.0), INF),
    Sum("MAC", (-16384.0, -16384.0), -INF),
    Sum("MAC", (32768.0,), INF),
    Sum("MAC", (16384.0, 16376.0), 32768.0),
    Sum("MAC", (16384.0, 16384.0, -16384.0, -16384.0, 1.0), INF),
    Sum("MAC", (16384.0, LSB, -16384.0), LSB),
    Sum("MAC", (16384.0, 2.0**-18, -16384.0), 0.0),
    Sum("MAC", (2.0**-17,), LSB),
    Sum("MAC", (2.0**-18,), 0.0),
    Sum("MAC", (2048.0, 1.0), 2050.0),
    Sum("MAC", (-2048.0, -1.0), -2050.0),
    Sum("MAC", (-4096.0, -2.0), -4100.0),
    Sum("MAC", (4096.0, 2.0), 4100.0),
    Sum("MAC", (1.0, 2.0**-11), 1 + 2.0**-10),
    Sum("MAC", (2048.0, 1.0, -2048.0), 1.0),
    Sum("MAC", (2048.0, -2048.0, 1.0), 1.0),
    Sum("MAC", (1.0, 2048.0, -2048.0), 1.0),
    Sum("MAC, input range", (65504.0,), 4094.0, (2.0**-4,)),
    Sum("MAC, scale", (2.0,), INF, (16384.0,)),
    Sum("MAC, scale", (8.0,), INF, (4096.0,)),
    Sum("MAC, scale", (7.75,), 31744.0, (4096.0,)),
    Sum("MAC, exponent 31", (INF,), INF),
    Sum("MAC, exponent 31", (float("nan"),), INF),
    Sum("MAC, exponent 31", (INF,), 16384.0, (0.25,)),
    Sum("MAC, exponent 31", (float("nan"),), 24576.0, (0.25,)),
    Sum("MAC, -0", (-0.0,), 0.0),
    Sum("H11", (16384.0, 16384.0), 16384.0, bias=-16384.0),
    Sum("H11", (16384.0, 16384.0, 16384.0), INF, bias=-16384.0),
    Sum("H11", (32752.0,), INF, bias=32.0),
    Sum("H11", (32736.0,), INF, bias=32.0),
    Sum("H11", (0.0,), 0.0, bias=2.0**-20),
    Sum("H11", (0.0,), LSB, bias=2.0**-17),
    Sum("H11", (2.0**-17,), 2.0**-15, bias=2.0**-17),
    Sum("H11", (0.25,), 1001.0, bias=1000.5),
    Sum("H12", (1.875 * 2.0**-14,), 0.0, (1.875 * 2.0**-3,)),
    Sum("H12", (1.99 * 2.0**-14,), 0.0, (1.99 * 2.0**-3,)),
    Sum("H12", (1.9 * 2.0**-13,), 0.0, (1.5 * 2.0**-4,)),
    Sum("H12", (1.9375 * 2.0**-12,), 0.0, (1.9375 * 2.0**-5,)),
    Sum("H12", (0.99 * 2.0**-14,), 0.0, (0.2,)),
    Sum("H12", (1.5 * 2.0**-13,), 2 * LSB, (0.125,)),
    Sum("H12", (0.5 * 2.0**-14,), LSB, (0.25,)),
)

INTEGER_SUMS = (
    # (entries, kernel, x, weight, bits of each scale, result)
    (65536, 1, -128, -128, 8, 16384.0),
    (65536, 1, -128, -128, 9, 4096.0),
    (65536, 1, 127, 127, 8, 16128.0),
    (65536, 2, -128, -128, 8, INF),
    (65536, 2, -128, -128, 9, INF),
    (16384, 1, 127, 127, 6, 64512.0),
)
"""H50: one result of a conv of equal int8 entries; scales of x and weight are 2^-bits."""

ELEMENTWISE = (
    ("add", 2048.0, 1.0, 2050.0),
    ("add", 65504.0, 0.0, 65504.0),
    ("add", 40000.0, 1.0, 40000.0),
    ("add", 16384.0, 16384.0, 32768.0),
    ("add", 2.0**-24, 0.0, 2.0**-24),
    ("sub", -2048.0, 1.0, -2050.0),
    ("mul", 2.0**-12, 2.0**-12, 2.0**-24),
    ("mul", 256.0, 256.0, INF),
    ("add", float("nan"), 1.0, INF),
)


@dataclass(frozen=True)
class Largest:
    """The largest error of an activation: absolute, and in last places (of the exact value's octave). Inputs are the
    fp16 numbers from `low` to `high`."""

    name: str
    low: float
    high: float
    absolute: float | None = None
    last_places: float | None = None
    at: float | None = None


LARGEST = (
    Largest("sigmoid", -10, 10, 3.355e-3, 810.8, -9.938),
    Largest("tanh", -10, 10, 1.613e-3, 11.0),
    Largest("gelu", -8, 8, 6.159e-3),
    Largest("silu", -10, 10, 1.491e-2),
    Largest("erf", -8, 8, 8.642e-4, 3.0),
    Largest("sin", -8, 8, 6.329e-4),
    Largest("exp", -9, 10, 100.8, 9.1, 9.703),
    Largest("log", 1e-3, 1e3, 6.638e-3, 91.0, 1.004),
    Largest("sqrt", 1e-3, 1e3, 1.810e-2, 1.2, 0.002054),
    Largest("rsqrt", 0.0158, 1e3, 8.139e-3, 2.1, 0.0332),
    Largest("inverse", 0.0158, 1e3, None, 13.5, 0.01587),
)

OUTPUTS = (
    ("gelu", 0.25, 0.1436, 4),
    ("gelu", -1.526e-5, -0.000761, 6),
    ("silu", 0.5, 0.296, 3),
    ("silu", -2.289e-5, -0.00171, 5),
    ("log", 1.004, 0.00373, 5),
    ("sqrt", 0.002054, 0.0453, 4),
    ("rsqrt", 0.0332, 5.5, 2),
    ("inverse", 0.01587, 62.6, 1),
    ("sigmoid", -9.938, 0.0, 6),
    ("tanh", -0.0002403, -0.000239, 6),
    ("erf", -0.001701, -0.00192, 5),
)
"""(function, input, output, decimal places that were written)."""
