"""What a random spec grows by: each growth writes a few statements and gives one more tensor.

pointwise · numbers · windows · memory (recurrent, scan, bounded attention) · whole (needs every frame) · structure
(blocks, repeat, if). TABLE says which may stand in which kind of component.
"""

from __future__ import annotations

from mctc.fuzz.body import Body, Growth, Tensor
from mctc.fuzz.growths import memory, numbers, pointwise, structure, whole, windows

POINTWISE: tuple[Growth, ...] = (*pointwise.GROWTHS, *numbers.GROWTHS)
STREAMING: tuple[Growth, ...] = (*POINTWISE, *windows.GROWTHS, *memory.GROWTHS)


def own_block(b: Body) -> Tensor:
    return structure.own_block(b, POINTWISE if b.joint else STREAMING)


def conditional(b: Body) -> Tensor:
    return structure.conditional(b, POINTWISE if b.joint else STREAMING)


STRUCTURE: tuple[Growth, ...] = (*structure.GROWTHS, own_block, own_block, conditional)

TABLE: dict[str, tuple[Growth, ...]] = {
    "stream": (*STREAMING, *STRUCTURE),
    "joint": (*POINTWISE, *STRUCTURE),
    "whole": (*STREAMING, *STRUCTURE, *whole.GROWTHS, *whole.GROWTHS),
}
