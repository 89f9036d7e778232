"""What acts in training alone: no evaluation, step or artifact may show a trace of it."""

from __future__ import annotations

from bench.fuzz.body import Body, Generator, Tensor

RATES = ("0", "0.1", "1 / 4", "0.5")


def dropped(b: Body) -> Tensor:
    x = b.any()
    kinds = ("", ', "element"', ', kind = "channel"', ', "time"', *((', "utterance"',) if b.batch else ()))
    return b.like(x, f"dropout({x.name}, {b.choice(*RATES)}{b.choice(*kinds)})")


def skipped(b: Body) -> Tensor:
    """A layer that is skipped now and then, on its own or as a residual branch."""
    x = b.any()
    layer = b.choice(f"tanh({x.name})", f"{x.name} + dropout(sin({x.name}), {b.choice(*RATES)})")
    return b.like(x, f"layer_drop({layer}, {x.name}, {b.choice(*RATES)})")


GENERATORS: tuple[Generator, ...] = (dropped, skipped)
