"""Blocks of the library that see frames around: memories that grow, rotary positions, segments, SAN-M, RWKV-7."""

from __future__ import annotations

from fractions import Fraction

from bench.fuzz.body import MOST_STRIDE, Body, Generator, Tensor
from bench.fuzz.generators.pointwise import project, unary


def _in_time(b: Body) -> bool:
    return b.roles() == ["batch", "time", "channel"]


def growing(b: Body) -> Tensor:
    """Attention of frames to rows of another rate, which are states."""
    known = [x for x in b.pool if 2 * x.jump <= MOST_STRIDE and _in_time(b) and not b.in_block]
    if not known:
        return unary(b)
    b.shared.imports.add("lib/memory.mct")
    x = b.choice(*known)
    every = b.choice(*(n for n in (2, 4) if n * x.jump <= MOST_STRIDE))
    b.blocks.append(Fraction(every * x.jump).numerator)
    keys, values = b.shared.fresh("k"), b.shared.fresh("v")
    b.say(f"{keys}, {values} = split(conv1d({x.name}, 8, {every}, stride = {every}, look_ahead = {every - 1}), 2)")
    heads, q = b.choice(1, 4), project(b, x, 4)
    settings = f"heads = {heads}, every = {every}, rows = {b.whole(1, 4)}"
    return b.like(q, f"attend_growing({q.name}, tanh({keys}), {values}, {settings})")


def rotary(b: Body) -> Tensor:
    """Queries and keys that turn with the place of their frame, which a stream makes of the one before."""
    if not _in_time(b):
        return unary(b)
    b.shared.imports.add("lib/rope.mct")
    x, cosine, sine = b.any(), b.shared.fresh("cosine"), b.shared.fresh("sine")
    b.say(f"{cosine}, {sine} = running_turns({x.name}, 2) as {b.shared.fresh('turns')}")
    q, k = (
        b.let(f"turn_heads(tanh({project(b, each, 4).name}), {cosine}, {sine})", 4, x.jump)
        for each in (x, b.partner(x))
    )
    band = f"left = {b.whole(0, 4)}, right = {b.whole(0, 1)}"
    return b.like(q, f"attention({q.name}, {k.name}, {project(b, x, 4).name}, heads = 1, {band})")


def near(b: Body) -> Tensor:
    """A bias by distance: slopes, trained numbers, trained numbers of buckets."""
    if b.joint:
        return unary(b)
    b.shared.imports.add("lib/distance.mct")
    x, left, right, heads = b.any(), b.whole(1, 5), b.ahead(2), b.choice(1, 4)
    q, k = project(b, x, 4), project(b, b.partner(x), 4)
    made = b.choice("slopes({})", "learnt_distances({})", "bucketed_distances({}, buckets = 4, longest = 6)")
    bias = made.format(f"{heads}, {left}, {right}")
    settings = f"heads = {heads}, left = {left}, right = {right}, bias = {bias}"
    return b.like(q, f"attention(tanh({q.name}), tanh({k.name}), {q.name}, {settings})")


def segments(b: Body) -> Tensor:
    """A layer over segments of an input's frames, copies of frames behind each, and a memory vector of it."""
    inputs = [x for x in b.pool if any(told.startswith(f"{x.name}:") for told in b.inputs)]
    if not _in_time(b) or b.in_block or not inputs:
        return unary(b)
    b.shared.imports.add("lib/emformer.mct")
    x = b.choice(*inputs)
    segment, right = b.whole(2, 3), b.choice(0, 1)
    b.blocks.append(Fraction(segment * x.jump).numerator)
    rows = b.shared.fresh("rows")
    b.say(f"{rows} = in_segments({project(b, x, 4).name}, {segment}, {right})")
    sees = f"left = {b.whole(0, 3)}, memories = {b.whole(1, 2)}"
    told = f"heads = 4, inner = 8, segment = {segment}, right = {right}, {sees}"
    b.say(f"{rows} = emformer_layer({rows}, last_of_blocks({rows}, {segment + right + 1}), {told})")
    return b.let(f"out_of_segments({rows}, {segment}, {right})", 4, x.jump)


def time_mix(b: Body) -> Tensor:
    """RWKV-7's."""
    if not _in_time(b):
        return unary(b)
    b.shared.imports.add("lib/rwkv7.mct")
    x, y, own = b.any(), b.shared.fresh("y"), b.shared.fresh("own")
    ranks = "decay_rank = 2, rate_rank = 2, value_rank = 2, gate_rank = 2"
    b.say(f"{y}, {own} = rwkv7({x.name}, heads = {b.choice(1, 2) if x.channels > 2 else 1}, {ranks})")
    return b.like(x, f"0.5 * tanh({y}) + 0.25 * sin({own})")


def memory_block(b: Body) -> Tensor:
    """SAN-M: what attention weighs, and a convolution over the values."""
    if not _in_time(b):
        return unary(b)
    b.shared.imports.add("lib/sanm.mct")
    x = b.any()
    return b.let(f"memory_attention(tanh({x.name}), 4, heads = 4, kernel = {b.choice(1, 3)})", 4, x.jump)


GENERATORS: tuple[Generator, ...] = (growing, rotary, near, segments, segments, time_mix)
WHOLE: tuple[Generator, ...] = (memory_block,)
