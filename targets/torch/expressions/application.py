"""One application of an op, as the rules that write it see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from mctc.ir.op import axis_position
from mctc.ir.program import Op
from mctc.ir.types import Role, TensorType
from mctc.records import dataclass
from mctc.targets.torch.expressions.text import Expression

STREAMED = (Role.BATCH, Role.TIME, Role.LABEL)  # axes whose extents no text may hold: they differ from call to call


@dataclass(frozen=True)
class Application:
    """An op, the expressions of its operands (None for an absent one), and what marks the valid frames, if they matter.

    `valid` is a tensor (B, S) of ones and zeros over the sequence of the operand that `op.padded()` gives.
    `held` are attributes of the op that the module holds, for they differ from round to round of a repeat.
    """

    op: Op
    operands: tuple[Expression | None, ...]
    valid: Expression | None = None
    held: Mapping[str, Expression] = field(default_factory=dict)

    def optional(self, name: str) -> Expression | None:
        for declared, operand in zip(self.op.fields, self.operands):
            if declared.name == name:
                return operand
        return None

    def __getitem__(self, name: str) -> Expression:
        operand = self.optional(name)
        assert operand is not None, f"{self.op.name} has no operand {name}"
        return operand

    def type(self, name: str) -> TensorType:
        value = self.op.operand(name)
        assert value is not None, f"{self.op.name} has no operand {name}"
        return value.type

    def attribute(self, name: str) -> Any:
        """The attribute's value, or its default where the op does not state it."""
        return self.op.attributes[name]

    def axis(self, operand: str = "x") -> int:
        return axis_position(self.type(operand), self.op.attributes["axis"], operand)

    def channel(self, operand: str = "x") -> int:
        at = self.type(operand).find(Role.CHANNEL)
        assert at is not None, f"inference gives {self.op.name} a channel axis"
        return at

    def given(self, *names: str) -> Mapping[str, Expression]:
        """The optional operands that are there, by name."""
        return {name: value for name in names if (value := self.optional(name)) is not None}


def spaced(values: Sequence[int]) -> int | tuple[int, ...]:
    """One number where all are equal, as torch's convolutions take them."""
    return values[0] if len(set(values)) == 1 else tuple(values)
