"""The words of MLX for methods of tensors that rules shared with torch write."""

from __future__ import annotations

from dataclasses import dataclass

from mctc.targets.torch.expressions.text import Expression, call, named

METHODS = {"movedim": "moveaxis", "permute": "transpose", "transpose": "swapaxes"}
FUNCTIONS = {"unsqueeze": "mx.expand_dims", "unflatten": "mx.unflatten", "flip": "mx.flip"}


@dataclass(frozen=True)
class Spelled(Expression):
    """An expression whose methods are those of an mx.array."""

    def method(self, name: str, *arguments: object, **keywords: object) -> Spelled:
        """`self.name(arguments)`, or the function of mx that does it."""
        if name in FUNCTIONS:
            return spelled(call(named(FUNCTIONS[name]), self, *arguments, **keywords))
        return spelled(Expression.method(self, METHODS.get(name, name), *arguments, **keywords))


def spelled(text: Expression) -> Spelled:
    """The same text."""
    return Spelled(text.text, text.imports, text.binds)
