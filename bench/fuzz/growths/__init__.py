"""What a random spec grows by: each growth writes a few statements and gives one more tensor.

pointwise · numbers (that fp16 rounds) · inputs (masks, domains, ids, other lengths) · windows · memory (recurrent,
scan, bounded attention) · labels (beside time) · whole (needs every frame) · training (acts nowhere else) · structure
(blocks, repeat, if). TABLE says which may stand in which kind of component.
"""

from __future__ import annotations

from bench.fuzz.body import Body, Growth, Tensor
from bench.fuzz.growths import inputs, labels, memory, numbers, pointwise, structure, training, whole, windows

FRAMEWISE: tuple[Growth, ...] = (*pointwise.GROWTHS, *numbers.GROWTHS, *inputs.GROWTHS, *training.GROWTHS)
STREAMING: tuple[Growth, ...] = (*FRAMEWISE, *windows.GROWTHS, *memory.GROWTHS)
JOINT: tuple[Growth, ...] = (*FRAMEWISE, *labels.GROWTHS)


def own_block(b: Body) -> Tensor:
    return structure.own_block(b, JOINT if b.joint else STREAMING)


def conditional(b: Body) -> Tensor:
    return structure.conditional(b, JOINT if b.joint else STREAMING)


STRUCTURE: tuple[Growth, ...] = (*structure.GROWTHS, own_block, own_block, conditional)

TABLE: dict[str, tuple[Growth, ...]] = {
    "stream": (*STREAMING, *STRUCTURE),
    "joint": (*JOINT, *STRUCTURE),
    "whole": (*STREAMING, *STRUCTURE, *whole.GROWTHS, *whole.GROWTHS),
}
