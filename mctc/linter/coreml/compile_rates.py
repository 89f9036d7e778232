"""What the Neural Engine's compiler takes for a program: rates, with the published rows that they follow from. Data.

751K/Apple-Neural-Engine-Microarchitecture-Study-M6, compile_cost.md, whisper_compile.md, power.md and defects.md: macOS
27.0.1, compiler 10.26.6, October 2026. "Direct" is a compile in the laboratory's own process on a fast core; through
Core ML a service compiles, on efficiency cores. docs/compile-cost.md compares every published row with what follows.
"""

from __future__ import annotations

from mctc.linter.coreml.support import BINARY, UNARY

SERIAL_SECONDS = 0.02
"""A program of nothing, direct (two convolutions: 0.03)."""
OP_SECONDS = 0.00235
"""Convolutions, products, softmax, slices: 256 convolutions 0.67, Whisper's encoder (15,849 ops) 41."""
ELEMENTWISE_SECONDS = 0.00074
"""512 elementwise ops: 0.39."""
WEIGHT_SECONDS = 3.0e-9
"""A byte of the weight file: what one layer of Whisper's encoder takes beyond its ops (5 s, 1.27 GB)."""
PROGRAM_BYTES = 2.0
"""Bytes on disk for a byte of weights: the program (1.29 GB for 1.27) and as much again at its peak (1.3 GB through
Core ML, 3.8 direct)."""
MEMORY_BYTES = 2.0
"""Bytes of memory for a byte of weights (2.4 GB for 1.27)."""

KERNEL_AREA, KERNEL_SECONDS, KERNEL_MEMORY, KERNEL_POWER = 256, 113.0, 11.7e9, 8.3
"""One convolution of 16x16 over 64 channels: 212 to 229 s and 11.7 GB through Core ML on an M4, which is LOAD times
what is direct. 13x13 takes 2 to 23 s: the power is that of the middle of both."""
KERNEL_LEAST = 100
"""The area from which a kernel is counted apart (ANE-CV-005 begins at 169)."""

DUAL = frozenset({"H18G"})
"""Families that have programs for one engine and for two: the second is what takes long."""
DUAL_FACTOR = 1.75
"""256 convolutions: 1.19 for 0.68."""
DUAL_RUN, DUAL_RUN_SECONDS, DUAL_RUN_POWER = 512, 178.6, 3.65
"""A chain of 512 elementwise ops, and by which power of its length it grows (64: 0.18, 128: 1.13, 256: 13.1)."""
DUAL_CHAIN = 387
"""Convolutions in a chain that overflow the compiler's stack."""
SWAP_PRODUCTS, SWAP_WIDTH = 64, 128
"""Products of computed values, and positions of a row, from which the split over two engines is taken to write copies
of weights. A layer of Whisper's encoder (160 products, 1500 positions) does, its decoder (one position) does not; where
it begins is not published."""
SWAP_BYTES = 60.0
"""Bytes of these copies for a byte of weights (2.4 GB for a layer of 39 MB)."""
SWAP_RATE = 0.2e9
"""Bytes of them written in a second, direct (44.2 GB in 219 s)."""
SWAP_MEMORY = 3.6e9
"""What of them is in memory at most (5.7 GB of 39 on disk, 2 of them the rest)."""

LOAD = {"H16": 1.95, "H18G": 2.7}
"""A first load through Core ML for a direct compile on a Mac: 80 for 41 on an M4, 34.05 for 12.65 on an M6."""
LOAD_OTHERS = 2.7
LOAD_PHONE = 1.0
"""Parakeet's encoder: 3.36 s on an iPhone 16 Pro Max, 4.40 on an iPhone 13 (FluidAudio, Benchmarks.md)."""
OLD_SYSTEM, OLD_FACTOR = 26, 5.5
"""macOS before 26: WhisperKit's large-v3-turbo 440 s on an M4 Pro with 15.3.1 (argmaxinc/argmax-oss-swift#309), 80 s
on an M4 with 27.0.1."""

WAKE = {"H13": (260.0, 260.0), "H18G": (45.0, 55.0)}
"""Milliseconds that the first call takes more after the engine's power was cut (5.68 s of idleness on an M6, 5 s on an
M1: Bryngelson's paper, as 751K quotes it). Other families: between the two."""
WAKE_OTHERS = (45.0, 260.0)
IDLE_SECONDS = 5.68
SLOW_CLOCK = 3.0
"""How much slower the first calls compute, until 0.3 s of work have raised the clock (852 MHz for 2580)."""

ELEMENTWISE = frozenset((*UNARY, *BINARY))
PRODUCTS = frozenset({"einsum", "matmul", "scaled_dot_product_attention"})
