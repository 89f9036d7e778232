"""Numbers that fp16 rounds, and numbers that it has no place for beside ops that have another form for them."""

from __future__ import annotations

from mctc.fuzz.body import Body, Growth, Tensor


def rounded(b: Body) -> Tensor:
    x = b.any()
    factor, offset = b.choice("0.1", "0.3", "-1.9", "1 / 3"), b.choice("0.7", "0.2", "-0.6")
    forms = (
        f"{factor} * {x.name} + {offset}", f"scale({x.name}, {factor}, {offset})", f"clip({x.name}, -0.7, 0.3)",
        f"layer_norm({x.name}, epsilon = {b.choice('0.1', '1e-3')})",
    )  # fmt: skip
    return b.like(x, b.choice(*forms))


def small(b: Body) -> Tensor:
    """What the number is added to is bounded away from zero: near it, every rounding counts."""
    x, number = b.any(), b.choice("1e-8", "1e-10", "1e-12")
    below = f"(sigmoid({b.partner(x).name}) + 0.5 + {number})"
    forms = (f"log{below}", f"{x.name} / {below}", f"{x.name} * rsqrt{below}", f"tanh({x.name} / sqrt{below})")
    return b.like(x, b.choice(*forms))


def masked(b: Body) -> Tensor:
    x = b.any()
    kept = ", ".join(["1", *(b.choice("0", "1") for _ in range(x.channels - 1))])
    mask = f'(constant([{kept}], "f32", ["channel"]) - 1) * {b.choice("1e9", "1e30", "40000")}'
    return b.like(x, b.choice(f"softmax({x.name} + {mask})", f"sigmoid({x.name} + {mask})"))


GROWTHS: tuple[Growth, ...] = (rounded, small, masked)
