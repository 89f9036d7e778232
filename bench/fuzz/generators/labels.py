"""Labels beside time: what goes along time for each label by itself, and, rarely, what needs all labels.

A call takes one label, so a step of the latter is refused, and only functions over whole utterances have it.
"""

from __future__ import annotations

from bench.fuzz.body import Body, Generator, Tensor
from bench.fuzz.generators import memory, windows


def over_labels(b: Body) -> Tensor:
    if b.causal:
        return windows.convolution_block(b)
    x = b.any()
    axis = b.choice('"label"', "U") if not b.in_block else '"label"'
    return b.like(x, f"{x.name} - 0.5 * {b.choice('reduce_mean', 'reduce_max')}({x.name}, axis = {axis})")


GENERATORS: tuple[Generator, ...] = (
    windows.conv1d,
    windows.convolution_block,
    memory.recurrent,
    memory.cell,
    memory.attention,
    over_labels,
)
