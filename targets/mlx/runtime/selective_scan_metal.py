"""Launches selective_scan.metal, the text that training runs, through mx.fast.metal_kernel."""

# ruff: noqa: N803 - the names of the paper

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mlx.core as mx

from .selective_scan_plan import Mapping as Spread
from .selective_scan_plan import Plan, plan

TEXTS = ("selective_scan_step.metal", "selective_scan.metal")
FORWARD, CHUNK_ENDS = "selective_scan_forward", "selective_scan_chunk_ends"
PORTS = {
    FORWARD: (
        ["x", "delta", "A", "B", "C", "D", "z", "bias", "h_first", "ends", "totals", "sizes", "strides"],
        ["y", "h_last", "checkpoints"],
    ),
    CHUNK_ENDS: (["signal", "delta", "A", "matrix", "z", "bias", "sizes", "strides"], ["ends", "totals"]),
}
TYPES = {mx.float32: "float", mx.float16: "half", mx.bfloat16: "bfloat16_t"}
DEVICE = 8  # entries from which on MLX leaves an input in the memory of the device
REACH = 2**32  # entries of one utterance that the kernels' offsets reach
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
    """As `selective_scan.selective_scan`. The kernels have frames last: the operands are copied into that order.

    Where a GPU would idle for want of channels, a long scan is cut into chunks of frames that run side by side. Raises
    ValueError for utterances of more entries than the kernels reach.
    """
    (batch, length, channels), states = x.shape, A.shape[1]
    if length * (max(channels, states) + 1) >= REACH:
        raise ValueError(f"selective_scan: {length} frames of {channels} channels are too many for a GPU: split them")
    flags = {"HAS_D": D is not None, "HAS_Z": z is not None, "HAS_BIAS": False, "HAS_H": h is not None}
    chosen = plan(batch, channels, length, states, 1, x.dtype.size)
    launch = _Launch(batch, channels, length, states, x.dtype, chosen, (*flags.items(), ("SOFTPLUS", softplus)))
    signal, step, into, out = (_flat(a.swapaxes(1, 2), x.dtype) for a in (x, delta, B, C))
    gate = signal if z is None else _flat(z.swapaxes(1, 2), x.dtype)
    rates, absent = _flat(A), mx.zeros(DEVICE)
    skip, first = (absent if a is None else _flat(a) for a in (D, h))
    ends = totals = absent
    if launch.chunks > 1:
        ends, totals = map(_flat, launch.chunk_ends(signal, step, rates, into, gate, absent))
    return launch.forward(signal, step, rates, into, out, skip, gate, absent, first, ends, totals)


def _flat(a: mx.array, element: mx.Dtype = mx.float32) -> mx.array:
    """The entries one after the other: at least so many that MLX doesn't hand them over as constants."""
    flat = a.astype(element).reshape(-1)
    return flat if flat.size >= DEVICE else mx.pad(flat, [(0, DEVICE - flat.size)])


@dataclass(frozen=True)
class _Launch:
    """What the launches of one scan share."""

    batch: int
    channels: int
    length: int
    states: int
    element: mx.Dtype
    chosen: Plan
    flags: Flags

    @property
    def chunks(self) -> int:
        return -(-self.length // self.chosen.forward_chunk)

    def chunk_ends(self, *given: mx.array) -> list[mx.array]:
        """What each chunk adds to the state behind it (batch, chunks, channels, states), and the sum of its steps."""
        of_chunks = self.batch, self.chunks, self.channels
        return self._call(CHUNK_ENDS, self.chunks - 1, given, ((*of_chunks, self.states), of_chunks), [mx.float32] * 2)

    def forward(self, *given: mx.array) -> tuple[mx.array, mx.array]:
        """y (batch, frames, channels), and the last state (batch, channels, states)."""
        stored = -(-self.length // self.chosen.interval)
        last = self.batch, self.channels, self.states
        shapes = (self.batch, self.channels, self.length), last, (self.batch, stored, *last[1:])
        y, state, _ = self._call(FORWARD, self.chunks, given, shapes, [self.element, mx.float32, mx.float32])
        return y.swapaxes(1, 2), state

    def _call(
        self,
        name: str,
        chunks: int,
        given: Sequence[mx.array],
        shapes: Sequence[tuple[int, ...]],
        dtypes: list[mx.Dtype],
    ) -> list[mx.array]:
        spread, chunk = self.chosen.forward, self.chosen.forward_chunk
        stored = -(-self.length // self.chosen.interval)
        sizes = [self.channels, self.length, 1, chunk, self.chunks, stored, 1, self.batch]
        plain, paired = self.channels * self.length, self.states * self.length
        strides = [*(plain, self.length) * 3, *(paired, paired, self.length) * 2, plain, self.length]
        kernel = _kernel(name, TYPES[self.element], self.states, self.chosen.interval, spread, self.flags)
        made: list[mx.array] = kernel(
            inputs=[*given, mx.array(sizes, mx.int64), mx.array(strides, mx.int64)],
            grid=(-(-self.channels // spread.channels) * spread.threads, chunks, self.batch),
            threadgroup=(spread.threads, 1, 1),
            output_shapes=list(shapes),
            output_dtypes=dtypes,
        )
        return made


@cache
def _kernel(name: str, element: str, states: int, interval: int, spread: Spread, flags: Flags) -> Callable[..., Any]:
    sizes = {"STATES": states, "INTERVAL": interval, **{each.upper(): size for each, size in asdict(spread).items()}}
    defines = {
        "ELEMENT": element,
        "KEPT": "float",
        **sizes,
        **{flag: int(given) for flag, given in flags},
        "REVERSED": 0,
    }
    header, source = parts("".join((Path(__file__).parent / each).read_text() for each in TEXTS), name, defines)
    made: Any = mx.fast.metal_kernel(name, *PORTS[name], source, header)
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
