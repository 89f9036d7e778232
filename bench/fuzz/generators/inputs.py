"""What a component takes beside its frames: marks, levels, switches, ids, and tensors of other lengths and rates.

Each generator declares an input and what it may be, and uses it. A block has no inputs but its own: there, an op of the
frames takes the generator's place.
"""

from __future__ import annotations

from fractions import Fraction
from functools import wraps

from bench.fuzz.body import CHANNELS, Body, Generator, Tensor
from bench.fuzz.generators.pointwise import linear, project

LEVELS = {
    "> 0": ("log({})", "sqrt({})", "tanh({})"),
    ">= 0": ("sqrt({})", "tanh({})", "log({} + 1)"),
    "> 0 and <= 4": ("log({})", "0.25 * {}", "rsqrt({} + 0.5)"),
    "< 0": ("exp({})", "log(-{})"),
    "in [-1, 1]": ("{}", "exp({})", "square({})"),
    "in [0.5, 4]": ("1 / {}", "log({})", "rsqrt({})"),
    "in [0.1, 0.3]": ("1 / {}", "10 * {}"),
    "in {0, 0.5, 2}": ("{}", "exp(-{})"),
    "in {-1, 1}": ("{}", "relu({})"),
    "in {0, 1}": ("{}", "1 - {}"),
}
"""What an input may be, and what may then be made of it."""

MARKS = (
    ("f32[{}]", "{}"),
    ("f32[{}] in {{0, 1}}", "{}"),
    ("f32[{}] in {{0, 1}}", "1 - {}"),
    ("bool[{}]", 'cast({}, "f32")'),
    ("i32[{}] < 2", 'cast({}, "f32")'),
    ("i32[{}] in {{0, 1}}", 'cast({}, "f32")'),
)
"""An input that says which frames exist, and the mask that is made of it."""


def of_a_component(generator: Generator) -> Generator:
    """The generator in a component, a projection in a block and where there shall be no more inputs."""

    @wraps(generator)
    def grow(b: Body) -> Tensor:
        return linear(b) if b.closed else generator(b)

    return grow


def mask(b: Body, x: Tensor) -> str | None:
    """What says which frames of x exist: an input that is there, or a new one, where there may be one."""
    if b.closed:
        return None
    known = b.masks.setdefault(x.jump, [])
    if known and b.choice(True, False):
        return str(b.choice(*known))
    extents = ", ".join(b.frames(x.jump))
    type_, form = b.choice(*MARKS)
    known.append(form.format(b.input("exists", type_.format(extents))))
    return known[-1]


def _beside(b: Body, x: Tensor, channels: int, word: str = "f32") -> str:
    """The type of an input with as many frames as x."""
    leading = [axis for axis in b.axes(x.jump) if axis != "U" or b.labels]
    return f"{word}[{', '.join([*leading, str(channels)])}]"


@of_a_component
def level(b: Body) -> Tensor:
    """A number for each frame, or for each channel of it, that is promised to lie somewhere."""
    x, domain = b.any(), b.choice(*LEVELS)
    name = b.input("level", f"{_beside(b, x, b.choice(1, x.channels))} {domain}")
    return b.like(x, f"{x.name} {b.choice('+', '*', '-')} {b.choice(*LEVELS[domain]).format(name)}")


@of_a_component
def switch(b: Body) -> Tensor:
    """True or false for each frame."""
    x = b.any()
    name = b.input("switch", _beside(b, x, b.choice(1, x.channels), "bool"))
    return b.like(x, f'{x.name} * cast({name}, "f32")')


@of_a_component
def keep(b: Body) -> Tensor:
    """Channels that are told to be left out of a softmax, by a large number below zero."""
    x, far = b.any(), b.choice("1e4", "30000", "65504", "1e5", "1e9")
    name = b.input("keep", f"{_beside(b, x, x.channels)} in {{0, 1}}")
    return b.like(x, f"softmax({x.name} + ({name} - 1) * {far})")


@of_a_component
def ids(b: Body) -> Tensor:
    """Rows of a table by an id for each frame: a speaker, a position."""
    if b.joint:
        return linear(b)
    x, entries = b.any(), b.choice(3, 16)
    bound = b.choice(f"< {entries}", f">= 1 and < {entries}")
    name = b.input("which", f"i32[{', '.join(b.axes(x.jump))}] {bound}")
    form = b.choice(f"embedding({name}, {entries}, 4)", f"op.embedding({name}, {b.parameter(entries, 4)})")
    return b.let(form, 4, x.jump)


@of_a_component
def other_frames(b: Body) -> Tensor:
    """Frames of another extent: two for each of the body's, or one for several."""
    if b.joint or b.labels:
        return linear(b)
    x = Tensor(b.shared.fresh("frames"), b.choice(*CHANNELS), b.choice(Fraction(1, 2), 1, 2, 4))
    b.inputs.append(f"{x.name}: {b.type(x)}")
    b.pool.append(x)
    return b.like(x, f"{b.choice('tanh', 'sin', 'relu')}({x.name})")


@of_a_component
def memory(b: Body) -> Tensor:
    """Attention to another sequence, whole: of a decoder to frames, of frames to a fixed number of labels."""
    if b.joint or (b.labels and not b.shared.length):
        return linear(b)
    if not b.memories:
        _remember(b)
    q, kept = b.any(), b.choice(*b.memories)
    heads = b.choice(*(n for n in (1, 2) if q.channels % n == 0))
    k, v = (project(b, kept, q.channels) for _ in range(2))
    return b.like(q, f"attention({q.name}, {k.name}, {v.name}, heads = {heads})")


def _remember(b: Body) -> None:
    channels, jump = b.choice(4, 8), b.choice(1, 2) if b.labels else 1
    if b.labels:
        extent = "T" if jump == 1 else f"T/{jump}"
    else:
        extent = "P"
        b.shared.dims.add("dim P: label = 5")
    leading = ["B"] if b.batch else []
    name = b.input("memory", f"f32[{', '.join([*leading, extent, str(channels)])}]")
    b.memories.append(Tensor(name, channels, jump))


GENERATORS: tuple[Generator, ...] = (level, level, level, switch, keep, ids, other_frames, memory)
