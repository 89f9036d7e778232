"""What a random spec grows by: each generator writes a few statements and gives one more tensor.

pointwise · numbers (that fp16 rounds) · everyday (choices, norms of groups, constants of files) · inputs (masks,
domains, ids, other lengths) · sound (samples) · windows · rates · memory (recurrent, scan, bounded attention) · library
(memories, rotary positions, segments) · labels (beside time) · whole (needs every frame) · training (acts nowhere
else) · structure (blocks, repeat, if). TABLE says which may stand in which kind of component.
"""

from __future__ import annotations

from bench.fuzz.body import Body, Generator, Tensor
from bench.fuzz.generators import (
    everyday,
    inputs,
    labels,
    library,
    memory,
    numbers,
    pointwise,
    rates,
    structure,
    training,
    whole,
    windows,
)

FRAMEWISE: tuple[Generator, ...] = (
    *pointwise.GENERATORS,
    *numbers.GENERATORS,
    *everyday.GENERATORS,
    *inputs.GENERATORS,
    *training.GENERATORS,
)
STREAMING: tuple[Generator, ...] = (
    *FRAMEWISE,
    *windows.GENERATORS,
    *rates.GENERATORS,
    *memory.GENERATORS,
    *library.GENERATORS,
)
JOINT: tuple[Generator, ...] = (*FRAMEWISE, *labels.GENERATORS)


def own_block(b: Body) -> Tensor:
    return structure.own_block(b, JOINT if b.joint else STREAMING)


def conditional(b: Body) -> Tensor:
    return structure.conditional(b, JOINT if b.joint else STREAMING)


STRUCTURE: tuple[Generator, ...] = (*structure.GENERATORS, own_block, own_block, conditional)

TABLE: dict[str, tuple[Generator, ...]] = {
    "stream": (*STREAMING, *STRUCTURE),
    "joint": (*JOINT, *STRUCTURE),
    "whole": (
        *STREAMING,
        *STRUCTURE,
        *2 * whole.GENERATORS,
        *4 * everyday.WHOLE,
        *4 * memory.WHOLE,
        *3 * library.WHOLE,
    ),
}
