"""Numbers that fp16 rounds, or that are too small or too large for it: factors, epsilons, floors."""

from __future__ import annotations

from bench.fuzz.body import Body, Generator, Tensor

FACTORS = ("0.1", "0.3", "1 / 3", "0.7", "-0.9", "1e-3", "3.3")
SMALL = ("1e-5", "1e-6", "1e-7", "1e-8", "1e-10", "1e-12")


def factor(b: Body) -> Tensor:
    x, number = b.any(), b.choice(*FACTORS)
    forms = (
        f"{number} * {x.name}", f"{x.name} * {number} + {b.choice(*FACTORS)}", f"{x.name} / 3 - {number}",
        f"scale({x.name}, {number}, 0.1)", f"clip({x.name}, -0.3, 0.7)", f"tanh({x.name} / 0.9)",
        f"clip({x.name}, -{b.choice(*SMALL)}, 0.9)",
    )  # fmt: skip
    return b.like(x, b.choice(*forms))


def vector(b: Body) -> Tensor:
    """A known vector, or a parameter that starts from a number, of which fp16 holds none."""
    x = b.any()
    if b.choice(True, False):
        return b.like(x, f"{x.name} * {b.parameter(x.channels, start=b.choice('0.1', 'constant(0.3)', '0.7'))}")
    numbers = ", ".join(b.choice(*FACTORS) for _ in range(x.channels))
    return b.like(x, f'{b.choice("mul", "maximum", "add")}({x.name}, constant([{numbers}], "f32", ["channel"]))')


def epsilon(b: Body) -> Tensor:
    x, kind, small = b.any(), b.choice("layer_norm", "rms_norm", "batch_norm"), b.choice(*SMALL)
    if kind == "batch_norm" or b.choice(True, False):
        return b.like(x, f"{kind}({x.name}, epsilon = {small})")
    weight = b.choice("", f", {b.parameter(x.channels)}")
    return b.like(x, f"op.{kind}({x.name}{weight}, epsilon = {small})")


def floor(b: Body) -> Tensor:
    """A small number that keeps a logarithm, a root or a division from zero. Sigmoids stay away from their ends, where
    ONNX Runtime's is exact to 1e-8 of one, not of its value."""
    x, small = b.any(), b.choice(*SMALL)
    positive = f"sigmoid(tanh({x.name}))"
    mean = f'reduce_mean(square({x.name}), axis = "channel")'
    forms = (
        f"log({positive} + {small})", f"log(clip({positive}, {small}, 0.9))", f"1 / ({positive} + {small})",
        f"rsqrt({positive} + {small})", f"sqrt(square({x.name}) + {small})", f"{x.name} * rsqrt({mean} + {small})",
        f"{x.name} / ({positive} + {small})", f"{x.name} / sqrt({mean} + {small})",
        f"log(exp(tanh({x.name})) + {small})",
    )  # fmt: skip
    return b.like(x, f"0.25 * {b.choice(*forms)}")


def masked(b: Body) -> Tensor:
    """Channels that are left out by a number of which fp16 has none, or next to none."""
    x = b.any()
    kept = ", ".join(["1", *(b.choice("0", "1") for _ in range(x.channels - 1))])
    mask = f'(constant([{kept}], "f32", ["channel"]) - 1) * {b.choice("1e9", "1e30", "40000")}'
    return b.like(x, b.choice(f"softmax({x.name} + {mask})", f"sigmoid({x.name} + {mask})"))


GENERATORS: tuple[Generator, ...] = (factor, factor, vector, epsilon, epsilon, floor, floor, masked)
