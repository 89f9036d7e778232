"""Launches selective_scan.metal, the text that training runs, through mx.fast.metal_kernel."""

# ruff: noqa: N803 - the names of the paper

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import mlx.core as mx

KERNEL = "selective_scan_forward"
TYPES = {mx.float32: "float", mx.float16: "half", mx.bfloat16: "bfloat16_t"}
INPUTS = ["x", "delta", "A", "B", "C", "D", "z", "bias", "h_first", "ends", "totals", "sizes", "strides"]
OUTPUTS = ["y", "h_last", "checkpoints"]
SIMD = 32
SIMDGROUPS = 4  # of a threadgroup
INTERVAL = 32  # frames between two stored states, a multiple of the frames of a tile
# For up to so many states: lanes of a SIMD group that share a channel, states that each holds, frames of a tile.
MAPPINGS = (
    (4, 4, 1, 16),
    (8, 4, 2, 16),
    (16, 4, 4, 16),
    (32, 8, 4, 16),
    (64, 16, 4, 16),
    (128, 32, 4, 8),
    (256, 32, 8, 4),
)
DEVICE = 8  # entries from which on MLX leaves an input in the memory of the device
Flags = tuple[tuple[str, bool], ...]


def scan(
    x: mx.array,
    delta: mx.array,
    A: mx.array,
    B: mx.array,
    C: mx.array,
    D: mx.array | None,
    h: mx.array | None,
    z: mx.array | None,
    softplus: bool,
) -> tuple[mx.array, mx.array]:
    """As `selective_scan.selective_scan`. The kernel has frames last: the operands are copied into that order."""
    batch, length, channels = x.shape
    states = A.shape[1]
    chosen = next(mapping for mapping in MAPPINGS if states <= mapping[0])
    element = x.dtype

    def rows(a: mx.array) -> mx.array:
        return _flat(a.swapaxes(1, 2), element)

    stored = -(-length // INTERVAL)
    sizes = mx.array([channels, length, 1, stored * INTERVAL, 1, stored, 1, batch], mx.int64)
    plain, paired = [channels * length, length], [states * length, states * length, length]
    strides = mx.array([*plain * 3, *paired * 2, *plain], mx.int64)
    flags = {"HAS_D": D is not None, "HAS_Z": z is not None, "HAS_BIAS": False, "HAS_H": h is not None}
    kernel = _kernel(TYPES[element], states, chosen[1:], tuple({**flags, "SOFTPLUS": softplus}.items()))
    d, bias, first, ends, totals = (_flat(mx.zeros(8) if a is None else a) for a in (D, None, h, None, None))
    gate = x if z is None else z
    given = [rows(x), rows(delta), _flat(A), rows(B), rows(C), d, rows(gate), bias, first, ends, totals]
    blocks = -(-channels // (SIMD // chosen[1] * SIMDGROUPS))
    y, last, _ = kernel(
        inputs=[*given, sizes, strides],
        grid=(blocks * SIMD * SIMDGROUPS, 1, batch),
        threadgroup=(SIMD * SIMDGROUPS, 1, 1),
        output_shapes=[(batch, channels, length), (batch, channels, states), (batch, stored, channels, states)],
        output_dtypes=[element, mx.float32, mx.float32],
    )
    return y.swapaxes(1, 2), last


def _flat(a: mx.array, element: mx.Dtype = mx.float32) -> mx.array:
    """The entries one after the other: at least so many that MLX doesn't hand them over as constants."""
    flat = a.astype(element).reshape(-1)
    return flat if flat.size >= DEVICE else mx.pad(flat, [(0, DEVICE - flat.size)])


@cache
def _kernel(element: str, states: int, mapping: tuple[int, ...], flags: Flags) -> Callable[..., Any]:
    sizes = dict(zip(("LANES", "HELD", "STEPS"), mapping), STATES=states, INTERVAL=INTERVAL, SIMDGROUPS=SIMDGROUPS)
    defines = {"ELEMENT": element, **sizes, **{name: int(flag) for name, flag in flags}, "REVERSED": 0}
    header, source = parts((Path(__file__).parent / "selective_scan.metal").read_text(), KERNEL, defines)
    made: Any = mx.fast.metal_kernel(KERNEL, INPUTS, OUTPUTS, source, header)
    return made


def parts(text: str, kernel: str, defines: Mapping[str, object]) -> tuple[str, str]:
    """A header and the body of one kernel, as mx.fast.metal_kernel takes them: it writes the signature by itself, and
    calls the positions of threads by the names of their attributes."""
    defined = "".join(f"#define {name} {value}\n" for name, value in defines.items())
    functions = text[: text.index("[[max_total_threads_per_threadgroup")]
    functions = functions.replace("#include <metal_stdlib>\n", "").replace("using namespace metal;\n", "")
    functions = functions[: functions.rindex("}\n") + 2]
    start = text.index("{", text.index(f"kernel void {kernel}("))
    body = text[start + 1 : _end(text, start)]
    body = re.sub(r"\bthreadgroup_index\b", "threadgroup_position_in_grid", body)
    return defined + functions, re.sub(r"\bthread_index\b", "thread_position_in_threadgroup", body)


def _end(text: str, start: int) -> int:
    """Where the brace that opens at `start` is closed."""
    depth = 0
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if not depth:
            return at
    raise ValueError("a kernel whose braces don't close")
