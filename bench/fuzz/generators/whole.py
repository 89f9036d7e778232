"""What needs every frame: no stream can have it, whole-sequence programs can."""

from __future__ import annotations

from bench.fuzz.body import Body, Generator, Tensor
from bench.fuzz.generators.memory import keys_of
from bench.fuzz.generators.pointwise import project


def _axis(b: Body) -> str:
    return str(b.choice('"label"' if b.labels else '"time"', b.symbol))


def backwards(b: Body) -> Tensor:
    x = b.any()
    return b.like(x, f"reverse({x.name}, {_axis(b)})")


def both_ways(b: Body) -> Tensor:
    """A cell that runs backwards, beside the tensor."""
    x = b.any()
    y = b.let(f"{b.choice('lstm', 'gru')}(reverse({x.name}, {_axis(b)}), 4)", 4, x.jump)
    return project(b, b.let(f"concat({x.name}, reverse({y.name}, {_axis(b)}))", x.channels + 4, x.jump), 4)


def over_the_utterance(b: Body) -> Tensor:
    x = b.any()
    reduce = b.choice("reduce_mean", "reduce_max", "reduce_min")
    return b.like(x, f"{x.name} - 0.5 * {reduce}({b.partner(x).name}, axis = {_axis(b)})")


def full_attention(b: Body) -> Tensor:
    q = b.any()
    within = f", within = {b.whole(1, 5)}" + b.choice("", f", before = {b.whole(1, 5)}")
    side = b.choice("", f", left = {b.whole(0, 4)}", f", right = {b.whole(0, 3)}", within)
    return b.like(q, f"attention({q.name}, {keys_of(b, q).name}, {b.partner(q).name}, heads = {q.channels}{side})")


def positions(b: Body) -> Tensor:
    x = b.any()
    table = b.parameter(b.whole(1, 5), x.channels)
    return b.like(x, f"{x.name} + positional_embedding({x.name}, {table}, cyclic = true)")


GENERATORS: tuple[Generator, ...] = (
    backwards,
    both_ways,
    over_the_utterance,
    over_the_utterance,
    full_attention,
    positions,
)
