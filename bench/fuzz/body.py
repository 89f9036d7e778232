"""The text of a component or block under construction, and what is known of its tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]

Jump = int | Fraction

CHANNELS = (2, 4, 6, 8)
MOST_STRIDE = 4  # product of the strides along a component
BATCH = "B"


@dataclass(frozen=True)
class Tensor:
    """A tensor of f32 [batch, sequence, channels] by its name in the spec.

    jump: frames of the body's sequence per frame of the tensor; a half where it has two for each.
    """

    name: str
    channels: int
    jump: Jump = 1


@dataclass
class Shared:
    """What all bodies of a spec share: the draw, the compile-time values of the model, blocks, counters.

    length, labels: whether the spec says how many frames, and how many labels, an utterance has at most.
    table: entries and width of a table that several layers share, if there is one.
    dims: dimensions that a body asked for. samples: how many of them a frame of sound has, 0 without sound.
    """

    draw: Draw
    values: dict[str, int]
    streams: bool
    length: bool = False
    labels: bool = False
    table: tuple[str, int] | None = None
    dims: set[str] = field(default_factory=set)
    samples: int = 0
    blocks: list[str] = field(default_factory=list)
    imports: set[str] = field(default_factory=set)
    model_parameters: list[str] = field(default_factory=list)
    count: int = 0

    def fresh(self, stem: str) -> str:
        self.count += 1
        return f"{stem}{self.count}"


class Body:
    """Statements so far, and the pool of tensors from which the next one takes its operands.

    symbol: the name of the sequence axis. batch: whether tensors have a batch axis. joint: whether they have a label
    axis beside the sequence. in_block: a block sees nothing of the model, and has the inputs that it is made with.
    inputs: of the component, as its header has them. masks: names by the jump of the frames that they mark.
    memories: tensors along other axes, which frames attend to. blocks: frames that a call takes a multiple of.
    closed: whether it takes no inputs but those that it is made with. causal: whether it may see no later labels.
    """

    def __init__(
        self, shared: Shared, symbol: str = "T", *, batch: bool = True, joint: bool = False, in_block: bool = False
    ) -> None:
        self.shared, self.symbol, self.batch, self.joint, self.in_block = shared, symbol, batch, joint, in_block
        self.labels = symbol == "U"
        self.lines: list[str] = []
        self.inputs: list[str] = []
        self.pool: list[Tensor] = []
        self.masks: dict[Jump, list[str]] = {}
        self.memories: list[Tensor] = []
        self.blocks: list[int] = []
        self.closed = in_block
        self.causal = False

    # drawing

    def choice(self, *options: Any) -> Any:
        return self.shared.draw(st.sampled_from(options))

    def whole(self, low: int, high: int) -> int:
        return int(self.shared.draw(st.integers(low, high)))

    def ahead(self, most: int) -> int:
        """How many frames or labels to look ahead; none of labels that it has to say."""
        return 0 if self.labels and self.causal else self.whole(0, most)

    def any(self) -> Tensor:
        return self.choice(*self.pool)  # type: ignore[no-any-return]

    def partner(self, x: Tensor) -> Tensor:
        """A tensor of x's type, x itself if there is no other."""
        return self.choice(*(v for v in self.pool if (v.channels, v.jump) == (x.channels, x.jump)))  # type: ignore[no-any-return]

    def slow(self) -> list[Tensor]:
        """Tensors whose frames can still be halved."""
        return [v for v in self.pool if v.jump < MOST_STRIDE and not self.labels and not self.joint]

    # writing

    def say(self, line: str) -> None:
        self.lines.append(line)

    def input(self, stem: str, type_: str) -> str:
        """A new input of the component; its name. What it may be stands behind its type."""
        name = self.shared.fresh(stem)
        self.inputs.append(f"{name}: {type_}")
        return name

    def let(self, expression: str, channels: int, jump: Jump, stem: str = "y") -> Tensor:
        """Binds a new name."""
        name = self.shared.fresh(stem)
        self.say(f"{name} = {expression}")
        return Tensor(name, channels, jump)

    def like(self, x: Tensor, expression: str) -> Tensor:
        return self.let(expression, x.channels, x.jump)

    def number(self, value: int) -> str:
        """A number as it stands, or as an expression over the values of the model."""
        if self.in_block:
            return str(value)
        known = [name for name, held in self.shared.values.items() if held == value]
        halves = [f"{name} // 2" for name, held in self.shared.values.items() if held // 2 == value]
        doubles = [f"2 * {name}" for name, held in self.shared.values.items() if held * 2 == value]
        return str(self.choice(str(value), *known, *halves, *doubles))

    def parameter(self, *shape: int | str, start: str | None = None) -> str:
        """A parameter of this body, or now and then of the model; its name."""
        extents = ", ".join(self.number(n) if isinstance(n, int) else n for n in shape)
        rules = ["normal(std = 0.5)", "uniform(bound = 0.75)", "uniform(0.5)", "truncated_normal(std = 0.5)"]
        if len(shape) == 2:
            rules += ["orthogonal(gain = 0.75)", "xavier_uniform()", "kaiming_normal(gain = 1)"]
        rule = start if start is not None else self.choice(*rules)
        name = self.shared.fresh("w")
        declared = f"param {name}: f32[{extents}] = {rule}"
        if not self.in_block and self.choice(False, False, False, True):
            self.shared.model_parameters.append(declared)
        else:
            self.say(declared)
        return name

    def extent(self, jump: Jump) -> str:
        frames = 1 / Fraction(jump)
        many = f"{frames.numerator} * " if frames.numerator > 1 else ""
        return f"{many}{self.symbol}" + (f"/{frames.denominator}" if frames.denominator > 1 else "")

    def type(self, x: Tensor) -> str:
        """The type of a tensor as a header has it."""
        return f"f32[{', '.join(self.axes(x.jump, x.channels))}]"

    def frames(self, jump: Jump) -> list[str]:
        """Extents of a tensor that has one entry for each frame; now and then the same for all utterances."""
        return [*([BATCH] if self.batch and self.choice(True, False) else []), self.extent(jump)]

    def axes(self, jump: Jump, *last: int | str) -> list[str]:
        leading = [BATCH] if self.batch else []
        return [*leading, self.extent(jump), *(["U"] if self.joint else []), *map(str, last)]

    def roles(self) -> list[str]:
        """The roles of a tensor's axes."""
        sequence = ["label"] if self.labels else ["time"]
        return [*(["batch"] if self.batch else []), *sequence, *(["label"] if self.joint else []), "channel"]


Generator = Callable[[Body], Tensor]


def indented(lines: Iterable[str]) -> str:
    return "\n".join(f"    {line}" for line in "\n".join(lines).split("\n"))
