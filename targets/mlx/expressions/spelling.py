"""The words of MLX for methods of tensors that rules shared with torch write."""

from __future__ import annotations

from collections.abc import Sequence

from mctc.emit.unsupported import UnsupportedError
from mctc.records import dataclass
from mctc.targets.torch.expressions.text import Expression, call, named, number

METHODS = {
    "flatten": "flatten",
    "movedim": "moveaxis",
    "permute": "transpose",
    "reshape": "reshape",
    "squeeze": "squeeze",
    "transpose": "swapaxes",
}
FUNCTIONS = {"unsqueeze": "mx.expand_dims", "unflatten": "mx.unflatten", "flip": "mx.flip", "clamp": "mx.clip"}


@dataclass(frozen=True)
class Spelled(Expression):
    """An expression whose methods are those of an mx.array."""

    def method(self, name: str, *arguments: object, **keywords: object) -> Spelled:
        """`self.name(arguments)`, or the function of mx that does it. Raises UnsupportedError for a method without."""
        if name in FUNCTIONS:
            return spelled(call(named(FUNCTIONS[name]), self, *arguments, **keywords))
        if name not in METHODS:
            raise UnsupportedError(f"MLX has no word for the method {name} of a tensor (targets/mlx/expressions)")
        return spelled(Expression.method(self, METHODS[name], *arguments, **keywords))

    def padded(self, axis: int, rank: int, widths: tuple[int, int], value: float = 0) -> Spelled:
        every = [(0, 0)] * axis + [widths] + [(0, 0)] * (rank - 1 - axis)
        return spelled(call(named("mx.pad"), self, every, **({"constant_values": number(value)} if value else {})))

    def joined(self, others: Sequence[Expression], axis: int) -> Spelled:
        return spelled(call(named("mx.concatenate"), [self, *others], axis=axis))


def spelled(text: Expression) -> Spelled:
    """The same text."""
    return Spelled(text.text, text.imports, text.binds)
