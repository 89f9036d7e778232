"""What the language adds to ops: blocks with settings, `repeat`, `if`, `assert`, names by binding."""

from __future__ import annotations

from collections.abc import Sequence

from bench.fuzz.body import MOST_STRIDE, Body, Generator, Tensor, indented

LIBRARY = {
    "gated": """\
block gated(x: f32[..., C], factor = 2, inner = factor * C, gate = true, extra: f32[..., C] = none) -> f32[..., C] {
    assert inner >= C, "an inner width of {inner} is below {C}"
    if extra != none { x = x + extra }
    h = linear(x, inner) as up
    if gate { h = h * sigmoid(linear(x, inner) as gate) } else { h = gelu(h) }
    return linear(h, C) as down
}""",
    "stacked": """\
block stacked(x: f32[..., C], layers = 2, kinds = ["silu", "tanh"]) {
    repeat i < layers as steps {
        param scale: f32[C] = constant(value = 0.75)
        y = layer_norm(x, epsilon = 0.125, bias = i == 0)
        if i % len(kinds) == 0 { x = x + silu(y) * scale } else if i == 1 { x = x - tanh(y) } else { x = relu(y) }
    }
    return x
}""",
    "crossed": """\
block crossed(x: f32[..., C], y: f32[..., C]) -> (f32[..., C], f32[..., C]) {
    a, _b = split(concat(x, y), sizes = [C, C])
    return maximum(a, y), tanh(x) * y
}""",
}
CALLS = {
    "gated": (
        "gated({x})",
        "gated({x}, factor = 1)",
        "gated({x}, inner = 16, gate = false)",
        "gated({x}, extra = {y})",
    ),
    "stacked": ("stacked({x})", "stacked({x}, layers = 1)", 'stacked({x}, 3, kinds = ["silu"])'),
}


def library_block(b: Body) -> Tensor:
    x, name = b.any(), b.choice("gated", "stacked", "crossed")
    if LIBRARY[name] not in b.shared.blocks:
        b.shared.blocks.append(LIBRARY[name])
    if name == "crossed":
        first, second = b.shared.fresh("a"), b.shared.fresh("b")
        b.say(f"{first}, {second} = crossed({x.name}, {b.partner(x).name})")
        return b.like(x, f"{first} + {second}")
    call = b.choice(*CALLS[name]).format(x=x.name, y=b.partner(x).name)
    return b.like(x, call + b.choice("", f" as {b.shared.fresh('part')}"))


def own_block(b: Body, generators: Sequence[Generator]) -> Tensor:
    """A block of its own: called once, several times, or under a `repeat` where it gives what it takes."""
    x = b.any()
    name = b.shared.fresh("block_")
    inner = Body(b.shared, "S", batch=b.batch, joint=b.joint, in_block=True)
    inner.labels, inner.causal = b.labels, b.causal
    inner.pool.append(Tensor("x", x.channels))
    for _ in range(b.whole(1, 3)):
        inner.pool.append(b.choice(*generators)(inner))
    y = inner.pool[-1]
    if y.jump * x.jump > MOST_STRIDE:
        y = inner.pool[0]
    result = b.choice("", f" -> {inner.type(y)}")
    head = f"block {name}(x: {inner.type(inner.pool[0])}){result} {{"
    b.shared.blocks.append("\n".join([head, indented([*inner.lines, f"return {y.name}"]), "}"]))
    same = (y.channels, y.jump) == (x.channels, 1)
    if same and b.choice(True, False):
        return _repeated(b, x, name)
    return b.let(f"{name}({x.name})", y.channels, x.jump * y.jump)


def _repeated(b: Body, x: Tensor, block: str) -> Tensor:
    y = b.like(x, x.name)
    times, index = b.whole(1, 2), b.shared.fresh("i")
    head = b.choice(f"repeat {times}", f"repeat {index} < {times} as {b.shared.fresh('layers')}")
    b.say(f"{head} {{ {y.name} = 0.5 * ({y.name} + {block}({y.name})) }}")
    return y


def conditional(b: Body, generators: Sequence[Generator]) -> Tensor:
    """A branch that is taken, beside one that is not."""
    x = b.any()
    y = b.like(x, x.name)
    lines, b.lines = b.lines, []
    grown = b.choice(*generators)(b)
    inside, b.lines = b.lines, lines
    fits = (grown.channels, grown.jump) == (x.channels, x.jump)
    condition = b.choice("1 + 1 == 2", "not (3 > 4)", "true and len([1, 2]) == 2")
    assign = f"{y.name} = {grown.name if fits else f'abs({x.name})'}"
    b.say("\n".join([f"if {condition} {{", indented([*inside, assign]), f"}} else {{ {y.name} = {x.name} }}"]))
    return y


GENERATORS: tuple[Generator, ...] = (library_block, library_block)
